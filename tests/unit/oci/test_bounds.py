"""Every bound on archives and documents, small: the error names it, and what is just inside of it is taken."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
import json
import tarfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_oci import documents
from jackstay_oci.archives.archive import open_archive
from jackstay_oci.documents import MAX_VALUES, parse_config
from jackstay_oci.errors import InvalidDocument, LimitExceeded
from jackstay_oci.limits import DEFAULT_LIMITS, Limits
from jackstay_oci.tar.reader import TarReader
from tests.fuzz import raw_tar

END = bytes(1024)


def saved(count: int) -> bytes:
    """A classic archive of *count* images without layers, in 2 * *count* + 1 headers."""
    out = io.BytesIO()
    entries = []
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(count):
            config = json.dumps({"os": "linux", "author": str(number), "rootfs": {"diff_ids": []}}).encode()
            for name, content in ((f"{number}.json", config), (f"{number}.txt", b"")):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            entries.append({"Config": f"{number}.json", "RepoTags": [f"a:{number}"], "Layers": []})
        listing = json.dumps(entries).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size = len(listing)
        tar.addfile(info, io.BytesIO(listing))
    return out.getvalue()


def sparse(parts: int) -> bytes:
    pairs = ",".join(f"{at * 10},1" for at in range(parts))
    records = raw_tar.record(b"GNU.sparse.size", b"%d" % (parts * 10)) + raw_tar.record(
        b"GNU.sparse.map", pairs.encode()
    )
    return raw_tar.pax(records) + raw_tar.entry(content=b"x" * parts) + END


def named_for_all(length: int) -> bytes:
    return raw_tar.pax(raw_tar.record(b"path", b"p" * length), b"g") + raw_tar.header()


BOUNDS: dict[str, tuple[int, Callable[[int], bytes]]] = {
    # What is allowed, and an archive that needs as many.
    "entries": (7, lambda count: saved(3) if count == 7 else saved(4)),
    "name_bytes": (120, lambda count: raw_tar.entry(b"L", b"n" * count) + raw_tar.header() + END),
    "header_bytes": (600, lambda count: raw_tar.pax(raw_tar.record(b"x", b"c" * (count - 7))) + raw_tar.header() + END),
    "global_bytes": (50, lambda count: named_for_all(count - 4) + END),
    "sparse_parts": (5, sparse),
    "total_bytes": (700, lambda count: raw_tar.entry(content=bytes(count)) + END),
    "images": (3, saved),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_of_archives(tmp_path: Path, name: str) -> None:
    most, needing = BOUNDS[name]
    limits = dataclasses.replace(DEFAULT_LIMITS, **{name: most})
    for count in (most, most + 1):
        (tmp_path / "image.tar").write_bytes(needing(count))
        if count > most:
            with pytest.raises(LimitExceeded, match=rf"image\.tar: .*limit {name}"):
                open_archive(tmp_path / "image.tar", limits=limits)
        elif name in ("entries", "images"):
            open_archive(tmp_path / "image.tar", limits=limits).close()
        else:  # no archive of images; its tar is within bounds
            assert list(TarReader(io.BytesIO(needing(count)), limits))


@pytest.mark.parametrize(
    ("name", "limits"),
    [("ratio", {"ratio": 20, "ratio_after": 100_000}), ("total_bytes", {"total_bytes": 200_000})],
)
def test_a_bound_of_compressed_archives(tmp_path: Path, name: str, limits: dict[str, int]) -> None:
    archive = gzip.compress(saved(50) + bytes(300_000))
    (tmp_path / "image.tar").write_bytes(archive)
    with pytest.raises(LimitExceeded, match=rf"image\.tar: .*limit {name}"):
        open_archive(tmp_path / "image.tar", spool_dir=tmp_path, limits=Limits(**limits))
    with open_archive(tmp_path / "image.tar", spool_dir=tmp_path) as opened:
        assert len(opened.images) == 50


def test_every_bound_is_tested() -> None:
    tested = {*BOUNDS, "ratio", "ratio_after"}
    assert tested == {field.name for field in dataclasses.fields(Limits)}


def test_a_document_of_more_values_than_memory_should_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four megabytes of ``[]`` are two hundred in memory, and seconds in which an agent answers nobody."""
    bomb = b'{"x":[' + b"[]," * (MAX_VALUES * 2) + b"0]}"
    assert len(bomb) < documents.MAX_DOCUMENT
    with pytest.raises(InvalidDocument, match="too many values, the bound is 250000"):
        parse_config(bomb)
    taken, seconds = _cost(bomb)
    assert taken < 1 << 20
    monkeypatch.setattr(documents, "MAX_VALUES", 1 << 40)
    harm, slowly = _cost(bomb)
    assert harm > 40 << 20
    assert slowly > 10 * seconds


def _cost(raw: bytes) -> tuple[int, float]:
    """Bytes of memory and seconds of CPU that it takes to parse *raw* as a config."""
    tracemalloc.start()
    begun = time.process_time()
    with contextlib.suppress(InvalidDocument):
        parse_config(raw)
    seconds = time.process_time() - begun
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, seconds


def test_a_config_of_many_values_is_taken() -> None:
    """Forty thousand steps of history are more than any builder has written."""
    steps = [{"created_by": f"RUN {number}", "empty_layer": True} for number in range(40_000)]
    assert len(parse_config(json.dumps({"history": steps}).encode()).history) == 40_000


def test_global_records_do_not_multiply_by_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of them, which compresses to nothing, was held against each of two million entries."""
    records = b"".join(raw_tar.record(b"SCHILY.xattr.user.%d" % number, b"") for number in range(10_000))
    data = raw_tar.pax(records, b"g") + raw_tar.header() * 300 + END
    with pytest.raises(LimitExceeded, match="limit global_bytes"):
        list(TarReader(io.BytesIO(data)))
    honest = raw_tar.pax(raw_tar.record(b"comment", b"c" * 10_000), b"g") + raw_tar.header() * 300 + END
    fast, slow = _reading(honest, Limits()), _reading(data, Limits(global_bytes=1 << 20))
    assert slow > 20 * fast


def _reading(data: bytes, limits: Any) -> float:
    begun = time.process_time()
    assert len(list(TarReader(io.BytesIO(data), limits))) == 300
    return time.process_time() - begun
