"""Switches with a value, as docker takes them: ``--rm=true``, ``--sig-proxy=false``, ``-it=true``. Pure.

typer's switches take none, so they are rewritten before it reads the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

_YES = {"1", "t", "T", "TRUE", "true", "True"}
_NO = {"0", "f", "F", "FALSE", "false", "False"}


class Option(Protocol):
    """What is used of a parameter of typer; arguments have no `is_flag`."""

    opts: list[str]
    secondary_opts: list[str]


def without_values(arguments: Sequence[str], options: Iterable[Option], *, interspersed: bool) -> list[str]:
    """The *arguments* with ``--switch=true`` as ``--switch``, and ``--switch=false`` as its opposite, or left out.

    What follows ``--``, an option that takes a value, or, unless *interspersed*, the first argument stays as it is; so
    does a value that is neither true nor false.
    """
    switches: dict[str, list[str]] = {}
    takers: set[str] = set()
    for option in options:
        if getattr(option, "is_flag", False):
            switches |= dict.fromkeys(option.opts, option.secondary_opts)
            switches |= dict.fromkeys(option.secondary_opts, option.opts)
        else:
            takers.update(name for name in option.opts if name.startswith("-"))
    rewritten: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--" or (not interspersed and not _is_option(word)):
            return [*rewritten, word, *rest]
        name, equals, value = word.partition("=")
        if name in switches or name in takers or name.startswith("--"):
            letters, last = "", name
        else:
            letters, last = _cluster(name, switches)
        rewritten += _word(word, letters, last, switches, value if equals else None)
        if last in takers and not equals and rest:
            rewritten.append(rest.pop(0))
    return rewritten


def _is_option(word: str) -> bool:
    return word.startswith("-") and len(word) > 1


def _cluster(name: str, switches: dict[str, list[str]]) -> tuple[str, str]:
    """``-dit`` as ``-di`` and ``-t``, if all before the last letter are switches."""
    if not _is_option(name) or any(f"-{letter}" not in switches for letter in name[1:-1]):
        return "", ""
    return name[:-1], f"-{name[-1]}"


def _word(word: str, letters: str, last: str, switches: dict[str, list[str]], value: str | None) -> list[str]:
    if value is None or last not in switches or value not in _YES | _NO:
        return [word]
    ours = [last] if value in _YES else switches[last][:1]
    return [*([letters] if len(letters) > 1 else []), *ours]
