"""Names, ids and filters of secrets. Pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence

from jackstay_agent.errors import Ambiguous, InvalidArgument
from jackstay_agent.metadata.secrets import SecretRow

LONGEST_VALUE = 512_000
"""Bytes, as docker and podman have it."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_LONGEST = 253
_FILTERS = ("id", "label", "name")


def checked(name: str) -> str:
    """*name*, if a secret may have it. Raises `InvalidArgument`."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise InvalidArgument(
            f"{name[:80]!r} is not a secret's name", hint="letters, digits, _ . - after a letter or digit"
        )
    return name


def check_value(name: str, value: bytes) -> None:
    """Raises `InvalidArgument` for a *value* that is empty or too long."""
    if not 0 < len(value) <= LONGEST_VALUE:
        raise InvalidArgument(
            f"the value of the secret {name} has {len(value)} bytes", hint=f"1 to {LONGEST_VALUE} are possible"
        )


def new_id() -> str:
    """An id: 25 hexadecimal digits, as podman's."""
    return secrets.token_hex(13)[:25]


def meant(rows: Sequence[SecretRow], text: str) -> SecretRow | None:
    """The one of *rows* that *text* means: a name, an id, or the start of one id; None. Raises `Ambiguous`."""
    for row in rows:
        if row.name == text:
            return row
    found = [row for row in rows if text and row.id.startswith(text)]
    if len(found) > 1:
        raise Ambiguous(f"{text} is the start of {len(found)} secrets' ids", hint="give more of it, or the name")
    return found[0] if found else None


def matching(rows: Iterable[SecretRow], filters: Iterable[str]) -> list[SecretRow]:
    """Those of *rows* that fit *filters* ("name=db", "id=3f", "label=key", "label=key=value").

    As in docker, one of the values of a filter must fit, but every label. Raises `InvalidArgument`.
    """
    wanted: dict[str, list[str]] = {}
    for each in filters:
        key, separator, value = each.partition("=")
        if key not in _FILTERS or not separator:
            raise InvalidArgument(f"invalid filter {each!r}", hint=f"filters are {', '.join(_FILTERS)}")
        wanted.setdefault(key, []).append(value)
    return [
        row
        for row in rows
        if ("name" not in wanted or any(text in row.name for text in wanted["name"]))
        and ("id" not in wanted or any(row.id.startswith(text) for text in wanted["id"]))
        and all(_labelled(row, label) for label in wanted.get("label", []))
    ]


def _labelled(row: SecretRow, label: str) -> bool:
    key, separator, value = label.partition("=")
    return key in row.labels and (not separator or row.labels[key] == value)
