"""``jackstay image tree``."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.lazy import fleet_flags_of


def command(
    ctx: typer.Context,
    images: Annotated[list[str] | None, typer.Argument(metavar="[IMAGE...]", show_default=False)] = None,
) -> int:
    """Show which layers images share, as a tree.

    A line is a layer, and what rests on it is below; branches begin where images part. USED BY counts the images that
    rest on a layer, IMAGES names those whose top it is.

    \b
    Examples:
      jackstay -H web1 image tree
      jackstay -H web1 image tree --no-trunc httpd:1.1 base:1
      jackstay -H '@web' --json image tree
    """
    from jackstay.cli.output.layer_tree import Tree, layer_tree, strokes

    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.images.layers(images or ()),
        layer_tree,
        Tree(strokes(os.environ), full=fleet_flags_of(ctx).no_trunc),
        document=True,
    )
