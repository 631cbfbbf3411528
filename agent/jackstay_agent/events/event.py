"""What happens on a host, as a value: docker's events. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

ACTION_CHARACTERS = 1024
ATTRIBUTE_CHARACTERS = 8192
"""What one event may hold: an image may have megabytes of labels, and a hundred thousand events are kept."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. Made by `made`, which keeps it small."""

    type: str  # "container", "image", "network", "secret", "volume"
    action: str  # "start", "die", "exec_create: ls -l", …
    id: str  # of the container or network; what the volume or image is called; "" of a prune
    attributes: Mapping[str, str] = field(default_factory=dict)
    time: int = 0  # nanoseconds since 1970


class Record(Protocol):
    """Notes that something happened: `log.Events.record`, or `unrecorded`. Call it on the event loop's thread."""

    def __call__(
        self,
        kind: str,
        action: str,
        subject: str,
        attributes: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """*kind*, *action* and *subject* are `Event`'s type, action and id. Never raises, never waits.

        The *labels* of what it happened to become attributes too, where those have not taken their names.
        """
        ...


def unrecorded(
    kind: str,
    action: str,
    subject: str,
    attributes: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> None:
    """The `Record` of a part that nobody listens to."""


def made(
    kind: str, action: str, subject: str, attributes: Mapping[str, str], labels: Mapping[str, str], time: int
) -> Event:
    """An event; what is too long is cut off, and labels for which there is no more room are left out."""
    held = {key: value[:ACTION_CHARACTERS] for key, value in attributes.items()}
    room = ATTRIBUTE_CHARACTERS - sum(len(key) + len(value) for key, value in held.items())
    for key, value in labels.items():
        if key in held:
            continue
        room -= len(key) + len(value)
        if room < 0:
            break
        held[key] = value
    return Event(kind, action[:ACTION_CHARACTERS], subject, held, time)
