"""Strings in quotes, and strings in JSON, as Go writes them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from jackstay.cli.output.go_values import NO_VALUE, Map, NilList, NilMap, Row, members
from jackstay.cli.output.template.floats import json_number

_SHORT = {7: "a", 8: "b", 12: "f", 10: "n", 13: "r", 9: "t", 11: "v", 92: "\\"}


def quoted(text: str, quote: str = '"', *, ascii_only: bool = False) -> str:
    """``strconv.Quote``: what cannot be printed as an escape."""
    return f"{quote}{''.join(_quoted(char, quote, ascii_only) for char in text)}{quote}"


def can_stand_in_backquotes(text: str) -> bool:
    """Whether ``%#q`` may leave the text as it is."""
    return all(char == "\t" or (char.isprintable() and char not in "`\ufeff") for char in text)


def _quoted(char: str, quote: str, ascii_only: bool) -> str:
    code = ord(char)
    if char == quote:
        return f"\\{char}"
    if code in _SHORT:
        return f"\\{_SHORT[code]}"
    if char.isprintable() and (code < 0x80 or not ascii_only):
        return char
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_text(value: object) -> str:
    """Docker's ``json``: one line, no spaces, nothing escaped for HTML; a map's keys are sorted."""
    if isinstance(value, str):
        # Go writes these two as escapes, since JavaScript once took them for ends of lines.
        text = json.dumps(value, ensure_ascii=False)
        return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    if value is None or value is NO_VALUE or isinstance(value, NilList | NilMap):
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, list):
        return f"[{','.join(map(json_text, value))}]"
    if isinstance(value, Map | Row):
        return _object(dict(members(value)))
    if isinstance(value, dict):
        return _object(value)
    return str(value)


def _object(value: Mapping[str, object]) -> str:
    return f"{{{','.join(f'{json_text(key)}:{json_text(member)}' for key, member in value.items())}}}"
