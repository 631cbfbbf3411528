"""Values of options that are of their type already, without pydantic.

typer makes a pydantic adapter for every option of a command, also for text and for what was not given; that import
alone is a fifth of a command's start. Here only what must be converted (numbers, mostly) goes that way. A typer that
knows no ``_runtime_param`` does as it pleases.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, cast, get_args, get_origin

T = TypeVar("T")


class Parameter(Protocol):
    """What is used of a parameter of typer."""

    nargs: int
    type_descriptor: Any

    def get_runtime_param(self) -> Any:
        """What converts its values."""
        ...


def spared(parameters: list[T]) -> list[T]:
    """The same *parameters*, which convert only values that are not of their type."""
    for parameter in parameters:
        if getattr(parameter, "_runtime_param", ...) is None:
            parameter._runtime_param = _Spared()  # type: ignore[attr-defined]
    return parameters


class _Spared:
    """In the place of typer's ``RuntimeParam``."""

    def coerce(self, value: Any, param: Parameter, ctx: object) -> Any:
        """The value of *param*, converted only if it is not of its type."""
        several = bool(getattr(param, "multiple", False)) or param.nargs == -1
        if value is None:
            return () if several else None
        annotation = param.type_descriptor.annotation
        if annotation in (str, bool, int, float) and type(value) is annotation:
            return value
        if get_origin(annotation) is list and get_args(annotation) == (str,) and _texts(value):
            return list(value)
        param._runtime_param = None  # type: ignore[attr-defined]  # typer's own
        return cast(Any, param.get_runtime_param()).coerce(value, param=param, ctx=ctx)


def _texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(type(item) is str for item in value)
