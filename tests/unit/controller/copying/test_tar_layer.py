"""A tar becomes a layer: what is kept, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from jackstay.copying.tar_layer import TarLayer, read_file, read_stream
from jackstay.errors import Error, InvalidArchive
from jackstay_oci import media_types
from jackstay_oci.compression import compressing
from jackstay_oci.digest import Digest


def a_tar(size: int = 300_000) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = size
        archive.addfile(entry, io.BytesIO(os.urandom(size)))
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    out = io.BytesIO()
    packer = compressing(out, "zstd")
    packer.write(data)
    packer.close()
    return out.getvalue()


def kept(layer: TarLayer) -> bytes:
    try:
        return os.pread(layer.fd, layer.size + 1, 0)
    finally:
        os.close(layer.fd)


def read(path: Path, folder: Path) -> TarLayer:
    return read_file(os.open(path, os.O_RDONLY), path.name, lambda: folder, threading.Event())


@pytest.mark.parametrize(
    ("pack", "media_type", "as_it_came"),
    [
        (bytes, media_types.OCI_LAYER, True),
        (gzip.compress, media_types.OCI_LAYER_GZIP, True),
        (zstd, media_types.OCI_LAYER_ZSTD, True),
        (bz2.compress, media_types.OCI_LAYER, False),
        (lzma.compress, media_types.OCI_LAYER, False),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_kept(tmp_path: Path, pack: Any, media_type: str, as_it_came: bool, stream: bool) -> None:
    plain = a_tar()
    packed = pack(plain)
    file = tmp_path / "root.tar"
    file.write_bytes(packed)
    (folder := tmp_path / "spool").mkdir()
    if stream:
        layer = read_stream(io.BytesIO(packed), "it", lambda: folder, threading.Event())
    else:
        layer = read(file, folder)
        assert os.path.samestat(os.fstat(layer.fd), os.stat(file)) == as_it_came
    assert os.listdir(folder) == []
    expected = packed if as_it_came else plain
    assert (layer.digest, layer.diff_id) == (Digest.of(expected), Digest.of(plain))
    assert (layer.size, layer.media_type) == (len(expected), media_type)
    assert kept(layer) == expected


def test_a_file_that_was_read_from_already_is_a_stream(tmp_path: Path) -> None:
    plain = a_tar()
    file = tmp_path / "root.tar"
    file.write_bytes(b"before" + plain)
    fd = os.open(file, os.O_RDONLY)
    os.read(fd, 6)
    assert kept(read_file(fd, "it", lambda: tmp_path, threading.Event())) == plain


def test_an_empty_tar_is_one(tmp_path: Path) -> None:
    (tmp_path / "empty.tar").write_bytes(bytes(1024))
    assert kept(read(tmp_path / "empty.tar", tmp_path)) == bytes(1024)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"no tar", "this is no tar archive"),
        (b"x" * 2000, "this is no tar archive"),
        (b'{"json": true}' * 100, "this is no tar archive"),
        (gzip.compress(b"x" * 2000), "this is no tar archive"),
        (gzip.compress(a_tar())[:-100], "truncated gzip data"),
        (lzma.compress(a_tar())[:-100], "truncated xz data"),
        (gzip.compress(a_tar()) + b"more", "other data after the end"),
    ],
    # Not the data themselves: gzip writes the time into them, and every process of a test run must name tests alike.
    ids=["empty", "short", "no tar", "json", "gzip of no tar", "cut gzip", "cut xz", "more after gzip"],
)
def test_what_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(data)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(InvalidArchive, match=rf"^file.*{message}"):
        read(tmp_path / "file", tmp_path)
    assert os.listdir("/proc/self/fd") == before


def test_who_gives_up_is_heard(tmp_path: Path) -> None:
    stop = threading.Event()

    class Endless:
        def __init__(self) -> None:
            self.first = a_tar(512)[:1024]

        def read(self, size: int, /) -> bytes:
            data, self.first = self.first[:size], self.first[size:]
            if not data:
                stop.set()
            return data or bytes(size)

    before = os.listdir("/proc/self/fd")
    with pytest.raises(Error, match="given up"):
        read_stream(Endless(), "it", lambda: tmp_path, stop)
    assert os.listdir("/proc/self/fd") == before
