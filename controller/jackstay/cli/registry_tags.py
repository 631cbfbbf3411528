"""``jackstay registry tags``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from jackstay.cli.output.headings import REGISTRY_TAG
from jackstay.cli.output.view import Table
from jackstay.cli.registry_result import show_registry
from jackstay.errors import UsageError

COLUMNS = (("REPOSITORY", "Repository"), ("TAG", "Tag"))


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Whole names only, for other commands.")] = False,
) -> int:
    """List the tags of a repository.

    This machine asks the registry. A name without one means Docker Hub.

    \b
    Examples:
      jackstay registry tags httpd
      jackstay registry tags registry.example:5000/team/app
    """
    from jackstay_oci.reference import Reference

    if "/" not in name and "." in name.partition(":")[0]:  # Docker Hub has no such names, and people try this
        raise UsageError(f"{name[:200]} is a registry", hint=f"see its repositories: jackstay registry ls {name[:200]}")
    reference = Reference.parse(name)

    async def work() -> list[dict[str, Any]]:
        from jackstay.library import registries

        shown = reference.familiar_name
        return [{"Repository": shown, "Tag": tag, "Name": f"{shown}:{tag}"} for tag in await registries.tags(name)]

    return show_registry(ctx, reference.registry, work, Table(COLUMNS, REGISTRY_TAG), quiet="Name" if quiet else None)
