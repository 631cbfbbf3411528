"""The files of one container's log. Blocking: for threads.

``container.log`` is what conmon writes to. A rotation (`log_rotation`) gives it a number, ``container.log.7``, one more
than any before, and conmon makes a new one; so the order of the files is that of their numbers, and then the one
without. In between there is none without, and conmon writes to the one with the highest number.
"""

from __future__ import annotations

import os
import re

_BLOCK = 64 << 10
_TRIES = 100


def numbers(path: str) -> list[int]:
    """The numbers of the files that were rotated away of the log at *path*, oldest first."""
    folder, name = os.path.split(path)
    pattern = re.compile(rf"{re.escape(name)}\.(\d{{1,18}})", re.ASCII)
    try:
        entries = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for match in map(pattern.fullmatch, entries) if match)


def numbered(path: str, number: int) -> str:
    """The path of the file with *number* of the log at *path*."""
    return f"{path}.{number}"


def open_all(path: str) -> list[int]:
    """Descriptors of the log's files, oldest first; none when there is no log."""
    for _ in range(_TRIES):
        before = numbers(path)
        opened: list[int] = []
        try:
            for number in before:
                opened.append(os.open(numbered(path, number), os.O_RDONLY | os.O_CLOEXEC))
            try:
                opened.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            except FileNotFoundError:
                pass
            if numbers(path) == before:
                return opened
        except FileNotFoundError:
            pass  # rotated just now
        except BaseException:
            close_all(opened)
            raise
        close_all(opened)
    raise FileNotFoundError(path)


def open_later(path: str, descriptor: int) -> list[int]:
    """Descriptors of the files that come after the open *descriptor* in the log at *path*, oldest first.

    One that the bound on their number has taken away was the oldest: all that are left come after it.
    """
    here = os.fstat(descriptor)
    opened = open_all(path)
    for index, each in enumerate(opened):
        if os.path.samestat(here, os.fstat(each)):
            close_all(opened[: index + 1])
            return opened[index + 1 :]
    return opened


def close_all(descriptors: list[int]) -> None:
    """Close *descriptors*."""
    for descriptor in descriptors:
        os.close(descriptor)


def tail(descriptors: list[int], lines: int) -> tuple[int, int]:
    """Where the last *lines* lines of the log begin: which of the open *descriptors*, and the offset in it.

    Parts of one line count as one, also when they are in two files.
    """
    found = 0
    newest = True  # nothing was seen yet: the last line may be unfinished
    for index in range(len(descriptors) - 1, -1, -1):
        descriptor = descriptors[index]
        position = end = os.fstat(descriptor).st_size
        if lines <= 0:
            return index, end
        later = b""
        while position > 0:
            size = min(_BLOCK, position)
            position -= size
            block = os.pread(descriptor, size, position) + later
            cut = 0 if position == 0 else block.find(b"\n") + 1  # what stands before belongs to the block before
            if cut == 0 and position > 0:
                later = block
                continue
            stop = len(block)
            while stop > cut:
                start = block.rfind(b"\n", cut, stop - 1) + 1 or cut
                if _completes(block[start:stop]) or newest:
                    found += 1
                    if found > lines:
                        return index, position + stop
                newest = False
                stop = start
            later = block[:cut]
    return 0, 0


def _completes(line: bytes) -> bool:
    parts = line.split(b" ", 3)
    return len(parts) > 2 and parts[2].strip() == b"F"
