"""Names and filters of volumes. Pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.metadata.volumes import VolumeRow

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_LONGEST = 255  # one entry of a folder
_FILTERS = ("dangling", "driver", "label", "name")


def checked(name: str) -> str:
    """*name*, if a volume may have it: docker's rule, and what a folder can be called. Raises `InvalidArgument`."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise InvalidArgument(
            f"{name[:80]!r} is not a volume's name",
            hint="letters, digits, _ . - after a letter or digit; for a host's folder give its absolute path",
        )
    return name


def anonymous() -> str:
    """A new name for a volume that was given none: 64 hexadecimal digits."""
    return secrets.token_hex(32)


def matching(volumes: Iterable[VolumeRow], filters: Iterable[str]) -> list[VolumeRow]:
    """Those of *volumes* that fit *filters* ("name=web", "label=key", "label=key=value", "dangling=true").

    As in docker, one of the values of a filter must fit, but every label. Raises `InvalidArgument`.
    """
    wanted: dict[str, list[str]] = {}
    for each in filters:
        key, separator, value = each.partition("=")
        if key not in _FILTERS or not separator:
            raise InvalidArgument(f"invalid filter {each!r}", hint=f"filters are {', '.join(_FILTERS)}")
        wanted.setdefault(key, []).append(value)
    dangling = {_boolean(value) for value in wanted.get("dangling", [])}
    return [
        volume
        for volume in volumes
        if ("name" not in wanted or any(text in volume.name for text in wanted["name"]))
        and ("driver" not in wanted or "local" in wanted["driver"])
        and all(_labelled(volume, label) for label in wanted.get("label", []))
        and (not dangling or (not volume.users) in dangling)
    ]


def prunable(volumes: Iterable[VolumeRow], filters: Iterable[str]) -> list[VolumeRow]:
    """Those of *volumes* that a prune with *filters* ("label=key", "label=key=value", "label!=…") may take.

    As in docker every ``label=`` must fit, and no ``label!=``. Raises `InvalidArgument`.
    """
    wanted: list[tuple[bool, str]] = []
    for each in filters:
        key, separator, value = each.partition("=")
        if not separator or key not in ("label", "label!"):
            raise InvalidArgument(f"invalid filter {each!r}", hint="filters are label=KEY[=VALUE], label!=KEY[=VALUE]")
        wanted.append((key == "label", value))
    return [volume for volume in volumes if all(_labelled(volume, label) == fits for fits, label in wanted)]


def _labelled(volume: VolumeRow, label: str) -> bool:
    key, separator, value = label.partition("=")
    return key in volume.labels and (not separator or volume.labels[key] == value)


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
    if text.lower() not in values:
        raise InvalidArgument(f"invalid filter 'dangling={text}'", hint="give true or false")
    return values[text.lower()]
