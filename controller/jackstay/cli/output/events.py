"""Events as docker prints them: a line, a JSON object, and the fields of ``--format``. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jackstay.cli.output.units import printable

if TYPE_CHECKING:
    from jackstay.client.messages import Event

SCOPE = "local"

FIELDS = ("Type", "Action", "Actor", "Scope", "Time", "TimeNano", "Status", "ID", "From")
"""What `event_fields` has."""


def event_line(event: Event) -> str:
    """``2024-01-31T12:00:00.123456789Z container start ID (image=httpd:1.1, name=web)``."""
    attributes = ", ".join(f"{key}={value}" for key, value in sorted(event.attributes.items()))
    told = f"{_moment(event.time_ns)} {event.type} {event.action} {event.id}"
    return printable(f"{told} ({attributes})" if attributes else told)


def event_object(event: Event) -> dict[str, Any]:
    """Docker's JSON, its own mixture of capitals included."""
    told: dict[str, Any] = {"status": event.action, "id": event.id}
    if event.type == "container":
        told["from"] = event.attributes.get("image", "")
    return told | {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": dict(sorted(event.attributes.items()))},
        "scope": SCOPE,
        "time": event.time_ns // 10**9,
        "timeNano": event.time_ns,
    }


def event_fields(event: Event) -> dict[str, Any]:
    """What a template takes its fields from, called as in docker."""
    from jackstay.cli.output.go_values import Map

    return {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": Map(dict(event.attributes))},
        "Scope": SCOPE,
        "Time": event.time_ns // 10**9,
        "TimeNano": event.time_ns,
        "Status": event.action,
        "ID": event.id,
        "From": event.attributes.get("image", "") if event.type == "container" else "",
    }


def _moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
