"""Which images of which registries must be signed, as a configuration file says it. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from jackstay_oci.errors import InvalidReference
from jackstay_oci.reference import Reference

EVERY = "*"
"""What a policy for every other registry is under."""


class SignedBy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Images must be signed by one of some keys."""

    keys: tuple[str, ...]
    """Files of public keys in PEM, each by its whole path."""

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError('no key is named; "accept" takes what is not signed')
        for path in self.keys:
            if not path.startswith("/"):
                raise ValueError(f"{path!r} is no whole path of a file")


Policy = Literal["accept", "reject"] | SignedBy
"""What holds for images: any is taken, none is, or those that are signed."""


def check_scopes(scopes: Iterable[str]) -> None:
    """Accept what policies are for: ``*``, a registry, a repository, or whole parts of its path from the left.

    Raises:
        ValueError: one is none of these, and no image would ever be held against it.
    """
    for scope in scopes:
        if scope == EVERY:
            continue
        probe = f"{scope}/some/repository"
        try:
            reference = Reference.parse(probe)
        except InvalidReference:
            reference = None
        if reference is None or str(reference) != probe:
            raise ValueError(
                f"{scope!r} is no registry and no repository in full (registry.example:5000, docker.io/library/httpd)"
            )


def policy_for(policies: Mapping[str, Policy], name: str) -> tuple[str, Policy]:
    """What holds for the repository *name*, in full (``registry.example:5000/team/app``), and what it is said of.

    Of the policies for it, for a part of its path, for its registry and for every registry (``*``), the first counts.
    Where there is none, images are accepted.
    """
    scope = name
    while scope:
        if scope in policies:
            return scope, policies[scope]
        scope = scope.rpartition("/")[0]
    return EVERY, policies.get(EVERY, "accept")
