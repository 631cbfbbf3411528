"""The filters of ``ps``: parsed, and matched against containers as docker does (moby ``daemon/list.go``). Pure.

Several values of one filter mean any of them; labels mean all of them; different filters must all hold.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from jackstay_agent.errors import InvalidArgument, NotFound

KEYS = (
    *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "label", "name", "network", "publish"),
    *("since", "status", "volume"),
)
STATES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
HEALTHS = ("none", "starting", "healthy", "unhealthy")
_MAX_PATTERN = 200
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A container as filters see it: `state` as users see it, `volumes` names, sources and targets, `networks` names
    and ids, of one that runs `exposed` its ports and `published` those of the host, "80/tcp"."""

    id: str
    name: str
    state: str
    exit_code: int | None
    image: str
    image_id: str
    labels: dict[str, str]
    volumes: frozenset[str]
    networks: frozenset[str]
    health: str = "none"
    exposed: frozenset[str] = frozenset()
    published: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters as given, each checked."""

    ancestor: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    exited: tuple[int, ...] = ()
    expose: frozenset[str] = frozenset()
    health: tuple[str, ...] = ()
    id: tuple[re.Pattern[str], ...] = ()
    label: tuple[tuple[str, str | None], ...] = ()
    name: tuple[re.Pattern[str], ...] = ()
    network: tuple[str, ...] = ()
    publish: frozenset[str] = frozenset()
    task: bool = False  # of a swarm, which none is
    since: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    volume: tuple[str, ...] = ()

    @property
    def any_state(self) -> bool:
        """Whether they ask for containers in any state, as with ``-a``."""
        return bool(self.status)


def parse(texts: Iterable[str]) -> Filters:
    """The filters that *texts*, "key=value" each, write. Raises `InvalidArgument`."""
    values: dict[str, list[str]] = {key: [] for key in KEYS}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().lower()
        if not equals:
            raise InvalidArgument(f"bad format of filter {text[:60]!r}", hint="write name=value")
        if key not in values:
            raise InvalidArgument(f"invalid filter '{key[:40]}'", hint=f"known are {', '.join(KEYS)}")
        values[key].append(value.strip())
    for status in values["status"]:
        if status not in STATES:
            raise InvalidArgument(f"invalid filter 'status={status[:40]}'", hint=f"it is one of {', '.join(STATES)}")
    for known in values["health"]:
        if known not in HEALTHS:
            raise InvalidArgument(f"invalid filter 'health={known[:40]}'", hint=f"it is one of {', '.join(HEALTHS)}")
    return Filters(
        ancestor=tuple(values["ancestor"]),
        before=tuple(values["before"]),
        exited=tuple(_code(value) for value in values["exited"]),
        expose=frozenset(port for value in values["expose"] for port in _ports("expose", value)),
        health=tuple(values["health"]),
        id=tuple(_pattern("id", value) for value in values["id"]),
        label=tuple(_label(value) for value in values["label"]),
        name=tuple(_pattern("name", value) for value in values["name"]),
        network=tuple(values["network"]),
        publish=frozenset(port for value in values["publish"] for port in _ports("publish", value)),
        task=max((_truth("is-task", value) for value in values["is-task"]), default=False),
        since=tuple(values["since"]),
        status=tuple(values["status"]),
        volume=tuple(values["volume"]),
    )


def select(
    filters: Filters, containers: Sequence[Candidate], *, ancestor_ids: Collection[str] = frozenset()
) -> list[Candidate]:
    """Those of *containers*, newest first, that *filters* let through, in their order.

    *ancestor_ids* are the image ids that the texts in `Filters.ancestor` mean; the caller looks them up.

    Raises:
        NotFound: a container that ``before`` or ``since`` names does not exist.
    """
    first = max((_index(containers, text) + 1 for text in filters.before), default=0)
    last = min((_index(containers, text) for text in filters.since), default=len(containers))
    return [container for container in containers[first:last] if matches(filters, container, ancestor_ids=ancestor_ids)]


def matches(filters: Filters, container: Candidate, *, ancestor_ids: Collection[str] = frozenset()) -> bool:
    """Whether *filters*, but for ``before`` and ``since``, let *container* through."""
    return (
        _named(filters.name, container.name)
        and (not filters.id or any(pattern.search(container.id) for pattern in filters.id))
        and (not filters.status or container.state in filters.status)
        and (not filters.exited or (container.state == "exited" and (container.exit_code or 0) in filters.exited))
        and (not filters.health or container.health in filters.health)
        and all(_labelled(container.labels, key, value) for key, value in filters.label)
        and (not filters.ancestor or _descends(filters.ancestor, container, ancestor_ids))
        and (not filters.volume or any(value in container.volumes for value in filters.volume))
        and (not filters.network or any(_is_network(value, container.networks) for value in filters.network))
        and _reached(filters, container)
        and not filters.task
    )


def _named(patterns: Sequence[re.Pattern[str]], name: str) -> bool:
    # Docker's names begin with a slash, so that "^/web$" is a way people write it.
    return not patterns or any(pattern.search(name) or pattern.search(f"/{name}") for pattern in patterns)


def _labelled(labels: dict[str, str], key: str, value: str | None) -> bool:
    return key in labels and (value is None or labels[key] == value)


def _descends(texts: Sequence[str], container: Candidate, ids: Collection[str]) -> bool:
    if container.image_id in ids or container.image in texts:
        return True
    digits = container.image_id.removeprefix("sha256:")
    return any(len(text) >= 12 and digits.startswith(text.removeprefix("sha256:")) for text in texts)


def _is_network(value: str, networks: Collection[str]) -> bool:
    return value in networks or (len(value) >= 12 and any(network.startswith(value) for network in networks))


def _reached(filters: Filters, container: Candidate) -> bool:
    # As in docker, one port that is exposed or published as asked is enough when both are asked for.
    if not filters.expose and not filters.publish:
        return True
    return bool(filters.expose & container.exposed or filters.publish & container.published)


def _index(containers: Sequence[Candidate], text: str) -> int:
    name = text.removeprefix("/")
    for index, container in enumerate(containers):
        if text == container.id or name == container.name:
            return index
    for index, container in enumerate(containers):
        if text and container.id.startswith(text):
            return index
    raise NotFound(f"no such container: {text[:80]}", hint="jackstay ps -a lists the containers of a host")


def _code(value: str) -> int:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise InvalidArgument(f"invalid filter 'exited={value[:40]}'", hint="give an exit code")
    return int(value)


def _ports(key: str, value: str) -> list[str]:
    match = _PORTS.fullmatch(value)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if match is None or not first <= last < 1 << 16:
        raise InvalidArgument(f"invalid filter '{key}={value[:40]}'", hint="write PORT[-PORT][/PROTOCOL], e.g. 80/tcp")
    return [f"{port}/{match[3] or 'tcp'}" for port in range(first, last + 1)]


def _truth(key: str, value: str) -> bool:
    if value.lower() not in ("1", "true", "0", "false"):
        raise InvalidArgument(f"invalid filter '{key}={value[:40]}'", hint="write true or false")
    return value.lower() in ("1", "true")


def _label(value: str) -> tuple[str, str | None]:
    key, equals, wanted = value.partition("=")
    return key, wanted if equals else None


def _pattern(key: str, value: str) -> re.Pattern[str]:
    if len(value) > _MAX_PATTERN:
        raise InvalidArgument(f"invalid filter '{key}': longer than {_MAX_PATTERN} characters")
    try:
        return re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidArgument(f"invalid filter '{key}={value[:40]}': {error}") from error
