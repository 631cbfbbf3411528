"""``--restart``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jackstay_oci.errors import InvalidArgument

POLICIES = ("no", "on-failure", "always", "unless-stopped")
_COUNT = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RestartSpec:
    """A policy; `maximum_retries` of on-failure, 0 for no bound."""

    name: str
    maximum_retries: int = 0


def parse_restart(text: str) -> RestartSpec:
    """``always``, ``on-failure:5``.

    Raises:
        InvalidArgument: an unknown policy, a count that is no number or of another policy than on-failure.
    """
    name, colon, count = text.partition(":")
    if name not in POLICIES:
        raise InvalidArgument(
            f"--restart: invalid restart policy: unknown policy {name[:40]!r}", hint=f"use one of {', '.join(POLICIES)}"
        )
    if colon and name != "on-failure":
        raise InvalidArgument(
            "--restart: invalid restart policy: maximum retry count can only be used with 'on-failure'",
            hint=f"write --restart {name}",
        )
    if colon and not _COUNT.fullmatch(count):
        raise InvalidArgument(
            "--restart: invalid restart policy format: maximum retry count must be an integer",
            hint="write it like on-failure:5",
        )
    return RestartSpec(name, int(count) if colon else 0)
