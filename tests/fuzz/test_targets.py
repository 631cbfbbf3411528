"""Runs every fuzz target on mutations, and on what it must notice: a target that minds nothing is none."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_oci.archives.archive import Archive
from jackstay_oci.errors import Error
from jackstay_oci.tar.reader import TarReader
from tests.effort import examples
from tests.fuzz import mutations, raw_tar, seeds, targets


@pytest.mark.parametrize("target", targets.TARGETS)
@examples(150)
@given(data=st.data())
def test_nothing_but_the_projects_errors_comes_out(target: str, data: st.DataObject) -> None:
    targets.TARGETS[target](data.draw(mutations.mutated(target)))


@examples(400)
@given(tar=mutations.tars)
def test_tars_of_headers_that_lie(tar: bytes) -> None:
    targets.fuzz_tar_reader(tar)
    targets.fuzz_archive(tar)


@pytest.mark.parametrize("target", targets.TARGETS)
def test_the_corpus_is_what_the_seeds_say(target: str, tmp_path: Path) -> None:
    seeds.write(tmp_path)
    kept = {path.name: path.read_bytes() for path in (seeds.CORPUS / target).iterdir()}
    if target not in ("archive", "compression"):  # where libraries of other versions write other bytes
        made = {path.name: path.read_bytes() for path in (tmp_path / target).iterdir()}
        assert made == kept, "run python -m tests.fuzz.seeds"
    for data in kept.values():
        targets.TARGETS[target](data)


def test_seeds_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused at its first byte leads mutations nowhere."""
    for data in seeds.seeds()["tar_reader"]:
        entries, failed = targets._read_all(io.BytesIO(data[1:]))
        assert entries
        assert failed == ""
    opened = []
    read = Archive.read

    def noting(archive: Archive, *arguments: Any) -> bytes:
        opened.append(archive)
        return read(archive, *arguments)

    monkeypatch.setattr(Archive, "read", noting)
    for data in seeds.seeds()["layout"]:
        opened.clear()
        targets.fuzz_layout(data)
        assert opened, data


class Stranger(Exception):
    """An error that is none of the project's."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint)


HUGE = b"\0" + raw_tar.header(uid=b"\x80" + (1 << 33).to_bytes(7, "big"))


@pytest.mark.parametrize(
    ("target", "broken", "by", "data", "noticed"),
    [
        ("tar_reader", "jackstay_oci.tar.reader.MAX_ID", 1 << 40, HUGE, AssertionError),
        ("documents", "jackstay_oci.documents.InvalidDocument", Stranger, b"[", Stranger),
        ("reference", "jackstay_oci.reference.InvalidReference", Stranger, b"A", Stranger),
        ("names", "jackstay_agent.layers.names.InvalidArchive", Stranger, b"..", Stranger),
    ],
)
def test_a_target_notices(
    monkeypatch: pytest.MonkeyPatch, target: str, broken: str, by: object, data: bytes, noticed: type[Exception]
) -> None:
    targets.TARGETS[target](data)
    monkeypatch.setattr(broken, by)
    with pytest.raises(noticed):
        targets.TARGETS[target](data)


_infos = st.lists(
    st.tuples(
        st.sampled_from([b"0", b"5", b"2", b"1", b"6"]), st.text(min_size=1, max_size=200), st.binary(max_size=700)
    ),
    max_size=5,
)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@examples(60)
@given(infos=_infos, changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=2))
def test_what_python_reads_too_reads_the_same(form: int, infos: Any, changes: list[tuple[int, int]]) -> None:
    """Also when a byte or two are others: where both readers take a tar, they take it for the same files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, errors="surrogateescape") as writer:
        for kind, name, content in infos:
            info = tarfile.TarInfo(name.replace("\0", "0").replace("/", "-"))
            info.type, info.size, info.linkname = (
                kind,
                len(content) if kind == b"0" else 0,
                "t" if kind in b"12" else "",
            )
            writer.addfile(info, io.BytesIO(content))
    data = bytearray(out.getvalue())
    for at, byte in changes:
        data[at % len(data)] = byte
    try:
        ours = [
            (entry.name.rstrip(b"/"), entry.size, entry.uid, reader.read())
            for reader in [TarReader(io.BytesIO(data))]
            for entry in reader
        ]
        with tarfile.open(fileobj=io.BytesIO(data), errorlevel=2, encoding="utf-8", errors="surrogateescape") as read:
            theirs = [
                (
                    member.name.encode("utf-8", "surrogateescape").rstrip(b"/"), member.size if member.isreg() else 0,
                    member.uid, taken.read() if member.isreg() and (taken := read.extractfile(member)) else b"",
                )
                for member in read
            ]  # fmt: skip
    except (Error, tarfile.TarError, ValueError, OSError):
        return
    assert ours == theirs
