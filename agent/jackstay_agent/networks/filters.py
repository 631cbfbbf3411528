"""The filters of ``network ls`` and ``network prune``. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.metadata.networks import NetworkRow

PREDEFINED = ("bridge", "host", "none")
"""The networks that the agent makes and nobody can remove."""

_KEYS = ("dangling", "driver", "id", "label", "name", "scope", "type")


def matching(networks: Sequence[NetworkRow], texts: Iterable[str], used: Collection[str]) -> list[NetworkRow]:
    """Those of *networks* that fit *texts* ("name=web", "label=key=value", "dangling=true"); *used* are ids in use.

    As in docker, one of the values of a filter must fit, but every label. Raises `InvalidArgument`.
    """
    wanted: dict[str, list[str]] = {}
    for each in texts:
        key, separator, value = each.partition("=")
        if key not in _KEYS or not separator:
            raise InvalidArgument(f"invalid filter {each[:80]!r}", hint=f"filters are {', '.join(_KEYS)}")
        wanted.setdefault(key, []).append(value)
    dangling = {_boolean(value) for value in wanted.get("dangling", [])}
    for kind in wanted.get("type", []):
        if kind not in ("builtin", "custom"):
            raise InvalidArgument(f"invalid filter 'type={kind[:40]}'", hint="give builtin or custom")
    names = [_pattern(value) for value in wanted.get("name", [])]
    return [
        row
        for row in networks
        if (not names or any(name.search(row.name) for name in names))
        and ("id" not in wanted or any(row.id.startswith(text) for text in wanted["id"]))
        and ("driver" not in wanted or row.driver in wanted["driver"])
        and ("scope" not in wanted or "local" in wanted["scope"])
        and ("type" not in wanted or ("builtin" if row.name in PREDEFINED else "custom") in wanted["type"])
        and all(_labelled(row, label) for label in wanted.get("label", []))
        and (not dangling or (row.id not in used and row.name not in PREDEFINED) in dangling)
    ]


def prunable(networks: Iterable[NetworkRow], texts: Iterable[str], before: int | None) -> list[NetworkRow]:
    """Those of *networks* that a prune with *texts* ("label=key", "label=key=value", "label!=…") may take.

    Only those made *before*, in nanoseconds since 1970, if it is not None. As in docker every ``label=`` must fit, and
    no ``label!=``. Raises `InvalidArgument`.
    """
    labels: list[tuple[bool, str]] = []
    for each in texts:
        key, separator, value = each.partition("=")
        if not separator or key not in ("label", "label!"):
            raise InvalidArgument(f"invalid filter {each[:80]!r}", hint="filters are until=, label=, label!=")
        labels.append((key == "label", value))
    return [
        row
        for row in networks
        if row.name not in PREDEFINED
        and (before is None or row.created < before)
        and all(_labelled(row, label) == fits for fits, label in labels)
    ]


def _labelled(row: NetworkRow, label: str) -> bool:
    key, separator, value = label.partition("=")
    return key in row.labels and (not separator or row.labels[key] == value)


def _pattern(value: str) -> re.Pattern[str]:
    try:
        return re.compile(value[:200])
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidArgument(f"invalid filter 'name={value[:40]}': {error}") from error


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
    if text.lower() not in values:
        raise InvalidArgument(f"invalid filter 'dangling={text}'", hint="give true or false")
    return values[text.lower()]
