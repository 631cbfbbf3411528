from __future__ import annotations

import errno
import io
import os
import subprocess
import tarfile
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_oci.errors import InvalidArchive, LimitExceeded
from jackstay_oci.limits import Limits
from jackstay_oci.reading import BinaryReader, Region
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.reader import TarReader

MakeTar = Callable[..., bytes]


def _read(source: bytes | BinaryReader | int, **options: Any) -> list[tuple[Entry, bytes]]:
    reader = TarReader(io.BytesIO(source) if isinstance(source, bytes) else source, **options)
    return [(entry, reader.read()) for entry in reader]


@contextmanager
def _source(data: bytes, as_file: bool) -> Iterator[Any]:
    """The tar as a stream, or as a region in the middle of a file."""
    if not as_file:
        yield io.BytesIO(data)
        return
    with tempfile.TemporaryFile() as file:
        file.write(b"before" + data)
        file.flush()
        yield Region(file.fileno(), len(b"before"), len(data))


# Round trip: tarfile writes, we read.

KINDS = {
    Kind.FILE: tarfile.REGTYPE, Kind.DIRECTORY: tarfile.DIRTYPE, Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.HARDLINK: tarfile.LNKTYPE, Kind.FIFO: tarfile.FIFOTYPE, Kind.CHARACTER: tarfile.CHRTYPE,
}  # fmt: skip

_names = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=6,
).map("/".join)
_infos = st.tuples(
    _names,
    st.sampled_from(list(KINDS.values())),
    st.binary(max_size=2000),
    _names,
    st.integers(0, 0o7777),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**34),
)  # fmt: skip


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@given(infos=st.lists(_infos, max_size=6), as_file=st.booleans())
def test_what_tarfile_writes_reads_the_same(form: int, infos: list[Any], as_file: bool) -> None:
    out = io.BytesIO()
    expected = []
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, kind, data, target, mode, owner, mtime in infos:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid, info.gid, info.mtime = kind, mode, owner, owner, mtime
            info.linkname = target if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            if kind == tarfile.CHRTYPE:
                info.devmajor, info.devminor = 1, 3
            tar.addfile(info, io.BytesIO(data))
            ending = "/" if kind == tarfile.DIRTYPE else ""
            expected.append(
                (name + ending, kind, mode, owner, mtime, info.linkname, data if kind == tarfile.REGTYPE else b"")
            )
    with _source(out.getvalue(), as_file) as source:
        found = [
            (e.name.decode(), KINDS[e.kind], e.mode, e.uid, e.mtime_ns // 10**9, e.linkname.decode(), data)
            for e, data in _read(source)
        ]
    assert found == expected


def test_xattrs_fractions_and_large_numbers_in_pax() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("f")
        info.pax_headers = {"SCHILY.xattr.user.a": "1", "mtime": "-1.25", "uid": str(2**31 - 1)}
        tar.addfile(info)
    [(entry, _)] = _read(out.getvalue())
    assert (entry.xattrs, entry.mtime_ns, entry.uid) == ({b"user.a": b"1"}, -1_250_000_000, 2**31 - 1)


def test_global_headers_hold_for_all_and_local_ones_win() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"gid": "7", "uid": "5"}) as tar:
        first, second = tarfile.TarInfo("a"), tarfile.TarInfo("b")
        second.pax_headers = {"gid": "9", "uid": ""}
        tar.addfile(first)
        tar.addfile(second)
    assert [(entry.uid, entry.gid) for entry, _ in _read(out.getvalue())] == [(5, 7), (0, 9)]


def test_pax_size_decides_where_the_next_header_is(make_tar: MakeTar) -> None:
    # CVE-2025-62518: readers that believe the ustar size see entries that are inside the file.
    inner = make_tar({"smuggled": b"x"})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("outer")
        info.size = len(inner)
        info.pax_headers = {"size": str(len(inner))}
        tar.addfile(info, io.BytesIO(inner))
    data = bytearray(out.getvalue())
    at = data.index(b"outer" + bytes(95))
    data[at + 124 : at + 136] = b"00000000000\0"
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    assert [(entry.name, content) for entry, content in _read(bytes(data))] == [(b"outer", inner)]


@pytest.mark.parametrize("field", [slice(108, 116), slice(124, 136), slice(136, 148)])
def test_numbers_with_underscores_or_signs_are_refused(make_tar: MakeTar, field: slice) -> None:
    data = bytearray(make_tar({"a": b""}))
    data[field] = b"+1_0".ljust(field.stop - field.start, b"\0")
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    with pytest.raises(InvalidArchive, match="malformed number"):
        _read(bytes(data))


def test_the_wrong_checksum_is_noticed_and_the_signed_one_taken(make_tar: MakeTar) -> None:
    data = bytearray(make_tar({"ä": b""}, format=tarfile.GNU_FORMAT))
    data[148:156] = b" " * 8
    signed = sum(byte - 256 if byte > 127 else byte for byte in data[:512])
    data[148:156] = b"%06o\0 " % signed
    assert [entry.name.decode() for entry, _ in _read(bytes(data))] == ["ä"]
    data[148:156] = b"%06o\0 " % (signed + 1)
    with pytest.raises(InvalidArchive, match="checksum"):
        _read(bytes(data))


