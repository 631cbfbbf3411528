"""Go's view of JSON values: which dict is a map and which a struct, what "nothing" is, how ``%v`` prints it all. Pure.

JSON values stand for Go's as follows. ``str``, ``bool``, ``int`` and ``float`` are ``string``, ``bool``, ``int`` and
``float64``; a list is a slice. A plain ``dict`` is a *struct*: its fields are fixed, it is true, it prints ``{a b}``. A
:class:`Map` is a map: keys may be missing, it is false when empty, it prints ``map[k:v]``. A :class:`Row` is a line of
a listing. ``None`` is a nil pointer; :class:`NilList` and :class:`NilMap` are a slice and a map that were never made;
``NO_VALUE`` is what a missing key of a map is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final


class NoValue:
    """The type of ``NO_VALUE``."""

    def __repr__(self) -> str:
        return "<no value>"


NO_VALUE: Final = NoValue()


class Map(dict[str, Any]):
    """A map; ``zero`` is what a key that is not there has as its value."""

    def __init__(self, items: Mapping[str, Any], zero: object = NO_VALUE) -> None:
        super().__init__(items)
        self.zero = zero


class NilMap(Map):
    """A map that was never made: empty, and ``null`` in JSON."""


class NilList(list[Any]):
    """A slice that was never made: empty, and ``null`` in JSON."""


class Row(dict[str, Any]):
    """A line of a listing: its fields, and the labels that ``.Label "name"`` looks in."""

    def __init__(self, fields: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> None:
        super().__init__(fields)
        self.labels = labels


def truth(value: object) -> bool:
    """Whether ``if`` takes a value as true: everything but false, 0, nothing, and what is empty."""
    if isinstance(value, dict):
        return bool(value) or not isinstance(value, Map)
    return value is not NO_VALUE and bool(value)


def go_text(value: object) -> str:
    """A value as Go's ``%v`` prints it: ``true``, ``[a b]``, ``map[k:v]``, ``{a b}``, ``<nil>``, ``<no value>``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        from jackstay.cli.output.template.floats import shortest

        return shortest(value)
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    if isinstance(value, Map | Row):
        return f"map[{' '.join(f'{key}:{go_text(member)}' for key, member in members(value))}]"
    if isinstance(value, dict):
        return f"{{{' '.join(go_text(member) for _, member in members(value))}}}"
    return "<nil>" if value is None else str(value)


def members(value: dict[str, Any]) -> list[tuple[str, Any]]:
    """The members in Go's order: a map's by key, a struct's as declared, each with its type."""
    from jackstay.cli.output.docker_types import declared, typed

    if isinstance(value, Map):
        return sorted(value.items())
    names = sorted(value) if isinstance(value, Row) else declared(value)
    return [(name, typed(value, name)) for name in names]
