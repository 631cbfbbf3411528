"""What anybody may rely on of a blob store. The store on disk is the one implementation; others join ``STORES``."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jackstay_oci.digest import Digest
from jackstay_oci.errors import (
    Busy,
    DigestMismatch,
    DiskFull,
    InvalidArgument,
    InvalidDigest,
    InvalidDocument,
    LimitExceeded,
    NotFound,
)
from jackstay_oci.store import ingest as ingest_module
from jackstay_oci.store.blobs import FAULT_POINTS, BlobStore

DATA = b"the bytes of a blob" * 1000
DIGEST = Digest.of(DATA)

STORES: dict[str, Callable[[Path], BlobStore]] = {"disk": BlobStore}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return STORES[request.param](tmp_path / "store")


def _commit(store: BlobStore, ref: str = "r", data: bytes = DATA) -> Digest:
    with store.ingest(ref) as ingest:
        ingest.write(data)
        return ingest.commit()


def _is_empty(store: BlobStore) -> bool:
    return not list(store.walk()) and not list((store.root / "ingest").iterdir())


# Blobs.


def test_a_committed_blob_is_there(store: BlobStore) -> None:
    assert _commit(store) == DIGEST
    assert store.has(DIGEST)
    assert store.size(DIGEST) == len(DATA)
    assert list(store.walk()) == [(DIGEST, len(DATA))]
    assert list(store.ingests()) == []
    fd = store.open(DIGEST)
    try:
        assert os.read(fd, len(DATA) + 1) == DATA
        assert not os.get_inheritable(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(fd, b"x")
    finally:
        os.close(fd)
    with store.open_blob(DIGEST) as reader:
        assert reader.read(3) == DATA[:3]
    assert stat.S_IMODE(store.path(DIGEST).stat().st_mode) == 0o444
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


def test_another_process_may_write_to_an_ingest(store: BlobStore) -> None:
    with store.ingest("r") as ingest:
        subprocess.run(["printf", "%s", "written"], stdout=ingest.descriptor, check=True)
        ingest.adopt(Digest.of(b"written"), 7)
        assert (ingest.digest, ingest.offset) == (Digest.of(b"written"), 7)
        assert ingest.commit(7, Digest.of(b"written")) == Digest.of(b"written")
    assert store.read(Digest.of(b"written")) == b"written"
    with store.ingest("r") as ingest:
        subprocess.run(["printf", "%s", "cut"], stdout=ingest.descriptor, check=True)
        with pytest.raises(DigestMismatch, match="3 bytes were written, expected 7"):
            ingest.adopt(Digest.of(b"written"), 7)


def test_what_is_not_there_is_not_found(store: BlobStore) -> None:
    assert not store.has(DIGEST)
    for ask in (store.size, store.open, store.open_blob, store.read):
        with pytest.raises(NotFound, match=DIGEST.hex):
            ask(DIGEST)
    assert store.delete(DIGEST) is False


def test_no_path_is_made_of_what_is_no_digest(store: BlobStore) -> None:
    for text in ("sha256:../../x", "x", "sha256:" + "A" * 64):
        for ask in (store.has, store.size, store.open, store.path, store.delete):
            with pytest.raises(InvalidDigest):
                ask(text)  # type: ignore[arg-type]  # what a caller that forgets to parse would do
        with pytest.raises(InvalidDigest):
            store.ingest("r", expected=text)  # type: ignore[arg-type]


def test_deleting_leaves_open_readers_alone(store: BlobStore) -> None:
    _commit(store)
    fd = store.open(DIGEST)
    assert store.delete(DIGEST) is True
    assert os.read(fd, len(DATA)) == DATA
    os.close(fd)
    assert _is_empty(store)


def test_put_and_read_are_for_documents(store: BlobStore) -> None:
    assert store.put(b"{}") == store.put(b"{}") == Digest.of(b"{}")
    assert store.read(Digest.of(b"{}")) == b"{}"
    with pytest.raises(InvalidDocument, match="at most 1"):
        store.read(Digest.of(b"{}"), limit=1)
    assert list(store.ingests()) == []


def test_rubbish_among_the_blobs_is_no_blob(store: BlobStore) -> None:
    folder = store.path(DIGEST).parent
    (folder / "README").write_text("x")
    (folder / ("b" * 64)).mkdir()
    (folder / ("c" * 64)).symlink_to("/etc/passwd")
    assert list(store.walk()) == []
    assert not store.has(Digest.parse("sha256:" + "c" * 64))
    with pytest.raises(OSError, match="symbolic links"):
        store.open(Digest.parse("sha256:" + "c" * 64))


# Ingests: going on where they stopped.


def test_an_ingest_goes_on_where_it_stopped(store: BlobStore) -> None:
    with store.ingest("layer 1", total=len(DATA)) as ingest:
        assert ingest.offset == 0
        ingest.write(DATA[:777])
    [status] = store.ingests()
    assert (status.ref, status.offset, status.total) == ("layer 1", 777, len(DATA))
    assert 0 < status.started_ns <= status.updated_ns
    again = BlobStore(store.root).ingest("layer 1")
    assert again.offset == 777
    assert again.digest == Digest.of(DATA[:777])
    again.write(memoryview(DATA)[777:])
    assert again.commit(len(DATA), DIGEST) == DIGEST
    assert store.read(DIGEST) == DATA


def test_an_ingest_larger_than_it_may_be_begins_anew(store: BlobStore) -> None:
    with store.ingest("r") as ingest:
        ingest.write(b"x" * 100)
    with store.ingest("r", total=50) as ingest:
        assert ingest.offset == 0


def test_bytes_received_can_be_read_before_and_through_the_commit(store: BlobStore) -> None:
    ingest = store.ingest("r")
    ingest.write(DATA[:100])
    fd = store.open_ingest("r")
    ingest.write(DATA[100:])
    ingest.commit()
    assert os.pread(fd, len(DATA), 0) == DATA
    os.close(fd)
    with pytest.raises(NotFound):
        store.open_ingest("r")


def test_more_than_the_total_is_refused_and_nothing_of_it_kept(store: BlobStore) -> None:
    with store.ingest("r", total=10) as ingest:
        ingest.write(b"12345")
        with pytest.raises(LimitExceeded, match="10 bytes"):
            ingest.write(b"678901")
        assert ingest.offset == 5
        ingest.write(b"67890")
        ingest.commit()
    assert store.has(Digest.of(b"1234567890"))


@pytest.mark.parametrize("ref", ["", "x" * 5000])
def test_names_of_ingests_are_bounded(store: BlobStore, ref: str) -> None:
    with pytest.raises(InvalidArgument):
        store.ingest(ref)


@pytest.mark.parametrize("ref", ["../../x", "a/b", "\udcff", "ü", "-", "."])
def test_names_of_ingests_are_no_paths(store: BlobStore, ref: str) -> None:
    with store.ingest(ref):
        assert [status.ref for status in store.ingests()] == [ref]
    store.abort(ref)
    assert _is_empty(store)


# Ingests: wrong bytes.


@pytest.mark.parametrize("wrong", ["size", "digest", "expected", "total"])
def test_wrong_bytes_are_deleted_at_once(store: BlobStore, wrong: str) -> None:
    expected = Digest.of(b"other") if wrong == "expected" else None
    ingest = store.ingest("r", expected=expected, total=len(DATA) + 1 if wrong == "total" else None)
    ingest.write(DATA)
    size = len(DATA) + 1 if wrong == "size" else None
    with pytest.raises(DigestMismatch, match="ingest r"):
        ingest.commit(size, Digest.of(b"other") if wrong == "digest" else None)
    assert _is_empty(store)
    with pytest.raises(ValueError, match="closed"):
        ingest.write(b"x")


def test_bytes_damaged_between_two_runs_are_noticed(store: BlobStore) -> None:
    with store.ingest("r") as ingest:
        ingest.write(DATA[:500])
    [folder] = (store.root / "ingest").iterdir()
    with open(folder / "data", "r+b") as file:
        file.write(b"!")
    ingest = store.ingest("r", expected=DIGEST)
    ingest.write(DATA[500:])
    with pytest.raises(DigestMismatch):
        ingest.commit()
    assert _is_empty(store)


def test_committing_what_is_there_already_is_no_error(store: BlobStore) -> None:
    _commit(store)
    inode = store.path(DIGEST).stat().st_ino
    assert _commit(store, "other") == DIGEST
    assert store.path(DIGEST).stat().st_ino == inode
    assert list(store.ingests()) == []


def test_a_blob_cut_short_on_disk_is_replaced(store: BlobStore) -> None:
    _commit(store)
    os.chmod(store.path(DIGEST), 0o600)
    os.truncate(store.path(DIGEST), 5)
    _commit(store)
    assert store.read(DIGEST) == DATA


# Ingests: several at once.


def test_one_writer_an_ingest(store: BlobStore) -> None:
    ingest = store.ingest("r")
    with pytest.raises(Busy, match="ingest r"):
        BlobStore(store.root).ingest("r")
    with store.ingest("other") as other:
        other.write(b"x")
    ingest.close()
    store.ingest("r").abort()


def test_one_writer_across_processes_and_the_lock_dies_with_it(store: BlobStore) -> None:
    script = (
        "import sys; from jackstay_oci.store.blobs import BlobStore\n"
        f"i = BlobStore({str(store.root)!r}).ingest('r'); i.write(b'abc'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(Busy):
            store.ingest("r")
        child.kill()
        child.wait()
        with store.ingest("r") as ingest:
            assert ingest.offset == 3


def test_many_threads_with_one_name_make_one_blob(store: BlobStore) -> None:
    results: list[str] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(20):
            try:
                with store.ingest("same", total=len(DATA)) as ingest:
                    ingest.write(DATA[ingest.offset :])
                    ingest.commit(digest=DIGEST)
                results.append("committed")
            except Busy:
                results.append("busy")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 160
    assert "committed" in results
    assert store.read(DIGEST) == DATA
    assert list((store.root / "ingest").iterdir()) == []


def test_many_threads_with_many_names_make_one_blob(store: BlobStore) -> None:
    digests: list[Digest] = []
    threads = [threading.Thread(target=lambda at=at: digests.append(_commit(store, f"r{at}"))) for at in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == [DIGEST] * 12
    assert list(store.walk()) == [(DIGEST, len(DATA))]


def test_an_abort_under_a_writer_fails_its_commit_and_nothing_else(store: BlobStore) -> None:
    old = store.ingest("r")
    old.write(DATA)
    store.abort("r")
    new = store.ingest("r")
    assert new.offset == 0
    new.write(b"new")
    with pytest.raises(NotFound, match="aborted"):
        old.commit()
    assert new.commit() == Digest.of(b"new")
    assert [digest for digest, _ in store.walk()] == [Digest.of(b"new")]
    with pytest.raises(NotFound):
        store.abort("r")


# A full disk.


def _full_after(monkeypatch: pytest.MonkeyPatch, count: int, code: int) -> None:
    """The kernel takes ``count`` more bytes in writes, the last one in part."""
    real = os.write
    left = count

    def write(fd: int, data: bytes | memoryview) -> int:
        nonlocal left
        if left <= 0:
            raise OSError(code, os.strerror(code))
        written = real(fd, memoryview(data)[:left])
        left -= written
        return written

    monkeypatch.setattr(ingest_module.os, "write", write)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_the_ingest_goes_on_later(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with monkeypatch.context() as patch:
        _full_after(patch, 700, code)
        with store.ingest("r") as ingest:
            with pytest.raises(DiskFull, match="ingest r") as caught:
                ingest.write(DATA)
            assert caught.value.hint
            assert ingest.offset == 700
    with store.ingest("r") as ingest:
        assert ingest.offset == 700
        ingest.write(DATA[700:])
        assert ingest.commit() == DIGEST


def test_other_errors_of_the_disk_stay_what_they_are(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    _full_after(monkeypatch, 0, errno.EIO)
    with store.ingest("r") as ingest, pytest.raises(OSError, match="Input/output error"):
        ingest.write(DATA)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB, 20 inodes."""
    where = tmp_path / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=20", "jackstay-test", where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