@pytest.mark.parametrize("owner", [2**31, 2**32, 2**60])
def test_ids_that_would_overflow_are_refused(owner: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo("f")
        info.uid = owner
        try:
            tar.addfile(info)
        except ValueError:  # does not fit base-256 in eight bytes
            return
    with pytest.raises(InvalidArchive, match="ids go from 0"):
        _read(out.getvalue())


# Reading part of the content.


@pytest.mark.parametrize("as_file", [False, True])
def test_content_is_passed_over_read_in_part_or_copied(tmp_path: Path, make_tar: MakeTar, as_file: bool) -> None:
    big = os.urandom(700_000)
    data = make_tar({"skip": big, "part": big, "copy": big, "small": b"x" * 600, "last": b"end"})
    (tmp_path / "t").write_bytes(data)
    target = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT)
    source = os.open(tmp_path / "t", os.O_RDONLY)
    reader = TarReader(source if as_file else io.BytesIO(data))
    try:
        assert next(reader).name == b"skip"
        entry = next(reader)
        assert reader.read(10) == big[:10]
        assert entry.contiguous
        assert data[entry.offset : entry.offset + entry.size] == big
        assert next(reader).name == b"copy"
        head = reader.read(5)
        assert reader.copy_to_fd(target) == len(big) - len(head)
        assert reader.read(1) == b""
        assert os.pread(target, len(big), 0) == big[len(head) :]
        assert next(reader).name == b"small"
        assert reader.copy_to_fd(target) == 600
        assert next(reader).name == b"last"
        assert b"".join(reader.chunks()) == b"end"
        with pytest.raises(StopIteration):
            next(reader)
        assert reader.drain() >= 512
    finally:
        os.close(source)
        os.close(target)


def test_an_index_of_a_file_reads_no_content(
    tmp_path: Path, make_tar: MakeTar, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t"
    path.write_bytes(make_tar({f"f{at}": bytes(5_000_000) for at in range(4)}))
    count = 0
    pread = os.pread

    def counting(fd: int, size: int, offset: int) -> bytes:
        nonlocal count
        data = pread(fd, size, offset)
        count += len(data)
        return data

    monkeypatch.setattr(os, "pread", counting)
    fd = os.open(path, os.O_RDONLY)
    assert len(list(TarReader(fd))) == 4
    os.close(fd)
    assert count < 400_000


def test_memory_does_not_grow_with_the_tar() -> None:
    class Endless:
        """A tar of one file of 200 MB, made while it is read."""

        def __init__(self) -> None:
            info = tarfile.TarInfo("f")
            info.size = 200_000_000
            self.head, self.left = info.tobuf(), 200_000_000 + 512 * 1000

        def read(self, size: int, /) -> bytes:
            if self.head:
                data, self.head = self.head, b""
                return data
            data = bytes(min(size, self.left))
            self.left -= len(data)
            return data

    tracemalloc.start()
    reader = TarReader(Endless())
    next(reader)
    assert sum(len(part) for part in reader.chunks()) == 200_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


# Truncated, hostile, out of bounds.


@pytest.mark.parametrize("as_file", [False, True])
def test_every_truncation_is_noticed(make_tar: MakeTar, as_file: bool) -> None:
    data = make_tar({"a" * 150: b"x" * 700, "b": b"y"}, format=tarfile.PAX_FORMAT).rstrip(b"\0")
    whole = {0, 1024 + 512 + 1024}  # nothing at all, or the end of the first file with its padding
    for end in range(0, len(data), 13):
        with _source(data[:end], as_file) as source:
            if end in whole or 1024 + 512 + 700 <= end < 1024 + 512 + 1024:
                assert len(_read(source)) <= 1
            else:
                with pytest.raises(InvalidArchive, match="truncated"):
                    _read(source)


def _bounded(data: bytes, **limits: int) -> None:
    _read(data, limits=Limits(**limits), name="layer x")


def test_bounds_name_themselves(make_tar: MakeTar) -> None:
    data = make_tar({"a" * 200: b"x" * 700, "b": b"y"}, format=tarfile.PAX_FORMAT)
    for limits in ({"entries": 2}, {"name_bytes": 199}, {"header_bytes": 100}, {"total_bytes": 700}):
        with pytest.raises(LimitExceeded, match=f"layer x: .*limit {next(iter(limits))}"):
            _bounded(data, **limits)
    _bounded(data, entries=3, name_bytes=200, header_bytes=300, total_bytes=701)


def test_an_extension_header_that_claims_gigabytes_is_refused_unread(make_tar: MakeTar) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 33
    with pytest.raises(LimitExceeded, match="limit header_bytes"):
        _read(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_000))


