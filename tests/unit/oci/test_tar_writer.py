from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_oci.errors import InvalidArgument
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.reader import TarReader
from jackstay_oci.tar.writer import TarWriter, header_bytes

_name = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name)
_entries = st.builds(
    Entry,
    name=_name | st.sampled_from([b"a/" * 60 + b"b", b"/".join([b"x" * 99] * 2), b"x" * 155 + b"/" + b"y" * 100]),
    kind=st.sampled_from(Kind),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**31 - 1),
    gid=st.integers(0, 2**31 - 1),
    mtime_ns=st.integers(-(2**62), 2**62),
    linkname=_name,
    devmajor=st.integers(0, 4095),
    devminor=st.integers(0, 2**20 - 1),
    xattrs=st.dictionaries(st.sampled_from([b"user.a", b"security.capability", b"trusted.x"]), st.binary(max_size=300)),
)


def _written(entries: list[tuple[Entry, bytes]], **options: bool) -> bytes:
    out = io.BytesIO()
    with TarWriter(out, **options) as tar:
        for entry, content in entries:
            tar.add(entry, content)
    return out.getvalue()


def _seen(entry: Entry, size: int, nanoseconds: bool) -> Entry:
    """The entry as a reader has to see it."""
    has_link = entry.kind in (Kind.SYMLINK, Kind.HARDLINK)
    has_device = entry.kind in (Kind.CHARACTER, Kind.BLOCK)
    is_old_folder = entry.kind is Kind.FILE and entry.name.endswith(b"/")
    return Entry(
        name=entry.name,
        kind=Kind.DIRECTORY if is_old_folder else entry.kind,
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        size=0 if is_old_folder else size,
        mtime_ns=entry.mtime_ns if nanoseconds else entry.mtime_ns // 10**9 * 10**9,
        linkname=entry.linkname if has_link else b"",
        devmajor=entry.devmajor if has_device else 0,
        devminor=entry.devminor if has_device else 0,
        xattrs=entry.xattrs,
    )


def _comparable(entry: Entry) -> Entry:
    return Entry(**{name: getattr(entry, name) for name in entry.__struct_fields__ if name != "offset"})


@given(st.lists(st.tuples(_entries, st.binary(max_size=1500)), max_size=5), st.booleans())
def test_what_is_written_reads_the_same(items: list[tuple[Entry, bytes]], nanoseconds: bool) -> None:
    given_entries = []
    for entry, content in items:
        is_file = entry.kind is Kind.FILE and not entry.name.endswith(b"/")
        data = content if is_file else b""
        sized = Entry(**{name: getattr(entry, name) for name in entry.__struct_fields__} | {"size": len(data)})
        given_entries.append((sized, data))
    packed = _written(given_entries, nanoseconds=nanoseconds)
    assert packed == _written(given_entries, nanoseconds=nanoseconds)
    assert len(packed) % 10240 == 0
    reader = TarReader(io.BytesIO(packed))
    found = [(_comparable(entry), reader.read()) for entry in reader]
    assert found == [(_seen(entry, len(data), nanoseconds), data) for entry, data in given_entries]


_text_name = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=200)


@given(st.lists(st.tuples(_text_name, st.binary(max_size=800)), max_size=5))
def test_tarfile_reads_the_same(files: list[tuple[str, bytes]]) -> None:
    packed = _written([(Entry(name=n.encode(), size=len(d), mtime_ns=10**9, uid=3), d) for n, d in files])
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        found = []
        for info in tar:
            file = tar.extractfile(info)
            assert file is not None
            found.append((info.name, file.read()))
            assert (info.mtime, info.uid, info.uname, info.gname) == (1, 3, "", "")
    assert found == files


def test_gnu_tar_unpacks_it(tmp_path: Path) -> None:
    long = "d" * 90 + "/" + "e" * 120
    entries = [
        (Entry(name=b"d" * 90 + b"/", kind=Kind.DIRECTORY, mode=0o755), b""),
        (Entry(name=long.encode(), size=4, mode=0o640, mtime_ns=-5 * 10**9), b"data"),
        (Entry(name=b"link", kind=Kind.SYMLINK, linkname=long.encode()), b""),
        (Entry(name=b"hard", kind=Kind.HARDLINK, linkname=long.encode()), b""),
        (Entry(name=b"\xff\xfe", size=1), b"x"),
    ]
    (tmp_path / "t.tar").write_bytes(_written(entries))
    subprocess.run(["tar", "-xf", "t.tar"], cwd=tmp_path, check=True)
    assert (tmp_path / "link").read_bytes() == b"data"
    assert (tmp_path / "hard").stat().st_nlink == 2
    assert (tmp_path / long).stat().st_mtime == -5
    assert (tmp_path / os.fsdecode(b"\xff\xfe")).read_bytes() == b"x"


def test_sizes_past_eight_gigabytes_are_said_in_pax() -> None:
    head = header_bytes(Entry(name=b"big", size=9 << 30))
    assert b"size=9663676416\n" in head
    entry = next(TarReader(io.BytesIO(head)))
    assert entry.size == 9 << 30


@pytest.mark.parametrize("seconds", [1 << 40, -(1 << 40), 10**12, 1, -1])
def test_every_time_that_is_read_is_written_so_that_it_is_read_again(seconds: int) -> None:
    packed = _written([(Entry(name=b"late", mtime_ns=seconds * 10**9), b"")], nanoseconds=True)
    assert [entry.mtime_ns for entry in TarReader(io.BytesIO(packed))] == [seconds * 10**9]


def test_content_from_a_reader_and_from_a_descriptor(tmp_path: Path) -> None:
    data = os.urandom(600_001)
    (tmp_path / "f").write_bytes(b"skip" + data)
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    os.lseek(fd, 4, os.SEEK_SET)
    out = io.BytesIO()
    with TarWriter(out) as tar:
        tar.add(Entry(name=b"a", size=len(data)), io.BytesIO(data))
        tar.add(Entry(name=b"b", size=len(data)), fd)
        tar.add(Entry(name=b"c", size=len(data)), data)
    os.close(fd)
    reader = TarReader(io.BytesIO(out.getvalue()))
    assert [reader.read() for _ in reader] == [data] * 3


@pytest.mark.parametrize(
    "entry",
    [
        Entry(name=b""), Entry(name=b"a\0b"), Entry(name=b"a", uid=2**31), Entry(name=b"a", gid=-1),
        Entry(name=b"l", kind=Kind.SYMLINK, linkname=b"\0"), Entry(name=b"d", kind=Kind.BLOCK, devmajor=1 << 30),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused(entry: Entry) -> None:
    with pytest.raises(InvalidArgument):
        header_bytes(entry)


def test_content_that_is_not_as_long_as_promised_is_refused() -> None:
    for content in (b"abc", io.BytesIO(b"abc"), None):
        with pytest.raises(InvalidArgument):
            TarWriter(io.BytesIO()).add(Entry(name=b"a", size=4), content)


def test_an_error_leaves_the_tar_without_its_end() -> None:
    out = io.BytesIO()

    def fail_after_one_entry() -> None:
        with TarWriter(out) as tar:
            tar.add(Entry(name=b"a", size=1), b"x")
            tar.add(Entry(name=b""))

    with pytest.raises(InvalidArgument):
        fail_after_one_entry()
    assert len(out.getvalue()) == 1024
