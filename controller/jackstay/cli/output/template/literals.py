"""Go's literals: quoted strings, characters, numbers. Pure."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\\(?:(?P<short>[abfnrtv\\'\"])|x(?P<byte>[0-9A-Fa-f]{2})|(?P<octal>[0-3][0-7]{2})"
    r"|u(?P<four>[0-9A-Fa-f]{4})|U(?P<eight>[0-9A-Fa-f]{8}))",
    re.ASCII,
)
_SHORT = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:_\d+)*)?\.?(?:\d+(?:_\d+)*)?(?:[eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9A-Fa-f])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?\d)*)", re.ASCII
)
_HEX_FLOAT = re.compile(r"[+-]?0[xX][0-9A-Fa-f]*\.?[0-9A-Fa-f]*[pP][+-]?\d+", re.ASCII)
_WORD = 64


def unquote(token: str) -> str | None:
    """The text of a literal in double quotes; ``None`` when an escape in it is none of Go's."""
    parts: list[bytes] = []
    at, end = 1, len(token) - 1
    while at < end:
        stop = token.find("\\", at, end)
        if stop != at:
            stop = end if stop < 0 else stop
            parts.append(token[at:stop].encode("utf-8", "replace"))
            at = stop
            continue
        match = _ESCAPE.match(token, at, end)
        if match is None or match["short"] == "'":
            return None
        piece = _escaped(match)
        if piece is None:
            return None
        parts.append(piece)
        at = match.end()
    return b"".join(parts).decode("utf-8", "replace")


def character(token: str) -> int | None:
    """The code point of a literal in single quotes; ``None`` when it is not one character."""
    inner = token[1:-1]
    if len(inner) == 1 and inner != "\\":
        return ord(inner)
    match = _ESCAPE.fullmatch(inner)
    if match is None or match["short"] == '"':
        return None
    if match["byte"] or match["octal"]:
        return int(match["byte"], 16) if match["byte"] else int(match["octal"], 8)
    piece = _escaped(match)
    return None if piece is None else ord(piece.decode())


def number(token: str) -> int | float | None:
    """An integer, also as ``0x1F``, ``0b1``, ``017``, ``1_000``; or a float; ``None`` when it is neither."""
    if _INTEGER.fullmatch(token):
        digits = token.replace("_", "").lstrip("+-").lower()
        octal = len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567"
        value = int(digits, 8 if octal else 0)
        value = -value if token[0] == "-" else value
        return value if -(1 << _WORD - 1) <= value < 1 << _WORD - 1 else None
    if _HEX_FLOAT.fullmatch(token):
        try:
            return float.fromhex(token)
        except (ValueError, OverflowError):
            return None
    if _DECIMAL.fullmatch(token) and any(char.isdigit() for char in token) and re.search(r"[.eE]", token):
        try:
            value_ = float(token.replace("_", ""))
        except ValueError:
            return None
        return value_ if abs(value_) != float("inf") else None
    return None


def _escaped(match: re.Match[str]) -> bytes | None:
    if match["short"]:
        return _SHORT[match["short"]].encode()
    if match["byte"]:
        return bytes([int(match["byte"], 16)])
    if match["octal"]:
        return bytes([int(match["octal"], 8)])
    code = int(match["four"] or match["eight"], 16)
    return None if code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code).encode()
