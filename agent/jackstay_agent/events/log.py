"""The host's events: recorded, kept, and told to everybody who follows them.

Guarantees: `record` never waits and never raises. Each event has a number, one higher than the one before; the last
`RECENT` are in memory, the others in the `journal`, where a thread writes them in batches. A follower is nothing but
the number it has come to: it takes what follows from memory, or when it is that slow from the journal. So it misses
none and sees none twice, costs no memory, and holds nobody up. An agent that is killed loses at most the events of the
last `DELAY` seconds and of one write.
"""

from __future__ import annotations

import asyncio
import collections
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import structlog

from jackstay_agent.events.event import Event, made
from jackstay_agent.events.filters import Filters
from jackstay_agent.events.journal import Journal, Numbered

DELAY = 0.1
"""Seconds that an event waits for others to be written with it."""

RECENT = 1024
"""Events kept in memory."""

UNWRITTEN = 10_000
"""Events kept in memory while the journal cannot be written, as on a full disk; then the oldest go."""

_RETRY = 5.0
_BATCH = 100

T = TypeVar("T")

_log = structlog.get_logger("events")


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events, in order. `live`: all of the past has been told, what comes now happens."""

    events: tuple[Event, ...] = ()
    live: bool = False


class Events:
    """The events of one agent. Made by `open`; all methods are for the event loop's thread."""

    def __init__(self, journal: Journal, thread: ThreadPoolExecutor, last: int) -> None:
        self._journal = journal
        self._thread = thread
        self._last = last
        self._written = last
        self._recent: collections.deque[Numbered] = collections.deque()
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: str) -> Events:
        """The events kept in the file *path*, and those to come."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        loop = asyncio.get_running_loop()
        try:
            journal = await loop.run_in_executor(thread, Journal.open_at, path, time.time_ns())
            return cls(journal, thread, await loop.run_in_executor(thread, journal.last))
        except BaseException:
            thread.shutdown(wait=False)
            raise

    def record(
        self,
        kind: str,
        action: str,
        subject: str,
        attributes: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """See `event.Record`."""
        if self._closing.is_set():
            return
        self._last += 1
        event = made(kind, action, subject, attributes or {}, labels or {}, time.time_ns())
        self._recent.append((self._last, event))
        self._changed.set()
        self._changed = asyncio.Event()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def follow(self, filters: Filters, *, since: int = 0, until: int = 0) -> AsyncGenerator[Batch, None]:
        """The events that fit *filters*: from *since* on (0: from now), a batch that says ``live``, then what happens.

        Ends at *until*, or never when that is 0. Times in nanoseconds since 1970.
        """

        def fits(event: Event) -> bool:
            return event.time >= since and (not until or event.time <= until) and filters.fits(event)

        now = at = self._last
        if since:
            at = await self._in_thread(self._journal.before, since)
        while at < now:
            events, at = await self._next(at, now, fits)
            if events:
                yield Batch(tuple(events))
        yield Batch(live=True)
        while True:
            changed = self._changed
            over = bool(until) and time.time_ns() > until
            to = self._last
            while at < to:
                events, at = await self._next(at, to, fits)
                if events:
                    yield Batch(tuple(events))
            if over:
                return
            try:
                async with asyncio.timeout((until - time.time_ns()) / 10**9 if until else None):
                    await changed.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Write what is not written yet, and close the file."""
        self._closing.set()
        if self._writing is not None:
            await self._writing
        await self._in_thread(self._journal.close)
        await asyncio.to_thread(self._thread.shutdown)

    async def _next(self, at: int, to: int, fits: Callable[[Event], bool]) -> tuple[list[Event], int]:
        """The next events after the number *at* and up to *to* that *fits* likes; the number of the last one seen."""
        first = self._recent[0][0] if self._recent else self._last + 1
        if first <= at + 1:
            begin = at + 1 - first
            taken = list(islice(self._recent, begin, begin + min(_BATCH, to - at)))
            return [event for _number, event in taken if fits(event)], taken[-1][0]
        # Whatever is not in memory is written, or pruned, or was lost on a full disk.
        events, last = await self._in_thread(self._journal.read, at, min(to, first - 1), _BATCH, fits)
        return events, min(to, first - 1) if last is None else last

    async def _write(self) -> None:
        """Write until all is written."""
        wait = DELAY
        while self._written < self._last:
            await self._pause(wait)
            unwritten = [each for each in self._recent if each[0] > self._written]
            try:
                await self._in_thread(self._journal.append, unwritten, time.time_ns())
            except sqlite3.Error as error:
                _log.warning("events cannot be written", error=str(error), events=len(unwritten))
                if self._closing.is_set():
                    return
                wait = _RETRY
            else:
                self._written, wait = unwritten[-1][0], DELAY
            self._trim()

    def _trim(self) -> None:
        while len(self._recent) > RECENT and (self._recent[0][0] <= self._written or len(self._recent) > UNWRITTEN):
            self._recent.popleft()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*arguments))