@pytest.mark.parametrize(
    ("kind", "message"), [(b"M", "unknown type"), (b"Z", "unknown type"), (b"x", "truncated after an extension")]
)
def test_exotic_entries_are_refused(kind: bytes, message: str) -> None:
    info = tarfile.TarInfo("a")
    info.type = kind
    body = b"11 path=ab\n"
    pairs = tarfile.TarInfo("p")
    pairs.type, pairs.size = tarfile.XHDTYPE, len(body)
    data = pairs.tobuf() + body.ljust(512, b"\0") if kind == b"x" else info.tobuf()
    with pytest.raises(InvalidArchive, match=message):
        _read(data + bytes(1024))


@pytest.mark.parametrize(
    "records",
    [b"x", b"5 a=b\n", b"7 a=b\n", b"99 a=b\n", b"6 a=bc", b"-6 a=b\n", b"0 a=b\n", b"6 abc\n", b"16 uid=12345678x\n",
     b"10 uid=-1\n", b"19 size=1e100000000\n", b"13 path=a\0b\n" , b"12 mtime=x\n", b"17 mtime=1.2.3.4\n"],
)  # fmt: skip
def test_malformed_pax_headers_are_refused(records: bytes) -> None:
    head = tarfile.TarInfo("p")
    head.type, head.size = tarfile.XHDTYPE, len(records)
    with pytest.raises(InvalidArchive):
        _read(head.tobuf() + records.ljust(512, b"\0") + tarfile.TarInfo("a").tobuf() + bytes(1024))


# Sparse files, by GNU tar itself.


@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
@pytest.mark.parametrize("as_file", [False, True])
def test_sparse_files_come_out_with_their_holes(tmp_path: Path, form: str, as_file: bool) -> None:
    parts = {at * 300_000: os.urandom(5000) for at in range(40)}
    size = 20_000_000
    with open(tmp_path / "sparse", "wb") as file:
        for offset, data in parts.items():
            file.seek(offset)
            file.write(data)
        file.truncate(size)
    (tmp_path / "after").write_bytes(b"after")
    options = ["--format=gnu"] if form == "gnu" else ["--format=pax", f"--sparse-version={form}"]
    subprocess.run(["tar", "-cSf", "t.tar", *options, "sparse", "after"], cwd=tmp_path, check=True)
    packed = (tmp_path / "t.tar").read_bytes()
    assert len(packed) < 2_000_000
    expected = (tmp_path / "sparse").read_bytes()
    with _source(packed, as_file) as source, open(tmp_path / "out", "w+b") as out:
        reader = TarReader(source)
        entry = next(reader)
        assert (entry.name, entry.size, entry.contiguous) == (b"sparse", size, False)
        head = b""
        while len(head) < 400_123:
            head += reader.read(400_123 - len(head))
        out.write(head)
        out.flush()
        assert reader.copy_to_fd(out.fileno()) == size - len(head)
        assert os.fstat(out.fileno()).st_blocks * 512 < 2_000_000
        assert next(reader).name == b"after"
        assert reader.read() == b"after"
    assert (tmp_path / "out").read_bytes() == expected
    with pytest.raises(LimitExceeded, match="limit total_bytes"):
        _read(packed, limits=Limits(total_bytes=size - 1))
    with pytest.raises(LimitExceeded, match="limit sparse_parts"):
        _read(packed, limits=Limits(sparse_parts=30))


@pytest.mark.parametrize(
    "pairs", [[(10, 5), (0, 5)], [(0, 5), (3, 5)], [(95, 10)], [(0, 5)], [(0, 20)], [(2**70, 5), (0, 5)]]
)
def test_sparse_maps_that_lie_are_refused(pairs: list[tuple[int, int]]) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("s")
        info.size = 10
        text = ",".join(str(number) for pair in pairs for number in pair)
        info.pax_headers = {"GNU.sparse.size": "100", "GNU.sparse.map": text}
        tar.addfile(info, io.BytesIO(b"0123456789"))
    with pytest.raises(InvalidArchive, match="sparse"):
        _read(out.getvalue())


@pytest.mark.parametrize("refused", [set(), {"copy_file_range"}, {"copy_file_range", "sendfile"}])
def test_copying_falls_back_from_one_system_call_to_the_next(
    tmp_path: Path, make_tar: MakeTar, monkeypatch: pytest.MonkeyPatch, refused: set[str]
) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "t").write_bytes(make_tar({"a": content, "b": content}))
    used = []

    for name in ("copy_file_range", "sendfile"):
        real = getattr(os, name)

        def call(*args: Any, name: str = name, real: Callable[..., int] = real, **options: Any) -> int:
            used.append(name)
            if name in refused:
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return real(*args, **options)

        monkeypatch.setattr(os, name, call)
    source = os.open(tmp_path / "t", os.O_RDONLY)
    reader = TarReader(source)
    for _ in reader:
        with open(tmp_path / "out", "w+b") as out:
            reader.copy_to_fd(out.fileno())
            assert out.read() == b""
        assert (tmp_path / "out").read_bytes() == content
    os.close(source)
    # What was refused once is not tried again.
    assert used.count("copy_file_range") == (1 if refused else 2)
    assert used.count("sendfile") == (0 if not refused else 1 if "sendfile" in refused else 2)
