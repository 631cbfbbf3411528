"""Whatever is done to a tar, its reader ends: with entries, or with one of the library's own errors."""

from __future__ import annotations

import io
import random
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackstay_oci.errors import Error
from jackstay_oci.limits import Limits
from jackstay_oci.tar import header
from jackstay_oci.tar.reader import TarReader

LIMITS = Limits(entries=1000, total_bytes=1 << 20)


def _sample(form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=form, pax_headers={"gid": "4"} if form == tarfile.PAX_FORMAT else {}
    ) as tar:
        for at, name in enumerate(["d/", "d/" + "n" * 200, "é", "link", "sparse"]):
            info = tarfile.TarInfo(name)
            info.type = [tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.REGTYPE][at]
            info.size = 700 if info.type == tarfile.REGTYPE else 0
            info.linkname = "t" * 150 if info.type == tarfile.SYMTYPE else ""
            info.uid = 2**31 - 1
            if form == tarfile.PAX_FORMAT:
                info.pax_headers = {"SCHILY.xattr.user.a": "v", "mtime": "1.5"}
                if name == "sparse":
                    info.pax_headers |= {"GNU.sparse.size": "5000", "GNU.sparse.map": "0,300,1000,400"}
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


SAMPLES = {form: _sample(form) for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)}


def _read(data: bytes) -> int:
    reader = TarReader(io.BytesIO(data), LIMITS)
    return sum(len(part) for _ in reader for part in reader.chunks())


@pytest.mark.parametrize("form", SAMPLES)
def test_the_samples_are_good(form: int) -> None:
    assert _read(SAMPLES[form]) == (700 * 2 + (5000 if form == tarfile.PAX_FORMAT else 700))


@pytest.mark.parametrize("form", SAMPLES)
@settings(max_examples=400)
@given(seed=st.integers(0, 2**40), flips=st.integers(1, 4), fix=st.booleans())
def test_flipped_bits(form: int, seed: int, flips: int, fix: bool) -> None:
    choose = random.Random(seed)
    data = bytearray(SAMPLES[form])
    for _ in range(flips):
        at = choose.randrange(len(data.rstrip(b"\0")))
        data[at] ^= 1 << choose.randrange(8)
        block = at // 512 * 512
        if fix and data[block + 257 : block + 262] == b"ustar":
            # With its checksum put right, what the bit changed is believed.
            data[block + 148 : block + 156] = b" " * 8
            data[block + 148 : block + 156] = b"%06o\0 " % sum(data[block : block + 512])
    try:
        _read(bytes(data))
    except Error:
        return


BLOCKS = [bytes(512), *(data[at : at + 512] for data in SAMPLES.values() for at in range(0, 6144, 512))]


@settings(max_examples=300)
@given(st.binary(max_size=3000) | st.lists(st.sampled_from(BLOCKS), max_size=12).map(b"".join))
def test_rubbish(data: bytes) -> None:
    try:
        _read(data)
    except Error:
        return


def test_a_sum_is_the_sum_whatever_the_bytes() -> None:
    numbers = random.Random(7)
    for zeros in (0, 200, 254, 255, 256, 257, 300, 511, 512):
        block = numbers.randbytes(512 - zeros).replace(b"\0", b"\xff") + bytes(zeros)
        assert header._sum(block) == sum(block)
        assert header._sum(b"\xff" * (512 - zeros) + bytes(zeros)) == 255 * (512 - zeros)