@pytest.mark.lab
def test_a_really_full_disk(small_disk: Path) -> None:
    store = BlobStore(small_disk / "store")
    with store.ingest("r") as ingest:
        with pytest.raises(DiskFull):
            ingest.write(bytes(2 << 20))
        assert 0 < ingest.offset <= 1 << 20
        received = ingest.offset
        assert ingest.digest == Digest.of(bytes(received))
    store.abort("r")

    def use_up_all_inodes() -> None:
        for at in range(20):
            store.ingest(f"r{at}").close()

    with pytest.raises(DiskFull):
        use_up_all_inodes()


# Cut anywhere.


class Cut(BaseException):
    """Stands for SIGKILL: nothing catches it by name."""


def test_every_step_is_a_fault_point_and_a_cut_there_leaves_the_blob_or_the_ingest(tmp_path: Path) -> None:
    seen: list[str] = []
    store = BlobStore(tmp_path / "all", fault=seen.append)
    _commit(store)
    _commit(store, "again")
    store.ingest("r").abort()
    store.ingest("r").close()
    assert store.evict("r")
    store.delete(DIGEST)
    (store.root / "ingest" / ("a" * 64)).mkdir()
    assert store.sweep() == 1
    assert {*seen, "content.write.begun"} == set(FAULT_POINTS)
    assert len(set(FAULT_POINTS)) == len(FAULT_POINTS)

    for point in sorted({point for point in seen if "commit" in point or "ingest." in point}):
        root = tmp_path / point

        def die(reached: str, point: str = point) -> None:
            if reached == point:
                raise Cut

        if "existed" in point:
            _commit(BlobStore(root))
        with pytest.raises(Cut):
            _commit(BlobStore(root, fault=die))
        after = BlobStore(root)
        after.sweep()
        assert _retry(after) == DIGEST
        assert after.read(DIGEST) == DATA
        assert [digest for digest, _ in after.walk()] == [DIGEST]
        assert list(after.ingests()) == []


