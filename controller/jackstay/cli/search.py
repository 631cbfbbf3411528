"""``jackstay search``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.headings import SEARCH
from jackstay.cli.output.units import ellipsis
from jackstay.cli.output.view import Table
from jackstay.cli.registry_result import show_registry
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.library.registries import FoundImage

COLUMNS = (("NAME", "Name"), ("DESCRIPTION", "Description"), ("STARS", "StarCount"), ("OFFICIAL", "IsOfficial"))
DESCRIPTION_WIDTH = 45
LIMIT = 25
MOST = 100
"""Images that Docker Hub finds at most."""

Filter = Callable[["FoundImage"], bool]


def command(
    ctx: typer.Context,
    term: Annotated[str, typer.Argument(metavar="[REGISTRY/]TERM", show_default=False)],
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Show at most so many.")] = LIMIT,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", metavar="KEY=VALUE", help="is-official=true, is-automated=true, stars=N."),
    ] = None,
) -> int:
    """Search a registry for images.

    This machine asks the registry: Docker Hub, or one that offers its catalogue.

    \b
    Examples:
      jackstay search httpd
      jackstay search --filter is-official=true --limit 5 httpd
      jackstay search registry.example:5000/app
    """
    if not 1 <= limit <= MOST:
        raise UsageError(f"--limit {limit}: not between 1 and {MOST}")
    tests = [_filter(text) for text in filters or ()]
    registry, word = _parts(term)
    flags = fleet_flags_of(ctx)
    words = flags.json or flags.jsonl or (flags.format or "").strip() == "json"

    async def work() -> list[dict[str, Any]]:
        from jackstay.library import registries

        found = await registries.search(registry, word, limit)
        return [
            _object(image, full=flags.no_trunc or words, words=words)
            for image in found
            if all(test(image) for test in tests)
        ]

    return show_registry(ctx, registry, work, Table(COLUMNS, SEARCH))


def _parts(term: str) -> tuple[str, str]:
    """Registry and word, a registry being what it is in an image's name."""
    from jackstay.library.registries import registry_name

    first, slash, rest = term.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        registry, word = registry_name(first), rest
    else:
        registry, word = registry_name(""), term
    if not word or not word.isprintable():
        raise UsageError(f"search: {term[:200]!r} has no word to look for")
    return registry, word


def _filter(text: str) -> Filter:
    key, _, value = text.partition("=")
    if key == "stars" and value.isascii() and value.isdigit():
        return lambda image: image.stars >= int(value)
    if value in ("true", "false", "1", "0"):
        wanted = value in ("true", "1")
        if key == "is-official":
            return lambda image: image.official == wanted
        if key == "is-automated":
            return lambda image: image.automated == wanted
    raise UsageError(f"--filter {text!r}: not is-official=true, is-automated=true or stars=N")


def _object(image: FoundImage, *, full: bool, words: bool) -> dict[str, Any]:
    """As docker has it; ``words``: as in its JSON."""
    description = " ".join(image.description.split())

    def said(value: bool) -> str:
        return str(value).lower() if words else "[OK]" if value else ""

    return {
        "Description": description if full else ellipsis(description, DESCRIPTION_WIDTH),
        "IsAutomated": said(image.automated),
        "IsOfficial": said(image.official),
        "Name": image.name,
        "StarCount": str(image.stars),
    }
