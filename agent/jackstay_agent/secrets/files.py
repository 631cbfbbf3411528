"""The files of secrets' values: written durably, readable for root alone. Blocking.

Guarantees: a value is there in whole or not at all, and on disk when `write` returns; no error tells any of it. Only
`read` reads one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat

from jackstay_agent import faults
from jackstay_agent.errors import Error, from_os_error
from jackstay_agent.secrets.audit import FILE_MODE, FOLDER, FOLDER_MODE

_NEW = ".new-"  # no id begins so


def write(root: str, entry: str, value: bytes) -> None:
    """Make the file *entry* of the folder *root* with *value*. Raises `DiskFull`, `Error`."""
    new = os.path.join(root, f"{_NEW}{secrets.token_hex(8)}")
    try:
        if not os.path.isdir(root):
            os.makedirs(root, mode=FOLDER_MODE, exist_ok=True)
            _sync(os.path.dirname(root))
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE), "wb") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        faults.point("secrets.write.synced")
        os.rename(new, os.path.join(root, entry))
        faults.point("secrets.write.renamed")
        _sync(root)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise from_os_error(error, "writing a secret") from error


def read(root: str, entry: str, name: str) -> bytes:
    """The value in *entry*, which is that of the secret *name*. Raises `Error` when it is gone."""
    try:
        with open(os.path.join(root, entry), "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise Error(
            f"the value of the secret {name} is gone", hint=f"give it again: jackstay secret create --replace {name}"
        ) from error


def remove(root: str, entry: str) -> None:
    """Remove the file *entry*, if it is there, or whatever else lies there. Raises `Error`."""
    path = os.path.join(root, entry)
    try:
        try:
            os.unlink(path)
        except IsADirectoryError:
            shutil.rmtree(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise from_os_error(error, "removing a secret's value") from error


def entries(root: str) -> list[str]:
    """What is in *root*."""
    try:
        return sorted(os.listdir(root))
    except FileNotFoundError:
        return []


def looks(root: str) -> dict[str, os.stat_result]:
    """*root* itself, by the name `FOLDER`, and everything in it; links are not followed. Empty if there is none."""
    try:
        found = {FOLDER: os.stat(root)}
    except FileNotFoundError:
        return {}
    for entry in entries(root):
        with contextlib.suppress(FileNotFoundError):
            found[entry] = os.lstat(os.path.join(root, entry))
    return found


def put_right(root: str, entry: str) -> None:
    """Give *entry*, which may be `FOLDER`, the mode and the owner that it has when it is made; no effect if it is gone.

    Raises `Error`.
    """
    try:
        path = os.path.join(root, entry)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fchown(descriptor, os.geteuid(), os.getegid())
            os.fchmod(descriptor, FOLDER_MODE if stat.S_ISDIR(os.fstat(descriptor).st_mode) else FILE_MODE)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise from_os_error(error, "giving a secret's file its mode and owner") from error


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
        faults.point("secrets.write.folder")
    finally:
        os.close(descriptor)