def _retry(store: BlobStore) -> Digest:
    with store.ingest("r", expected=DIGEST, total=len(DATA)) as ingest:
        ingest.write(DATA[ingest.offset :])
        return ingest.commit()


@pytest.mark.parametrize("point", ["content.commit.synced", "content.commit.renamed", "content.ingest.named"])
def test_a_real_sigkill_at_a_fault_point(tmp_path: Path, point: str) -> None:
    script = (
        "import os, signal; from jackstay_oci.store.blobs import BlobStore\n"
        f"def die(p):\n    if p == {point!r}: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"i = BlobStore({str(tmp_path)!r}, fault=die).ingest('r'); i.write(b'the bytes of a blob' * 1000); i.commit()"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    store = BlobStore(tmp_path)
    store.sweep()
    for digest, size in store.walk():
        assert (digest, size) == (DIGEST, len(DATA))
    assert _retry(store) == DIGEST
    assert store.read(DIGEST) == DATA
    assert list((tmp_path / "ingest").iterdir()) == []


def test_sweep_leaves_what_can_go_on_and_what_is_held(store: BlobStore) -> None:
    with store.ingest("kept") as kept:
        kept.write(b"x")
    (store.root / "ingest" / ("a" * 64)).mkdir()
    held = store.root / "ingest" / ("b" * 64)
    held.mkdir()
    fd = os.open(held, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert store.sweep() == 1
    os.close(fd)
    assert sorted(path.name[:1] for path in (store.root / "ingest").iterdir() if set(path.name) == {"b"}) == ["b"]
    assert [status.ref for status in store.ingests()] == ["kept"]


def test_data_begins_to_be_written_out_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "WRITE_OUT_EVERY", 1000)
    seen: list[str] = []
    with BlobStore(tmp_path, fault=seen.append).ingest("r") as ingest:
        for _ in range(5):
            ingest.write(b"x" * 500)
    assert seen.count("content.write.begun") == 2


# Any order of doing things.


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(min_size=1, max_size=5000), cuts=st.lists(st.integers(0, 5000), max_size=5), number=st.integers())
def test_any_number_of_interruptions_gives_the_same_blob(
    store: BlobStore, data: bytes, cuts: list[int], number: int
) -> None:
    ref = f"r{number}"
    for cut in sorted(min(cut, len(data)) for cut in cuts):
        with store.ingest(ref) as ingest:
            ingest.write(data[ingest.offset : cut])
    with store.ingest(ref, expected=Digest.of(data), total=len(data)) as ingest:
        ingest.write(data[ingest.offset :])
        digest = ingest.commit()
    assert digest == Digest.of(data)
    assert store.read(digest) == data


def test_an_ingest_is_evicted_only_when_nobody_writes_to_it(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with store.ingest("r") as ingest:
        ingest.write(b"half")
        assert not store.evict("r")
        assert [status.offset for status in store.ingests()] == [4]
    assert store.evict("r")
    assert list(store.ingests()) == []
