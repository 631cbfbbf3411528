"""``jackstay registry ls``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from jackstay.cli.output.headings import REPOSITORY
from jackstay.cli.output.view import Table
from jackstay.cli.registry_result import show_registry
from jackstay.errors import UsageError

COLUMNS = (("REPOSITORY", "Repository"),)


def command(
    ctx: typer.Context,
    registry: Annotated[str, typer.Argument(metavar="REGISTRY", show_default=False)],
    filters: Annotated[
        list[str] | None, typer.Option("--filter", "-f", metavar="KEY=VALUE", help="name=PATTERN, as 'team/*'.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Names only.")] = False,
) -> int:
    """List the repositories of a registry.

    This machine asks the registry, which must offer its catalogue; Docker Hub offers none.

    \b
    Examples:
      jackstay registry ls registry.example:5000
      jackstay registry ls registry.example:5000 -f 'name=team/*'
    """
    from jackstay.library.registries import registry_name

    name = registry_name(registry)
    patterns = [_pattern(text) for text in filters or ()]

    async def work() -> list[dict[str, Any]]:
        from fnmatch import fnmatchcase

        from jackstay.library import registries

        found = await registries.repositories(name)
        chosen = [each for each in found if all(fnmatchcase(each, pattern) for pattern in patterns)]
        return [{"Repository": each, "Name": f"{name}/{each}"} for each in chosen]

    return show_registry(ctx, name, work, Table(COLUMNS, REPOSITORY), quiet="Name" if quiet else None)


def _pattern(text: str) -> str:
    key, equals, value = text.partition("=")
    if key != "name" or not equals or not value:
        raise UsageError(f"--filter {text!r}: not name=PATTERN")
    return value
