"""Which events somebody wants to see: docker's ``--filter`` of ``events`` (moby ``daemon/events/filter.go``). Pure.

Different filters must all hold; of one filter's values any, but every label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.events.event import Event

SCOPE = "local"
"""Of every event: nothing here is of a swarm."""

_WITH_DETAIL = ("exec_create", "exec_start", "health_status")
"""Actions that go on with ": " and more."""

_THINGS = ("container", "network", "volume")
KEYS = (*_THINGS, "event", "image", "label", "scope", "type")


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters as given, by key; () of a key that was not given."""

    values: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def fits(self, event: Event) -> bool:
        """Whether *event* is wanted."""
        return all(self._holds(key, wanted, event) for key, wanted in self.values.items())

    def _holds(self, key: str, wanted: tuple[str, ...], event: Event) -> bool:
        if key == "type":
            return event.type in wanted
        if key == "event":
            action = event.action.partition(":")[0]
            return event.action in wanted or (action in _WITH_DETAIL and action in wanted)
        if key == "scope":
            return SCOPE in wanted
        if key == "label":
            return all(_labelled(event, label) for label in wanted)
        if key == "image":
            return _of_image(event, wanted)
        return _of_thing(event, key, wanted)


def parse(texts: Iterable[str]) -> Filters:
    """The filters that *texts*, "key=value" each, write. Raises `InvalidArgument`."""
    values: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().lower()
        if not equals:
            raise InvalidArgument(f"bad format of filter {text[:60]!r}", hint="write name=value, e.g. event=die")
        if key not in KEYS:
            raise InvalidArgument(f"invalid filter '{key[:40]}'", hint=f"known are {', '.join(sorted(KEYS))}")
        values[key] = (*values.get(key, ()), value.strip())
    return Filters(values)


def _of_thing(event: Event, kind: str, wanted: tuple[str, ...]) -> bool:
    """Whether the event is of a thing of that kind whose id or name begins so, or tells of one, as a network's
    ``connect`` does of a container."""
    told = (event.id, event.attributes.get("name", "")) if event.type == kind else (event.attributes.get(kind, ""),)
    return any(text.startswith(start) for text in told if text for start in wanted)


def _of_image(event: Event, wanted: tuple[str, ...]) -> bool:
    """Whether the event is of an image or of a container made of it; its name fits also without the tag."""
    if event.type not in ("image", "container"):
        return False
    name = event.attributes.get("name" if event.type == "image" else "image", "")
    told = (event.id, name, _without_tag(event.id), _without_tag(name))
    return any(text in wanted for text in told if text)


def _without_tag(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition('@')[0].partition(':')[0]}"


def _labelled(event: Event, label: str) -> bool:
    key, equals, value = label.partition("=")
    return key in event.attributes and (not equals or event.attributes[key] == value)
