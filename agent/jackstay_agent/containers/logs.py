"""Reading a container's log, which conmon writes: ``RFC3339 time, stdout|stderr, F|P, text`` a line.

Guarantees: entries come in the file's order, in batches, and no further batch is read before the last one was taken;
a tail is found from the file's end; following misses nothing and ends when the container has ended and all was given.
The files (`log_files`) are the only source, so that an agent that restarts loses nothing; reading goes on from one to
the next, and one that is open is read to its end, also when it is deleted by then. ``P`` marks the beginning of a line
that goes on: its text comes without a newline, and joins with what follows.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime

from jackstay_agent.containers import log_files
from jackstay_agent.kernel.inotify import IN_MODIFY, IN_MOVED_TO, Inotify
from jackstay_agent.kernel.threads import acquire, finish

_BATCH = 256 << 10


@dataclass(frozen=True, slots=True)
class Entry:
    """A line, or a part of one. `time` is nanoseconds since 1970."""

    time: int
    stderr: bool
    text: bytes  # with its newline unless it goes on


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries to give. Times are nanoseconds since 1970, 0 for no bound; `tail` None is all."""

    since: int = 0
    until: int = 0
    tail: int | None = None
    stdout: bool = True
    stderr: bool = True

    def takes(self, entry: Entry) -> bool:
        """Whether *entry* is wanted."""
        if entry.time < self.since or (self.until and entry.time > self.until):
            return False
        return self.stderr if entry.stderr else self.stdout


async def read(path: str, wanted: Wanted, *, ended: asyncio.Event | None = None) -> AsyncGenerator[list[Entry], None]:
    """The entries of the log at *path* in batches, none for a log that does not exist.

    With *ended* it follows: after the file's end it waits for more until that event is set and all was given, or the
    time `Wanted.until` has come.
    """
    files = await acquire(log_files.open_all, log_files.close_all, path)
    inotify: Inotify | None = None
    try:
        if not files:
            return
        if ended is not None:
            inotify = Inotify()
            inotify.add(os.path.dirname(path), IN_MOVED_TO)  # conmon's next file
            inotify.add(f"/proc/self/fd/{files[-1]}", IN_MODIFY)
        offset = 0
        if wanted.tail is not None:
            first, offset = await finish(log_files.tail, files, wanted.tail)
            _leave(files, first)
        while True:
            last = ended is None or ended.is_set()  # asked before reading: what is written before the end is read
            data = await finish(os.pread, files[0], _BATCH, offset)
            whole = data.rfind(b"\n") + 1
            if not whole and len(data) == _BATCH:
                whole = len(data)  # no line of conmon's is this long: not its file, but never a reason to hang
            offset += whole
            entries = parse(data[:whole])
            batch = [entry for entry in entries if wanted.takes(entry)]
            if batch:
                yield batch
            if wanted.until and entries and entries[-1].time > wanted.until:
                return
            if whole:
                continue
            if len(files) > 1:  # conmon opens a file after its last word in the one before
                _leave(files, 1)
                offset = 0
                continue
            if ended is None:
                return
            assert inotify is not None
            if later := await acquire(log_files.open_later, log_files.close_all, path, files[0]):
                files += later
                inotify.add(f"/proc/self/fd/{files[-1]}", IN_MODIFY)
                continue  # what was written to the first until then comes first
            if last or not await _more(inotify, ended, wanted.until):
                return
    finally:
        if inotify is not None:
            inotify.close()
        log_files.close_all(files)


def _leave(files: list[int], count: int) -> None:
    """Close the first *count* of *files*."""
    log_files.close_all(files[:count])
    del files[:count]


def parse(data: bytes) -> list[Entry]:
    """The entries of whole lines. A line that is not conmon's is passed over."""
    entries = []
    second, at = b"", 0
    for line in data.split(b"\n"):
        parts = line.split(b" ", 3)
        if len(parts) < 3:
            continue
        stamp = parts[0]
        try:
            if stamp[:19] + stamp[29:] != second:
                second = stamp[:19] + stamp[29:]
                at = int(datetime.fromisoformat(second.decode("ascii")).timestamp()) * 10**9
            moment = at + int(stamp[20:29])
        except ValueError:
            second = b""
            continue
        text = parts[3] if len(parts) == 4 else b""
        entries.append(Entry(moment, parts[1] == b"stderr", text if parts[2] == b"P" else text + b"\n"))
    return entries


async def _more(inotify: Inotify, ended: asyncio.Event, until: int) -> bool:
    """Wait for more in the file or for the end; False when the time *until* came first."""
    remaining = (until - time.time_ns()) / 1e9 if until else None
    if remaining is not None and remaining <= 0:
        return False
    waits = [asyncio.ensure_future(inotify.wait()), asyncio.ensure_future(ended.wait())]
    try:
        done, _ = await asyncio.wait(waits, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
