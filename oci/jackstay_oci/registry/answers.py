"""Answers that have bytes of a blob. One that gives the whole where a range was asked for is kept: what is asked for
next, and lies behind, is taken from it in its turn, since each new answer would bring everything before once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager

import aiohttp

PIECE = 1 << 20
"""Most bytes of one piece."""

LONGEST_TURN = 60.0
"""Seconds after which whoever has a whole answer is no longer waited for."""


class Answer:
    """An answer whose next byte is that at *position* of the blob."""

    def __init__(self, response: aiohttp.ClientResponse, position: int) -> None:
        self.response = response
        self.position = position
        self.turn = asyncio.Lock()

    async def take(self, offset: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from *offset* to *end*, fewer when the answer has no more; those before *offset* are passed over.

        Raises one of `connecting.BROKEN`.
        """
        while self.position < end:
            before = max(0, offset - self.position)
            piece = await self.response.content.read(min(PIECE, before or end - self.position))
            if not piece:
                return
            self.position += len(piece)
            if not before:
                yield piece


class Answers:
    """The answers of one client; whole ones are kept by what they are of, until they end or `close`."""

    def __init__(self) -> None:
        self._whole: dict[Hashable, Answer] = {}

    @asynccontextmanager
    async def open(
        self, blob: Hashable, offset: int, ask: Callable[[], Awaitable[Answer]]
    ) -> AsyncGenerator[Answer, None]:
        """An answer that gives *blob* from *offset* on: the whole one that is here, or what *ask* brings.

        A whole one is given to one reader after the other, in the order in which they come; one who stands still keeps
        it, and the next asks anew. Raises what *ask* raises.
        """
        while True:
            answer = self._whole.get(blob) or await self._asked(blob, ask)
            try:
                async with asyncio.timeout(LONGEST_TURN):
                    await answer.turn.acquire()
            except TimeoutError:
                if self._whole.get(blob) is answer:
                    del self._whole[blob]  # it stays that reader's
                continue
            try:
                if answer.response.status == 200 and self._whole.get(blob) is not answer:
                    continue  # it broke while another had it
                if answer.position > offset:
                    self._drop(blob, answer)
                    continue
                try:
                    yield answer
                except Exception:
                    self._drop(blob, answer)
                    raise
                finally:
                    if self._whole.get(blob) is not answer or answer.response.content.at_eof():
                        self._drop(blob, answer)
                return
            finally:
                answer.turn.release()

    async def _asked(self, blob: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        answer = await ask()
        if answer.response.status != 200:
            return answer
        kept = self._whole.setdefault(blob, answer)
        if kept is not answer:  # several asked at once, and another's came first
            answer.response.close()
        return kept

    def close(self) -> None:
        """Close them all."""
        for blob, answer in list(self._whole.items()):
            self._drop(blob, answer)

    def _drop(self, blob: Hashable, answer: Answer) -> None:
        if self._whole.get(blob) is answer:
            del self._whole[blob]
        answer.response.close()  # a body that was read to its end has given its connection back already
