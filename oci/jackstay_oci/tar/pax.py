"""PAX extended headers (POSIX, pax, "pax Extended Header"): records ``LENGTH KEY=VALUE\\n``."""

from __future__ import annotations

from collections.abc import Iterable

from jackstay_oci.errors import InvalidArchive

XATTR_PREFIX = b"SCHILY.xattr."


def parse_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """The records in order; a key may come twice (GNU sparse 0.0 does that).

    Raises:
        InvalidArchive: a record is malformed.
    """
    records: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space > at else b""
        if not digits.isdigit():
            if not data[at:].strip(b"\0"):
                break  # some writers pad inside the size
            raise InvalidArchive("malformed record length in a PAX header")
        end = at + int(digits)
        equals = data.find(b"=", space + 1, end)
        if end > len(data) or equals < 0 or data[end - 1 : end] != b"\n":
            raise InvalidArchive("malformed record in a PAX header")
        records.append((data[space + 1 : equals], data[equals + 1 : end - 1]))
        at = end
    return records


def format_records(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The records as bytes, in the order given."""
    return b"".join(_record(key, value) for key, value in records)


def _record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3  # the space, the equals sign, the newline
    length = rest + len(str(rest))
    if len(str(length)) + rest != length:
        length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)
