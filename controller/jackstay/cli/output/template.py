"""``--format``: fields of docker's objects, ``{{.Names}}``, ``{{.State.Running}}``, ``{{json .}}``, and ``table …``.

This is the part of Go's text/template that commands are mostly used with. Anything beyond it is refused with a clear
error, never printed wrongly. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jackstay_oci.errors import InvalidArgument

_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PATH = re.compile(r"(?:json\s+)?(\.|(?:\.[A-Za-z_][A-Za-z0-9_]*)+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """A path into the object; empty is the object itself."""

    path: tuple[str, ...]
    as_json: bool

    @property
    def title(self) -> str:
        """The column's header: the last name, as docker writes it (``RunningFor`` is ``CREATED``)."""
        return (
            _TITLES.get(self.path[-1], re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.path[-1]).upper()) if self.path else ""
        )


_TITLES = {
    "ID": "CONTAINER ID",
    "RunningFor": "CREATED",
    "CreatedSince": "CREATED",
    "Name": "NAME",
    "Names": "NAMES",
    "TotalCount": "TOTAL",
}


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: text and fields in order; ``table`` when it makes a table with a header."""

    parts: tuple[str | Field, ...]
    table: bool = False

    def render(self, value: Mapping[str, object]) -> str:
        """The text for one object.

        Raises:
            InvalidArgument: the object has no such field.
        """
        return "".join(part if isinstance(part, str) else _render(part, value) for part in self.parts)

    def header(self) -> str:
        """The header of a table: every field replaced by its title."""
        return "".join(part if isinstance(part, str) else part.title for part in self.parts)


def parse_template(text: str) -> Template:
    """The template that ``text`` writes; ``json`` alone means ``{{json .}}``.

    Raises:
        InvalidArgument: malformed, or a part of the template language that is not supported.
    """
    if text == "json":
        return Template((Field((), as_json=True),))
    table = text.startswith("table ")
    body = (text.removeprefix("table ").strip() if table else text).replace("\\t", "\t").replace("\\n", "\n")
    parts: list[str | Field] = []
    position = 0
    for match in _ACTION.finditer(body):
        parts.append(body[position : match.start()])
        parts.append(_field(text, match[1]))
        position = match.end()
    parts.append(body[position:])
    if any("{{" in part or "}}" in part for part in parts if isinstance(part, str)):
        raise InvalidArgument(f"--format {text!r}: a '{{{{' or '}}}}' has no partner")
    return Template(tuple(part for part in parts if part != ""), table)


def _field(text: str, action: str) -> Field:
    match = _PATH.fullmatch(action.strip())
    if match is None:
        raise InvalidArgument(
            f"--format {text!r}: {{{{{action}}}}} is not supported",
            hint="supported are {{.Field}}, {{.Field.Inner}}, {{json .}} and {{json .Field}}; --json gives everything",
        )
    path = tuple(name for name in match[1].split(".") if name)
    return Field(path, as_json=action.strip().startswith("json"))


def _render(field: Field, value: object) -> str:
    seen: list[str] = []
    for name in field.path:
        if not isinstance(value, Mapping) or name not in value:
            known = ", ".join(sorted(map(str, value))) if isinstance(value, Mapping) else "none"
            raise InvalidArgument(f"--format: no field .{'.'.join([*seen, name])}", hint=f"fields here: {known}")
        seen.append(name)
        value = value[name]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if field.as_json else go_text(value)


def go_text(value: object) -> str:
    """A value as Go's ``%v`` prints it: ``true``, ``[a b]``, ``map[k:v]``, ``<nil>``."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{' '.join(map(go_text, value))}]"
    return str(value)
