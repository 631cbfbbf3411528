"""inotify(7), for those who wait for files: exits and logs."""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass

from jackstay_agent.kernel.readiness import readable

IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_Q_OVERFLOW = 0x4000

_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a watched file, or to `name` in a watched folder."""

    mask: int
    name: str


class Inotify:
    """A queue of events. Non-blocking and close-on-exec."""

    def __init__(self) -> None:
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def add(self, path: str, mask: int) -> None:
        """Watch *path* from now on."""
        if _libc.inotify_add_watch(self._descriptor, os.fsencode(path), ctypes.c_uint32(mask)) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)

    async def wait(self) -> list[Event]:
        """The events since the last call; waits until there is one."""
        while True:
            try:
                return _parse(os.read(self._descriptor, 65536))
            except BlockingIOError:
                await readable(self._descriptor)

    def close(self) -> None:
        """End all watches."""
        os.close(self._descriptor)


def _parse(data: bytes) -> list[Event]:
    events, at = [], 0
    while at < len(data):
        _watch, mask, _cookie, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        events.append(Event(mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))))
        at += length
    return events
