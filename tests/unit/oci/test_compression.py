from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import igzip

from jackstay_oci.compression import compressing, decompressing, detect, zstd
from jackstay_oci.errors import Error, InvalidArchive, LimitExceeded
from jackstay_oci.limits import Limits

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "isal": igzip.compress,
    "zstd": zstd.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


class Slow:
    """Gives at most ``step`` bytes a read, as sockets may."""

    def __init__(self, data: bytes, step: int) -> None:
        self._file = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._step))


def _plain(packed: bytes, *, step: int = 1 << 20, size: int = 1 << 16, limits: Limits | None = None) -> bytes:
    reader = decompressing(Slow(packed, step), limits=limits or Limits())
    parts = []
    while data := reader.read(size):
        assert len(data) <= size
        parts.append(data)
    return b"".join(parts)


@pytest.mark.parametrize("kind", PACK)
@given(
    data=st.binary(max_size=3000) | st.integers(0, 200_000).map(bytes),
    members=st.integers(1, 3),
    step=st.sampled_from([1, 7, 1 << 20]),
    size=st.sampled_from([100, 258, 1 << 16]),
)
def test_members_in_a_row_read_as_one(kind: str, data: bytes, members: int, step: int, size: int) -> None:
    assert _plain(PACK[kind](data) * members, step=step, size=size) == data * members


@pytest.mark.parametrize("kind", PACK)
def test_truncated_data_never_ends_quietly(kind: str) -> None:
    packed = PACK[kind](random.Random(1).randbytes(5000))
    for end in [*range(8, 40), len(packed) // 2, len(packed) - 9, len(packed) - 4, len(packed) - 1]:
        with pytest.raises(InvalidArchive, match="truncated"):
            _plain(packed[:end])


@pytest.mark.parametrize("kind", PACK)
@given(seed=st.integers(0, 2**32))
def test_flipped_bits_raise_nothing_but_errors(kind: str, seed: int) -> None:
    choose = random.Random(seed)
    plain = bytes(choose.choices(b"ab", k=500))
    packed = bytearray(PACK[kind](plain))
    packed[choose.randrange(HEADS[kind], len(packed))] ^= 1 << choose.randrange(8)
    try:
        _plain(bytes(packed), limits=Limits(total_bytes=1 << 20))
    except Error:
        return


HEADS = dict.fromkeys(PACK, 4)


def test_zstd_skippable_frames_are_passed_over() -> None:
    skippable = struct.pack("<II", 0x184D2A50, 5) + b"hello"
    data = zstd.compress(b"one")
    assert _plain(skippable + data + skippable + data + skippable) == b"oneone"
    assert detect(skippable) == "zstd"


def test_zeros_after_gzip_are_padding_and_other_data_is_not() -> None:
    assert _plain(gzip.compress(b"one") + bytes(300_000)) == b"one"
    assert _plain(gzip.compress(b"one") + bytes(10) + gzip.compress(b"two"), step=1) == b"onetwo"
    with pytest.raises(InvalidArchive, match="other data after"):
        _plain(gzip.compress(b"one") + b"trailing rubbish")


def test_what_is_not_compressed_passes_through() -> None:
    for data in (b"", b"a", b"plain tar bytes" * 1000):
        assert _plain(data, step=3) == data


def test_bombs_are_bounded() -> None:
    bomb = zstd.compress(bytes(64 << 20))
    with pytest.raises(LimitExceeded, match="limit total_bytes"):
        _plain(bomb, limits=Limits(total_bytes=1 << 20))
    with pytest.raises(LimitExceeded, match="limit ratio"):
        _plain(bomb, limits=Limits(ratio=1000, ratio_after=1 << 20))
    assert len(_plain(bomb)) == 64 << 20


@pytest.mark.parametrize("kind", ["none", "gzip", "zstd"])
@given(st.lists(st.binary(max_size=2000)))
def test_compressing_is_reproducible_and_read_back(kind: str, parts: list[bytes]) -> None:
    results = []
    for _ in range(2):
        out = io.BytesIO()
        writer = compressing(out, kind)  # type: ignore[arg-type]
        for part in parts:
            writer.write(part)
        writer.close()
        writer.close()
        results.append(out.getvalue())
    assert results[0] == results[1]
    if kind == "none":
        assert results[0] == b"".join(parts)
    else:
        assert _plain(results[0]) == b"".join(parts)


def test_gzip_carries_no_time_and_no_name() -> None:
    out = io.BytesIO()
    compressing(out, "gzip").close()
    assert out.getvalue()[3:8] == bytes(5)
    assert gzip.decompress(out.getvalue()) == b""
