"""Tars put together by hand, so that they can lie: any field of a header may be anything."""

from __future__ import annotations

from jackstay_oci.tar.header import BLOCK

_FIELDS = {
    "name": (0, 100), "mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "size": (124, 12), "mtime": (136, 12),
    "checksum": (148, 8), "type": (156, 1), "linkname": (157, 100), "magic": (257, 8), "devmajor": (329, 8),
    "devminor": (337, 8), "prefix": (345, 155), "sparse": (386, 96), "more": (482, 1), "realsize": (483, 12),
}  # fmt: skip


def header(kind: bytes = b"0", size: int = 0, **fields: bytes) -> bytes:
    """A header of type *kind*; *fields* are bytes as they come to lie in it. The checksum is right unless given."""
    block = bytearray(BLOCK)
    values = {
        "name": b"a", "mode": b"0000644\0", "uid": b"0000000\0", "gid": b"0000000\0", "size": b"%011o\0" % size,
        "mtime": b"00000000001\0", "type": kind, "magic": b"ustar\x0000", **fields,
    }  # fmt: skip
    for name, value in values.items():
        offset, width = _FIELDS[name]
        block[offset : offset + width] = value[:width].ljust(width, b"\0")
    return bytes(block) if "checksum" in fields else _summed(block)


def entry(kind: bytes = b"0", content: bytes = b"", **fields: bytes) -> bytes:
    """A header and its content, padded."""
    return header(kind, len(content), **fields) + content + bytes(-len(content) % BLOCK)


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    """An extension header with *records* as they are."""
    return entry(kind, records, name=b"pax")


def record(key: bytes, value: bytes) -> bytes:
    """One record of a PAX header, with its right length."""
    rest = len(key) + len(value) + 3
    length = next(length for length in range(rest, rest + 22) if length == rest + len(b"%d" % length))
    return b"%d %b=%b\n" % (length, key, value)


def repaired(data: bytes) -> bytes:
    """*data* with the checksum of every block set right that reads as a header: a mutation would rarely hit on one."""
    blocks = [bytearray(data[at : at + BLOCK]) for at in range(0, len(data), BLOCK)]
    for block in blocks:
        if len(block) == BLOCK and block[257:262] == b"ustar":
            block[:] = _summed(block)
    return b"".join(blocks)


def _summed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
