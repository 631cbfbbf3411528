"""Numbers as tar headers write them: octal, base-256, and decimal with a fraction for PAX times."""

from __future__ import annotations

from jackstay_oci.errors import InvalidArchive

_BILLION = 1_000_000_000


def parse_number(field: bytes) -> int:
    """The number in a header's field: octal digits ended by NUL or space, or GNU's base-256 (first bit set).

    Raises:
        InvalidArchive: it is neither.
    """
    digits = field[:-1]
    if field[-1] == 0 and digits.isdigit():  # the usual form needs no cutting
        try:
            return int(digits, 8)
        except ValueError:
            raise InvalidArchive(f"malformed number {field!r} in a tar header") from None
    first = field[0]
    if first & 0x80:
        # Two's complement over all bits but the first, which only marks the form.
        return (
            int.from_bytes(field, "big", signed=True)
            if first & 0x40
            else int.from_bytes(field, "big") - (0x80 << (8 * (len(field) - 1)))
        )
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not digits:
        return 0
    try:
        if not digits.isdigit():
            raise ValueError  # int() would take signs and underscores
        return int(digits, 8)
    except ValueError:
        raise InvalidArchive(f"malformed number {field!r} in a tar header") from None


def format_number(value: int, width: int) -> bytes | None:
    """Octal digits and a NUL in ``width`` bytes; ``None`` when it does not fit, and PAX must say it."""
    if not 0 <= value < 8 ** (width - 1):
        return None
    return b"%0*o\0" % (width - 1, value)


def parse_decimal(text: bytes, what: str) -> int:
    """A whole decimal number of a PAX record, not negative.

    Raises:
        InvalidArchive: it is no such number.
    """
    if not text.isdigit() or len(text) > 19:
        raise InvalidArchive(f"malformed {what} {text[:40]!r} in a PAX header")
    return int(text)


def parse_time(text: bytes) -> int:
    """Nanoseconds of a PAX time: ``[-]seconds[.fraction]``; digits past the ninth are dropped.

    Raises:
        InvalidArchive: it is no time.
    """
    whole, _, fraction = text.partition(b".")
    negative = whole.startswith(b"-")
    digits = whole[1:] if negative else whole
    if not digits.isdigit() or len(digits) > 13 or (fraction and not fraction.isdigit()):
        raise InvalidArchive(f"malformed time {text[:40]!r} in a PAX header")
    nanoseconds = int(digits) * _BILLION + int(fraction[:9].ljust(9, b"0"))
    return -nanoseconds if negative else nanoseconds


def format_time(nanoseconds: int) -> bytes:
    """A PAX time, with as few digits as say it."""
    seconds, rest = divmod(abs(nanoseconds), _BILLION)
    text = b"%d" % seconds
    if rest:
        text += (b".%09d" % rest).rstrip(b"0")
    return b"-" + text if nanoseconds < 0 else text
