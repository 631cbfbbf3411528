"""Where a command writes an archive: a file that is complete or not there, or what is no file at all."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Self

from jackstay.errors import UsageError


class OutputFile:
    """Open for writing while its block runs; a file has its name only after :meth:`commit`.

    A link is followed. What exists and is no regular file (``/dev/null``, a pipe) is written to, never replaced; nor is
    standard output, ``-``.

    Attributes:
        fd: the descriptor to write to.
    """

    def __init__(self, path: str, fd: int, partial: str | None) -> None:
        self.fd = fd
        self._path = path
        self._partial = partial

    @classmethod
    def open(cls, path: str, what: str) -> OutputFile:
        """Open ``path`` for the command ``what``.

        Raises:
            UsageError: the file cannot be made there, or standard output is a terminal.
        """
        if path == "-":
            if sys.stdout.isatty():  # docker's courtesy
                raise UsageError(f"{what}: will not write an archive to a terminal", hint="use -o FILE, or redirect")
            sys.stdout.flush()
            return cls(path, sys.stdout.fileno(), None)
        direct = os.path.exists(path) and not os.path.isfile(path)
        if not direct:  # the links of /dev/stdout lead to names that are none: pipe:[17]
            path = os.path.realpath(path)
        partial = None if direct else f"{path}.{os.getpid()}.partial"
        flags = os.O_WRONLY | os.O_CLOEXEC | (0 if direct else os.O_CREAT | os.O_EXCL)
        try:
            return cls(path, os.open(partial or path, flags, 0o666), partial)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error

    def commit(self) -> None:
        """All is written: the file gets its name."""
        if self._partial is not None:
            os.fsync(self.fd)
            os.rename(self._partial, self._path)
            self._partial = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path != "-":
            os.close(self.fd)
        if self._partial is not None:
            os.unlink(self._partial)
