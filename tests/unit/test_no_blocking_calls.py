"""The guard of tests/conftest.py catches what it is there to catch."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from blockbuster import BlockingError

from jackstay_oci import documents


def blocking_call_of_the_project(path: Path) -> bytes:
    """A read that counts as the project's own, since it is compiled under the name of one of its files."""
    namespace: dict[str, object] = {}
    source = (
        "import os\ndef read(path):\n    descriptor = os.open(path, os.O_RDONLY)\n    return os.read(descriptor, 10)\n"
    )
    exec(compile(source, documents.__file__, "exec"), namespace)
    return namespace["read"](path)  # type: ignore[operator, no-any-return]


async def test_a_blocking_call_on_the_loop_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with pytest.raises(BlockingError, match=r"os\.read"):
        blocking_call_of_the_project(tmp_path / "file")


async def test_the_same_call_in_a_thread_is_welcome(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert await asyncio.to_thread(blocking_call_of_the_project, tmp_path / "file") == b"content"


async def test_what_a_test_does_itself_is_not_watched(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert hashlib.sha256((tmp_path / "file").read_bytes()).digest_size == 32
