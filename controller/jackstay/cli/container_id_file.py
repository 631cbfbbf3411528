"""``--cidfile``: the container's id in a file, which must not exist before, as docker demands."""

from __future__ import annotations

import os

from jackstay.errors import UsageError


class ContainerIdFile:
    """The file, made at once so that two commands cannot share it; removed when no id came."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            raise UsageError(f"--cidfile {path}: the file exists", hint="remove it, or name another") from None
        except OSError as error:
            raise UsageError(f"--cidfile {path}: {error.strerror}") from error
        self._written = False

    def write(self, container_id: str) -> None:
        """Write the id."""
        os.write(self._fd, container_id.encode())
        self._written = True

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
        if not self._written:
            os.unlink(self._path)
