"""The processes of a container as a table: what the host's ``ps`` prints, cut down to them. Pure.

As docker does it (moby ``daemon/top_unix.go``): ``ps`` is run with the user's options, and its rows are told apart by
their column PID.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from jackstay_agent.errors import InvalidArgument, RuntimeFailed

DEFAULT_OPTIONS = ("-ef",)

_OTHER_TITLE = re.compile(r"\s*(\w+)=\s*(PID\S*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ProcessTable:
    """Rows with as many values as there are titles."""

    titles: tuple[str, ...]
    processes: tuple[tuple[str, ...], ...]


def check_options(options: Sequence[str]) -> None:
    """Raise `InvalidArgument` for *options* of ps that call another column PID."""
    for match in _OTHER_TITLE.finditer(" ".join(options)):
        if match[1] != "pid":
            raise InvalidArgument(f'specifying "{match[1]}={match[2]}" is not allowed', hint="give it another title")


def parse(output: str, pids: Collection[int]) -> ProcessTable:
    """The rows of ps's *output* that are *pids*', and those of their threads, which have no pid of their own.

    Raises:
        InvalidArgument: the output has no column PID.
        RuntimeFailed: it is no table.
    """
    first, *lines = output.split("\n")
    titles = first.split()
    if "PID" not in titles:
        raise InvalidArgument("Couldn't find PID field in ps output", hint="ask for it too: top CONTAINER -o pid,…")
    index = titles.index("PID")
    processes: list[tuple[str, ...]] = []
    wanted = False
    for line in lines:
        fields = line.split(maxsplit=len(titles) - 1)
        if not fields:
            continue
        if len(fields) <= index:
            raise RuntimeFailed(f"ps printed a line without a pid: {line[:80]!r}")
        if (text := fields[index].strip()) != "-":
            if not (text.isascii() and text.isdigit()):
                raise RuntimeFailed(f"ps printed an unexpected pid: {text[:40]!r}")
            wanted = int(text) in pids
        if wanted:
            padded = [*fields, *([""] * (len(titles) - len(fields)))]
            processes.append(tuple(field.strip() for field in padded))
    return ProcessTable(tuple(titles), tuple(processes))
