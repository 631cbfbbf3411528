"""Warnings of copies, pulls and pushes: what is attached to an image and did not come with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jackstay.cli.invocation import with_host
from jackstay.cli.main import print_warning

if TYPE_CHECKING:
    from jackstay.fleet import FleetResult

Objects = list[dict[str, Any]]


def warned(result: FleetResult[Objects]) -> FleetResult[Objects]:
    """The result, after its warnings went to stderr."""
    for outcome in result.outcomes:
        warn(outcome.host, outcome.value or ())
    return result


def warn(host: str, objects: Iterable[dict[str, Any]]) -> None:
    """A line on stderr for every warning of ``objects``, naming the host or registry that they are of."""
    for item in objects:
        for warning in item.get("warnings", ()):
            print_warning(with_host(host, warning))
