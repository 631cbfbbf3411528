"""The lines of a Dockerfile: comments, continuations, the instruction's name and its flags. Pure.

As moby's ``builder/dockerfile/parser`` has them, without heredocs and without the ``escape`` directive.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jackstay_oci.errors import InvalidArgument

MAX_TEXT = 64 << 10
"""Characters of all changes together."""
_SPACE = re.compile(r"[\t\v\f\r ]+")
_CONTINUED = re.compile(r"(?<!\\)\\[ \t]*$")
_NAME = re.compile(r"[A-Za-z]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its *name* in capitals, the *flags* before its arguments without their dashes, the rest."""

    name: str
    flags: tuple[str, ...]
    rest: str


def instructions(changes: Iterable[str]) -> Iterator[Instruction]:
    """The instructions of *changes*, which are the lines of one text, as docker takes them.

    Raises:
        InvalidArgument: a line that begins with no word, a NUL byte, too much text.
    """
    text = "\n".join(changes)
    if len(text) > MAX_TEXT:
        raise InvalidArgument(f"the changes are longer than {MAX_TEXT} characters")
    if "\0" in text:
        raise InvalidArgument("a change has a NUL byte")
    pending = ""
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        pending += line if pending else line.lstrip()
        if _CONTINUED.search(pending):
            pending = pending.rstrip(" \t")[:-1]
        else:
            yield parse(pending)
            pending = ""
    if pending.strip():
        yield parse(pending)


def parse(line: str) -> Instruction:
    """One instruction. Raises `InvalidArgument`."""
    name, *rest = _SPACE.split(line.strip(), maxsplit=1)
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"a change must begin with an instruction: {line[:60]!r}")
    flags: list[str] = []
    text = rest[0] if rest else ""
    while text.startswith("--"):
        flag, _, text = text.partition(" ")
        text = text.strip()
        if flag == "--":
            break
        flags.append(flag[2:])
    return Instruction(name.upper(), tuple(flags), text.strip())


def strings(rest: str) -> list[str] | None:
    """The strings of the JSON form, ``["a", "b"]``; None when *rest* is not in that form. What follows it is ignored.

    Raises:
        InvalidArgument: an array of something else, or words that no program can be given.
    """
    if not rest.startswith("["):
        return None
    try:
        words, _end = json.JSONDecoder().raw_decode(rest)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(word, str) for word in words):
        raise InvalidArgument("when using JSON array syntax, arrays must be comprised of strings only")
    if any(_is_unusable(word) for word in words):
        raise InvalidArgument("a word has a NUL byte or is no text")
    return list(words)


def _is_unusable(text: str) -> bool:
    """Whether no program could be given *text*: it has a NUL, or half of a surrogate pair from a JSON escape."""
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)
