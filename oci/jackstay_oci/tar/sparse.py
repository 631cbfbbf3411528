"""Sparse files in tar: where their data lies. GNU's old form and PAX 0.0, 0.1, 1.0 (GNU tar manual, "Sparse Formats").

A map is a list of ``(offset, length)`` in ascending order; what lies between is zeros. Guarantees that a map is in
order, stays inside the file's size, and accounts for exactly the bytes stored.
"""

from __future__ import annotations

from jackstay_oci.errors import InvalidArchive, LimitExceeded
from jackstay_oci.tar.header import BLOCK
from jackstay_oci.tar.numbers import parse_decimal, parse_number
from jackstay_oci.tar.window import Window

SparseMap = list[tuple[int, int]]

_PAIR = 24
_OLD_FIRST, _OLD_NEXT = 4, 21


def old_gnu_map(block: bytes, window: Window, limit: int) -> tuple[SparseMap, int]:
    """The map and the file's size of a header of type ``S``; its continuation blocks are taken from ``window``."""
    size = parse_number(block[483:495])
    parts = _old_pairs(block[386:482], _OLD_FIRST)
    more = block[482]
    while more:
        block = window.take(BLOCK)
        if len(block) < BLOCK:
            raise InvalidArchive("truncated inside a sparse file's map")
        parts += _old_pairs(block, _OLD_NEXT)
        check_count(len(parts), limit)
        more = block[504]
    return parts, size


def _old_pairs(data: bytes, count: int) -> SparseMap:
    parts: SparseMap = []
    for at in range(0, count * _PAIR, _PAIR):
        if not data[at]:
            break
        parts.append((parse_number(data[at : at + 12]), parse_number(data[at + 12 : at + _PAIR])))
    return parts


def pax_map(records: dict[bytes, bytes], pairs: list[tuple[bytes, bytes]], limit: int) -> SparseMap:
    """The map of PAX 0.1 (one record with commas) or 0.0 (a record for each number)."""
    if (text := records.get(b"GNU.sparse.map")) is not None:
        numbers = text.split(b",") if text else []
    else:
        numbers = [value for key, value in pairs if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes")]
    check_count(len(numbers) // 2, limit)
    return _pairs_of(numbers)


def pax_1_map(window: Window, stored: int, limit: int) -> tuple[SparseMap, int]:
    """The map of PAX 1.0, which stands in front of the data, in lines padded to a block; and how many bytes it took."""
    taken = lines = 0
    blocks: list[bytes] = []
    wanted = 1  # lines: the count, then two for each part
    while lines < wanted:
        block = window.take(BLOCK)
        taken += len(block)
        if len(block) < BLOCK or taken > stored:
            raise InvalidArchive("truncated inside a sparse file's map")
        blocks.append(block)
        lines += block.count(b"\n")
        if taken == BLOCK:
            count = parse_decimal(block.split(b"\n", 1)[0], "sparse map")
            check_count(count, limit)
            wanted = 1 + 2 * count
    return _pairs_of(b"".join(blocks).split(b"\n")[1:wanted]), taken


def checked(parts: SparseMap, size: int, stored: int) -> SparseMap:
    """The same map, known to be in order, inside ``size``, and to name ``stored`` bytes.

    Raises:
        InvalidArchive: it is not.
    """
    at = total = 0
    for offset, length in parts:
        if offset < at or length < 0 or offset + length > size:
            raise InvalidArchive("a sparse file's map is out of order or out of bounds")
        at = offset + length
        total += length
    if total != stored:
        raise InvalidArchive(f"a sparse file's map names {total} bytes, {stored} are stored")
    return parts


def _pairs_of(numbers: list[bytes]) -> SparseMap:
    if len(numbers) % 2:
        raise InvalidArchive("a sparse file's map has an odd count of numbers")
    values = [parse_decimal(number, "sparse map") for number in numbers]
    return list(zip(values[::2], values[1::2], strict=True))


def check_count(count: int, limit: int) -> None:
    """Refuse more parts than the bound.

    Raises:
        LimitExceeded: there are more than ``limit``.
    """
    if count > limit:
        raise LimitExceeded(f"a sparse file has more than {limit} parts (limit sparse_parts)")
