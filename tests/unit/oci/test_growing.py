"""A file that is read while it is written."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jackstay_oci.digest import Digest
from jackstay_oci.growing import BrokeOff, GrowingRegion, Growth
from jackstay_oci.tar.entries import Entry
from jackstay_oci.tar.reader import TarReader
from jackstay_oci.tar.writer import TarWriter


class File:
    """A file that grows, and both ends of it."""

    def __init__(self, path: Path, size: int) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        self.growth = Growth(os.open(path, os.O_RDONLY), size)
        self.offset = 0

    def write(self, data: bytes) -> None:
        self.offset += os.write(self.descriptor, data)
        self.growth.grown(self.offset)

    def region(self) -> GrowingRegion:
        return GrowingRegion(self.growth.data, self.growth.told)

    def close(self) -> None:
        self.growth.stop()
        self.growth.close_reader()
        os.close(self.descriptor)


Grow = Callable[[int], File]


@pytest.fixture
def grow(tmp_path: Path) -> Iterator[Grow]:
    made: list[File] = []

    def make(size: int) -> File:
        made.append(File(tmp_path / str(len(made)), size))
        return made[-1]

    yield make
    for file in made:
        file.close()


def test_what_is_there_is_read_at_once_and_what_is_not_is_waited_for(grow: Grow) -> None:
    file = grow(10)
    file.write(b"01234")
    region = file.region()
    assert (region.length, region.pread(0, 100), region.pread(4, 1), region.reach(3)) == (10, b"01234", b"4", 5)

    def later() -> None:
        time.sleep(0.05)
        file.write(b"567")

    writer = threading.Thread(target=later)
    begun = time.monotonic()
    writer.start()
    assert region.pread(5, 100) == b"567"
    assert time.monotonic() - begun > 0.04
    writer.join()
    assert region.pread(10, 1) == b""


def test_a_file_that_breaks_off_ends_the_wait(grow: Grow) -> None:
    file = grow(10)
    file.write(b"0123456789")
    region = file.region()
    assert region.read(-1) == b"0123456789"
    file.growth.stop()
    with pytest.raises(BrokeOff, match="after 10 bytes"):  # all bytes came, and nobody said that they are right
        region.digest()
    empty = grow(10)
    region = empty.region()
    empty.growth.stop()
    with pytest.raises(BrokeOff, match="after 0 bytes"):
        region.pread(0, 1)


def test_the_digest_comes_last_and_from_the_writer(grow: Grow) -> None:
    file = grow(0)
    digest = Digest.of(b"whatever the writer says")
    file.growth.whole(digest)
    region = file.region()
    assert (region.pread(0, 1), region.digest()) == (b"", digest)


def test_the_writer_never_waits_and_a_slow_reader_hears_the_end(grow: Grow) -> None:
    file = grow(200_000)
    for _ in range(200_000):
        file.write(b"x")
    file.growth.whole(Digest.of(b"x" * 200_000))
    region = file.region()
    assert len(region.pread(199_000, 10_000)) == 1000
    assert region.digest() == Digest.of(b"x" * 200_000)


def test_a_reader_who_leaves_disturbs_nobody(grow: Grow) -> None:
    file = grow(5)
    file.growth.close_reader()
    file.write(b"01234")
    file.growth.whole(Digest.of(b"01234"))
    file.growth.stop()


def test_a_tar_is_read_as_it_grows(grow: Grow, tmp_path: Path) -> None:
    contents = {
        b"small": b"s" * 100,
        b"large": random.Random(1).randbytes(1_500_000),
        b"empty": b"",
        b"end": b"e" * 5000,
    }
    whole = tmp_path / "whole.tar"
    with whole.open("wb") as out:
        writer = TarWriter(out)
        for name, data in contents.items():
            writer.add(Entry(name=name, size=len(data)), data)
        writer.close()
    data = whole.read_bytes()
    file = grow(len(data))

    def write() -> None:
        at = 0
        while at < len(data):
            step = random.choice([1, 511, 512, 513, 40_000, 300_000])
            file.write(data[at : at + step])
            at += step
            time.sleep(0.001)
        file.growth.whole(Digest.of(data))

    thread = threading.Thread(target=write)
    thread.start()
    region = file.region()
    reader = TarReader(region)
    found = {}
    for entry in reader:
        target = tmp_path / "file"
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        reader.copy_to_fd(descriptor)
        os.close(descriptor)
        found[entry.name] = target.read_bytes()
    assert found == contents
    assert region.digest() == Digest.of(data)
    thread.join()
