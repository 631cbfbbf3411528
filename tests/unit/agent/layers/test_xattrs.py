"""Extended attributes of layers: which travel, and what it means when one cannot be set."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from jackstay_agent.layers import xattrs


@pytest.mark.parametrize(
    ("name", "travels"),
    [
        (b"user.note", True), (b"user.\xff", True), (b"security.capability", True), (b"security.ima", True),
        (b"security.selinux", False), (b"security.SMACK64", False), (b"user.overlay.x", False),
        (b"trusted.overlay.opaque", False), (b"trusted.x", False), (b"system.posix_acl_access", False), (b"", False),
        (b"user.a\0b", False), (b"USER.note", False),
    ],
)  # fmt: skip
def test_what_travels(name: bytes, travels: bool) -> None:
    assert xattrs.allowed(name) == travels


@pytest.fixture
def file() -> Iterator[int]:
    descriptor = os.memfd_create("file", os.MFD_CLOEXEC)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(("free", "means"), [(1000, errno.E2BIG), (0, errno.ENOSPC)])
def test_a_file_without_room_for_them_is_no_full_disk(
    file: int, monkeypatch: pytest.MonkeyPatch, free: int, means: int
) -> None:
    """ext4 says so of both. A full disk is a reason to make room and to try again; a layer like this is none."""

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "setxattr", full)
    monkeypatch.setattr(os, "fstatvfs", lambda _descriptor: SimpleNamespace(f_bfree=free))
    with pytest.raises(OSError) as caught:
        xattrs.write(file, {b"user.a": b"x" * 5000})
    assert caught.value.errno == means


def test_a_filesystem_that_has_none(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_arguments: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", unsupported)
    xattrs.write(file, {b"user.a": b"x", b"trusted.a": b"x"})
    with pytest.raises(OSError, match="not supported"):
        xattrs.write(file, {b"security.capability": b"x"})
