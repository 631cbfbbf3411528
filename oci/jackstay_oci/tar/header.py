"""One 512-byte tar header taken apart: v7, ustar (POSIX), GNU and star forms. Checks the checksum, nothing else."""

from __future__ import annotations

import struct
import zlib

from msgspec import Struct

from jackstay_oci.errors import InvalidArchive
from jackstay_oci.tar.numbers import parse_number

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)

_FIELDS = struct.Struct("100s8s8s8s12s12s8s1s100s8s64x8s8s155s12x")
_SIGNED = struct.Struct("512b")
_EXTENSIONS = frozenset({b"x", b"X", b"g", b"L", b"K"})
_ZEROS = BLOCK - 65521 // 255  # with more zeros than this, the sum of the rest stays below Adler's modulus


class Header(Struct, frozen=True):
    """The fields as the block has them."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    type: bytes
    linkname: bytes
    devmajor: int
    devminor: int
    block: bytes


def parse_header(block: bytes) -> Header:
    """The header in ``block``.

    Raises:
        InvalidArchive: the checksum or a number is wrong.
    """
    name, mode, uid, gid, size, mtime, checksum, kind, linkname, magic, major, minor, prefix = _FIELDS.unpack(block)
    # The sum counts its own eight bytes as spaces; Sun's tar summed signed bytes.
    told = parse_number(checksum)
    if told - _sum(block) + sum(checksum) - 256 and told != _signed_sum(block):
        raise InvalidArchive("wrong checksum in a tar header")
    name = name.split(b"\0", 1)[0]
    if kind in _EXTENSIONS:  # as many as entries in a PAX archive, and only their size means anything
        return Header(name, 0, 0, 0, parse_number(size), 0, kind, b"", 0, 0, block)
    if magic[:6] == b"ustar\0":
        if block[508:] == b"tar\0":
            prefix = prefix[:131]
        if prefix[0]:
            name = prefix.split(b"\0", 1)[0] + b"/" + name
    has_devices = kind in b"34"
    return Header(
        name,
        parse_number(mode),
        parse_number(uid),
        parse_number(gid),
        parse_number(size),
        parse_number(mtime),
        kind,
        linkname.split(b"\0", 1)[0],
        parse_number(major) if has_devices else 0,
        parse_number(minor) if has_devices else 0,
        block,
    )


def _sum(block: bytes) -> int:
    """The sum of the bytes, many times as fast as ``sum``: it is the lower half of an Adler-32 (RFC 1950, 9), from 1
    on and modulo 65521, which only blocks of hardly any zeros reach."""
    low = (zlib.adler32(block) & 0xFFFF) - 1
    return low if block.count(0) > _ZEROS else sum(block)


def _signed_sum(block: bytes) -> int:
    values: tuple[int, ...] = _SIGNED.unpack(block)
    return sum(values) - sum(values[148:156]) + 256
