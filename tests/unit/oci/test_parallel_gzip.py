"""gzip by several threads: one member for every reader, the same bytes whoever makes them, errors that are told."""

from __future__ import annotations

import io
import os
import subprocess
import threading
import zlib

import pytest

from jackstay_oci.errors import DiskFull
from jackstay_oci.parallel_gzip import BLOCK, Writer, parallel_gzip

DATA = os.urandom(BLOCK // 2) * 7 + b"the end"


def packed(data: bytes, threads: int, piece: int = BLOCK) -> bytes:
    out = io.BytesIO()
    with parallel_gzip(out, level=2, threads=threads) as writer:
        for start in range(0, len(data), piece):
            writer.write(data[start : start + piece])
    return out.getvalue()


@pytest.mark.parametrize("data", [b"", b"x", bytes(3 * BLOCK), DATA, os.urandom(2 * BLOCK + 1)])
def test_it_is_one_member_that_others_read(data: bytes) -> None:
    result = packed(data, 2)
    inflate = zlib.decompressobj(wbits=31)
    assert inflate.decompress(result) == data
    assert inflate.eof
    assert inflate.unused_data == b""
    assert subprocess.run(["gzip", "-dc"], input=result, capture_output=True, check=True).stdout == data
    assert result[4:8] == bytes(4)  # no time


def test_the_bytes_do_not_depend_on_the_threads() -> None:
    assert len({packed(DATA, threads) for threads in (1, 2, 3, 8)}) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_what_the_output_raises_is_told_and_no_thread_stays(threads: int) -> None:
    before = threading.active_count()

    class Full:
        taken = 0

        def write(self, data: bytes) -> None:
            self.taken += len(data)
            if self.taken > BLOCK:
                raise DiskFull("no space left")

    def write(writer: Writer) -> None:
        for _ in range(64):
            writer.write(os.urandom(BLOCK))

    with pytest.raises(DiskFull, match="no space left"), parallel_gzip(Full(), level=2, threads=threads) as writer:
        write(writer)
    assert threading.active_count() == before


def test_a_writer_who_fails_leaves_no_thread() -> None:
    before = threading.active_count()

    def write(writer: Writer) -> None:
        writer.write(DATA)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), parallel_gzip(io.BytesIO(), level=2, threads=2) as writer:
        write(writer)
    assert threading.active_count() == before
