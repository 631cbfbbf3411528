"""The table of ``docs/run-flags.md``, made of the code that has the flags: ``python -m tests.run_flags_table``.

Each flag is told with the tests in which it is typed on a lab host's command line and seen to work.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.models import OptionInfo

from jackstay.cli import run
from jackstay.cli.container_flags import container_flags

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "run-flags.md"
SHOWN_BY = ROOT / "tests" / "fleet"

_FIRST = "test_run_flags.py"
_LONG = r"(?<![\w-])%s(?![\w-])"
_SHORT = r"(?<=[\"' ])%s\w?(?=[\"' ~])"
_TOP = """# Flags of `run`

Written by `python -m tests.run_flags_table` from the code; a test fails when it is out of date. Names and meanings are
docker's where docker has them. `create` has the same ones but the last three. The file of tests named last, in
`tests/fleet`, types the flag and looks at what it does.

| flag | value | meaning | shown by |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Flag:
    """One row."""

    names: tuple[str, ...]
    value: str
    meaning: str

    def row(self, test: str) -> str:
        """The row in Markdown."""
        cells = (", ".join(f"`{name}`" for name in self.names), f"`{self.value}`" if self.value else "", self.meaning)
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} | {test} |\n"


def flags() -> list[Flag]:
    """Those that containers have, by name, then those of ``run`` alone."""
    return sorted(_flags_of(container_flags), key=lambda flag: flag.names) + sorted(
        _flags_of(run.command), key=lambda flag: flag.names
    )


def _flags_of(function: Callable[..., Any]) -> Iterator[Flag]:
    hints = typing.get_type_hints(function, include_extras=True)
    for name in inspect.signature(function).parameters:
        for option in getattr(hints[name], "__metadata__", ()):
            if isinstance(option, OptionInfo):
                # What stands first is a default to typer as long as there is no other one.
                told = [text for text in (option.default, *(option.param_decls or ())) if isinstance(text, str)]
                names = sorted((part for text in told for part in text.split("/")), key=lambda text: text[:2] != "--")
                yield Flag(tuple(names), option.metavar or "", option.help or "")


def shown_by(flag: Flag, tests: dict[str, str]) -> str:
    """The file that types *flag*: the one of all flags if it does, else the first by name; "" for none.

    A letter may be another command's option, so it counts where nobody types the name.
    """
    files = sorted(tests, key=lambda file: (file != _FIRST, file))
    for name in flag.names:
        pattern = re.compile(_LONG % re.escape(name) if name[:2] == "--" else _SHORT % name)
        for file in files:
            if pattern.search(tests[file]):
                return file
    return ""


def tests() -> dict[str, str]:
    """The text of each file of tests."""
    return {path.name: path.read_text(encoding="utf-8") for path in SHOWN_BY.glob("test_*.py")}


def document() -> str:
    """The whole file."""
    texts = tests()
    return _TOP + "".join(flag.row(shown_by(flag, texts)) for flag in flags())


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
