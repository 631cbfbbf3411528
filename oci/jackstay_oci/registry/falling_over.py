"""Mirrors, and the registry itself behind them: the first that can answer does."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

from jackstay_oci.digest import Digest
from jackstay_oci.errors import Error, NotFound
from jackstay_oci.registry.transport import Transport

T = TypeVar("T")


class Servers:
    """The servers that have the images of one registry, in their order. The last is the registry itself.

    A mirror that fails, whatever with, or whose bytes prove wrong, is left out from then on; one that only lacks what
    was asked for is not.
    """

    def __init__(self, transports: Sequence[Transport]) -> None:
        self._mirrors = list(transports[:-1])
        self._own = transports[-1]
        self._gave: dict[Digest, set[Transport]] = {}  # mirrors that a blob's bytes came from

    async def first(self, ask: Callable[[Transport], Awaitable[T]], *, forgiving: bool = False) -> T:
        """The answer of the first server that has one. When *forgiving*, a mirror that fails in this is not left out:
        it may give all else. Raises what the registry itself raises."""
        for mirror in list(self._mirrors):
            try:
                return await ask(mirror)
            except Error as error:
                if not forgiving:
                    self._fell(mirror, error)
        return await ask(self._own)

    async def stream(
        self, blob: Digest, read: Callable[[Transport, int], AsyncGenerator[bytes, None]], offset: int
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of *blob* from *offset* on of the first server that has them; another one goes on where it broke
        off."""
        for mirror in list(self._mirrors):
            if mirror not in self._mirrors:  # it fell meanwhile
                continue
            try:
                async with aclosing(read(mirror, offset)) as pieces:
                    async for piece in pieces:
                        self._gave.setdefault(blob, set()).add(mirror)
                        offset += len(piece)
                        yield piece
                return
            except Error as error:
                self._fell(mirror, error)
        async with aclosing(read(self._own, offset)) as pieces:
            async for piece in pieces:
                yield piece

    def distrust(self, blob: Digest) -> bool:
        """Leave the mirrors out that gave bytes of *blob*, which are wrong; whether there are any."""
        gave = self._gave.pop(blob, set())
        self._mirrors = [mirror for mirror in self._mirrors if mirror not in gave]
        return bool(gave)

    def _fell(self, mirror: Transport, error: Error) -> None:
        if not isinstance(error, NotFound) and mirror in self._mirrors:
            self._mirrors.remove(mirror)
