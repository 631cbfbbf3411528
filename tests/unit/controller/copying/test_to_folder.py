"""A copy into an OCI folder that breaks off: nothing is left of it, and no thread goes on with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jackstay.copying.sources import Blob, SourceImage
from jackstay.copying.to_folder import copy_to_folder
from jackstay.errors import NotFound
from jackstay_oci.archives import oci_folder
from jackstay_oci.archives.oci_folder import BlobWriter, OciFolder
from jackstay_oci.digest import Digest

ROOT = Blob(str(Digest.of(b"root")), 4, "m")


class Source:
    name, via = "somewhere", "archive"

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        yield b"ro"
        await asyncio.sleep(0.05)  # the piece is being written
        raise NotFound("gone")


@pytest.mark.parametrize("when", ["source fails", "cancelled"])
async def test_no_write_meets_a_closed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    told: list[str] = []
    begun = threading.Event()

    class Slow(BlobWriter):
        def write(self, data: bytes | memoryview) -> None:
            begun.set()
            threading.Event().wait(0.3)
            super().write(data)
            told.append("written")

        def close(self) -> None:
            told.append("closed")
            super().close()

    monkeypatch.setattr(oci_folder, "BlobWriter", Slow)
    copying = asyncio.create_task(copy_to_folder(Source(), [SourceImage(ROOT, (), (ROOT,))], OciFolder(tmp_path)))  # type: ignore[arg-type]
    if when == "cancelled":
        await asyncio.to_thread(begun.wait)
        copying.cancel()
    with pytest.raises(asyncio.CancelledError if when == "cancelled" else NotFound):
        await copying
    assert told == ["written", "closed"]
    assert not await asyncio.to_thread(lambda: list(tmp_path.glob(".jackstay-*")))


async def test_a_blob_that_is_being_begun_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    class Slow(BlobWriter):
        def __init__(self, temporary: Path, target: Path, digest: Digest, size: int) -> None:
            begun.set()
            threading.Event().wait(0.3)
            super().__init__(temporary, target, digest, size)

    monkeypatch.setattr(oci_folder, "BlobWriter", Slow)
    copying = asyncio.create_task(copy_to_folder(Source(), [SourceImage(ROOT, (), (ROOT,))], OciFolder(tmp_path)))  # type: ignore[arg-type]
    await asyncio.to_thread(begun.wait)
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    await asyncio.sleep(0.5)
    assert not await asyncio.to_thread(lambda: list(tmp_path.glob(".jackstay-*")))
