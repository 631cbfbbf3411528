"""The lane of one fetch: its name, then pieces, each headed by the number of the range it belongs to."""

from __future__ import annotations

import secrets
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jackstay.tunnel.lane import Lane

HEAD = struct.Struct("<II")


class FetchLane:
    """What a fetch sends its pieces on. One piece is sent at a time.

    Its errors are `OSError`.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.name = secrets.token_hex(16)

    async def begin(self) -> None:
        """Tell the lane's name."""
        await self._lane.write(self.name.encode())

    async def send(self, number: int, piece: bytes) -> int:
        """Send a piece of the range ``number``; how many bytes went out. Waits while the agent takes no more."""
        await self._lane.write(HEAD.pack(number, len(piece)))
        await self._lane.write(piece)
        return HEAD.size + len(piece)

    def close(self) -> None:
        """End the lane, whatever is under way."""
        self._lane.close()
