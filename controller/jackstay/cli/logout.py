"""``jackstay logout``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from jackstay.cli.output.view import Lines
from jackstay.cli.registry_result import show_registry


def command(
    ctx: typer.Context,
    registry: Annotated[str, typer.Argument(metavar="[REGISTRY]", show_default=False, help="Else Docker Hub.")] = "",
) -> int:
    """Log out of a registry.

    What docker or jackstay keeps for it on this machine is forgotten. The registry is not asked.

    \b
    Examples:
      jackstay logout
      jackstay logout registry.example:5000
    """
    from jackstay.library.registries import registry_name

    name = registry_name(registry)

    async def work() -> list[dict[str, Any]]:
        from jackstay.library import registries

        return [{"Registry": name, "Removed": await registries.log_out(name)}]

    return show_registry(ctx, name, work, Lines(_told))


def _told(item: dict[str, Any]) -> str:
    if item["Removed"]:
        return f"Removing login credentials for {item['Registry']}"
    return f"Not logged in to {item['Registry']}"
