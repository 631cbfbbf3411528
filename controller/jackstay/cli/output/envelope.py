"""``--json`` and ``--jsonl``: every host's outcome in one shape, whatever the verb. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jackstay.cli.output.safe_json import safe_json

if TYPE_CHECKING:
    from jackstay.fleet import Outcome

Object = dict[str, Any]


def element(outcome: Outcome[Any], data: Sequence[Object]) -> Object:
    """Exactly ``{host, ok, outcome, error, data}``."""
    error = outcome.error
    return {
        "host": outcome.host,
        "ok": outcome.ok,
        "outcome": outcome.outcome,
        "error": {"kind": error.kind, "message": error.message, "hint": error.hint} if error else None,
        "data": list(data),
    }


def render_json(elements: Sequence[Object]) -> str:
    """The one array, an element a host, in the hosts' order."""
    return safe_json(elements, indent=2) + "\n"


def render_line(value: Object) -> str:
    """One JSON line."""
    return safe_json(value, separators=(",", ":")) + "\n"


def render_jsonl(one: Object) -> str:
    """A host's part of ``--jsonl``: a line for each object, then its outcome."""
    lines = [render_line({"host": one["host"], "data": item}) for item in one["data"]]
    return "".join(lines) + render_line({key: one[key] for key in ("host", "ok", "outcome", "error")})
