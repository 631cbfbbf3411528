"""What a template is made of, once parsed. Values only; ``at`` is a place in the template's text, from 0."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; ``None`` is ``nil``."""

    value: str | bool | int | float | None
    at: int


@dataclass(frozen=True, slots=True)
class Dot:
    """``.``"""

    at: int


@dataclass(frozen=True, slots=True)
class Field:
    """``.A.B``"""

    names: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Variable:
    """``$x`` or ``$x.A.B``; ``$`` is the object itself."""

    name: str
    names: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Chain:
    """``(…).A.B``"""

    operand: Operand
    names: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Command:
    """A function, method or value, then arguments."""

    operands: tuple[Operand, ...]

    @property
    def at(self) -> int:
        """Where it begins."""
        return self.operands[0].at


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each given the value of the one before it; the last value is put in ``variables``, if any.

    ``declares`` tells ``:=`` from ``=``.
    """

    commands: tuple[Command, ...]
    variables: tuple[str, ...]
    declares: bool
    at: int


Operand = Literal | Dot | Field | Variable | Chain | Function | Pipeline


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is printed as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """A pipeline whose value is printed, unless it only sets variables."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Control:
    """``if``, ``with`` or ``range``, and its ``else``."""

    keyword: str
    pipeline: Pipeline
    body: Nodes
    otherwise: Nodes


@dataclass(frozen=True, slots=True)
class Jump:
    """``break`` or ``continue``."""

    keyword: str


Node = Text | Action | Control | Jump
Nodes = tuple[Node, ...]
