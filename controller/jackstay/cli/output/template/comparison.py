"""``eq ne lt le gt ge`` of Go's text/template: basic kinds only, and never of two kinds. Pure."""

from __future__ import annotations

from typing import Any

from jackstay.cli.output.go_values import NO_VALUE, NilList, NilMap
from jackstay.cli.output.template.errors import Misuse

_INCOMPATIBLE = "incompatible types for comparison"


def equal(values: list[Any]) -> bool:
    """Whether the first is equal to any of the others; nothing is equal to nothing only."""
    first, *others = values
    return any(_same(first, other) for other in others)


def _same(first: Any, other: Any) -> bool:
    if _is_nothing(first) or _is_nothing(other):
        return _is_nothing(first) and _is_nothing(other)
    left, right = _kind(first), _kind(other)
    if left != right:
        raise Misuse(f"{_INCOMPATIBLE} ({left} and {right})")
    if left in ("list", "map"):
        raise Misuse(f"a {left} cannot be compared")
    return bool(first == other)


def different(values: list[Any]) -> bool:
    """Whether two values are not equal."""
    return not equal(values)


def less(values: list[Any]) -> bool:
    """Whether the first of two numbers or strings comes before the second. Strings compare by their bytes' values."""
    left, right = map(_kind, values)
    for kind in (left, right):
        if kind not in ("int", "float64", "string"):
            raise Misuse(f"invalid type for comparison ({kind})")
    if left != right:
        raise Misuse(f"{_INCOMPATIBLE} ({left} and {right})")
    return bool(values[0] < values[1])


def less_or_equal(values: list[Any]) -> bool:
    """``le``."""
    return less(values) or equal(values)


def greater(values: list[Any]) -> bool:
    """``gt``."""
    return not less_or_equal(values)


def greater_or_equal(values: list[Any]) -> bool:
    """``ge``."""
    return not less(values)


def _is_nothing(value: object) -> bool:
    return value is None or value is NO_VALUE or isinstance(value, NilList | NilMap)


def _kind(value: object) -> str:
    if value is None or value is NO_VALUE:
        return "nothing"
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict):
        return "map"
    return {str: "string", bool: "bool", int: "int", float: "float64"}[type(value)]
