"""The functions of templates: those of Go's text/template but ``call``, and docker's. Pure.

Lengths and positions in strings count bytes, as Go does; a character that is cut becomes the replacement character.
``call`` is not here: no value of an object is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from jackstay.cli.output.go_values import NO_VALUE, Map, go_text, truth
from jackstay.cli.output.template import comparison, escaping
from jackstay.cli.output.template.errors import Misuse
from jackstay.cli.output.template.printf import sprint, sprintf, sprintln, type_name
from jackstay.cli.output.template.quoting import json_text

Values = list[Any]


@dataclass(frozen=True, slots=True)
class Function:
    """What it does with its values, and how many it takes; ``most`` is ``None`` when there is no bound."""

    call: Callable[[Values], Any]
    least: int
    most: int | None


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise Misuse(f"a string is expected, not {_described(value)}")
    return value


def _integer(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Misuse(f"an integer is expected, not {_described(value)}")
    return value


def _described(value: object) -> str:
    name = type_name(value)
    return "nothing" if name == "<nil>" else f"{name.replace('interface {}', 'any')} {_shortened(go_text(value))}"


def _shortened(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:19]}…"


# --- of text/template ------------------------------------------------------------------------------------------------


def _not(values: Values) -> bool:
    return not truth(values[0])


def _len(values: Values) -> int:
    (value,) = values
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, list | dict):
        return len(value)
    raise Misuse(f"{_described(value)} has no length")


def _index(values: Values) -> Any:
    from jackstay.cli.output.docker_types import typed

    value, *keys = values
    for key in keys:
        if isinstance(value, Map):
            value = value.get(_string(key), value.zero)
        elif isinstance(value, dict):
            value = typed(value, _string(key))
        elif isinstance(value, list):
            value = value[_position(key, len(value) - 1)]
        elif isinstance(value, str):
            octets = value.encode("utf-8", "replace")
            value = octets[_position(key, len(octets) - 1)]
        else:
            raise Misuse(f"{_described(value)} cannot be indexed")
    return value


def _slice(values: Values) -> Any:
    value, *places = values
    whole = value.encode("utf-8", "replace") if isinstance(value, str) else value
    if not isinstance(whole, bytes | list):
        raise Misuse(f"{_described(value)} cannot be sliced")
    if isinstance(whole, bytes) and len(places) == 3:
        raise Misuse("a string is sliced by two positions at most")
    checked = [_position(place, len(whole)) for place in places]
    for first, second in pairwise(checked):
        if first > second:
            raise Misuse(f"invalid slice, {first} is behind {second}")
    begin, end = [*checked[:2], *(0, len(whole))[len(checked[:2]) :]]
    part = whole[begin:end]
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else part


def _position(value: object, last: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Misuse(f"a position must be an integer, not {_described(value)}")
    if not 0 <= value <= last:
        raise Misuse(f"position {value} is out of range")
    return value


def _printf(values: Values) -> str:
    return sprintf(_string(values[0]), values[1:])


def _escaped(escape: Callable[[str], str]) -> Callable[[Values], str]:
    def call(values: Values) -> str:
        shown = [str(NO_VALUE) if value is None or value is NO_VALUE else value for value in values]
        return escape(sprint(shown))

    return call


# --- docker's --------------------------------------------------------------------------------------------------------


def _json(values: Values) -> str:
    return json_text(values[0])


def _join(values: Values) -> str:
    items, separator = values
    if items is NO_VALUE or items is None:
        return ""
    if not isinstance(items, list):
        raise Misuse(f"a list is expected, not {_described(items)}")
    return _string(separator).join(map(_string, items))


def _split(values: Values) -> list[str]:
    text, separator = map(_string, values)
    return text.split(separator) if separator else list(text)


def _title(values: Values) -> str:
    before, parts = " ", []
    for char in _string(values[0]):
        begins = not (before == "_" or before.isalnum() or (not before.isascii() and not before.isspace()))
        parts.append(_one(char, char.title()) if begins else char)
        before = char
    return "".join(parts)


def _upper(values: Values) -> str:
    return "".join(_one(char, char.upper()) for char in _string(values[0]))


def _lower(values: Values) -> str:
    return "".join(_one(char, char.lower()) for char in _string(values[0]))


def _one(char: str, changed: str) -> str:
    return changed if len(changed) == 1 else char


def _pad(values: Values) -> str:
    text, before, after = _string(values[0]), _integer(values[1]), _integer(values[2])
    if min(before, after) < 0 or max(before, after) > 1_000_000:
        raise Misuse("from 0 to 1000000 spaces can be added")
    return f"{' ' * before}{text}{' ' * after}" if text else text


def _truncate(values: Values) -> str:
    octets, length = _string(values[0]).encode("utf-8", "replace"), _integer(values[1])
    if length < 0:
        raise Misuse(f"position {length} is out of range")
    return octets[:length].decode("utf-8", "replace")


def _evaluated(values: Values) -> Any:
    raise AssertionError("`and` and `or` are evaluated where their arguments are")


FUNCTIONS: Mapping[str, Function] = {
    "and": Function(_evaluated, 1, None),
    "eq": Function(comparison.equal, 2, None),
    "ge": Function(comparison.greater_or_equal, 2, 2),
    "gt": Function(comparison.greater, 2, 2),
    "html": Function(_escaped(escaping.html), 0, None),
    "index": Function(_index, 1, None),
    "join": Function(_join, 2, 2),
    "js": Function(_escaped(escaping.js), 0, None),
    "json": Function(_json, 1, 1),
    "le": Function(comparison.less_or_equal, 2, 2),
    "len": Function(_len, 1, 1),
    "lower": Function(_lower, 1, 1),
    "lt": Function(comparison.less, 2, 2),
    "ne": Function(comparison.different, 2, 2),
    "not": Function(_not, 1, 1),
    "or": Function(_evaluated, 1, None),
    "pad": Function(_pad, 3, 3),
    "print": Function(sprint, 0, None),
    "printf": Function(_printf, 1, None),
    "println": Function(sprintln, 0, None),
    "slice": Function(_slice, 1, 4),
    "split": Function(_split, 2, 2),
    "title": Function(_title, 1, 1),
    "truncate": Function(_truncate, 2, 2),
    "upper": Function(_upper, 1, 1),
    "urlquery": Function(_escaped(escaping.urlquery), 0, None),
}
