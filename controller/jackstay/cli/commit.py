"""``jackstay commit``, ``jackstay container commit``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    name: Annotated[str, typer.Argument(metavar="[NAME[:TAG]]", show_default=False)] = "",
    author: Annotated[str, typer.Option("--author", "-a", metavar="NAME", help="Who made it.")] = "",
    change: Annotated[
        list[str] | None,
        typer.Option("--change", "-c", metavar="INSTRUCTION", help="A Dockerfile instruction. Repeatable."),
    ] = None,
    message: Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="What was changed.")] = "",
    pause: Annotated[bool, typer.Option("--pause/--no-pause", "-p", help="Freeze the container meanwhile.")] = True,
) -> int:
    """Make an image of a container's changes.

    Volumes and what is mounted into it are not among them. Instructions are CMD, ENTRYPOINT, ENV, EXPOSE,
    HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR.

    \b
    Examples:
      jackstay -H web1 commit -p -c 'CMD ["httpd", "-f"]' app httpd:1.1
      jackstay -H '@web' commit -a me -m 'with the new pages' app site:2
    """
    from jackstay.client import messages

    request = messages.CommitRequest(
        container=container, name=name, author=author, message=message, changes=change or (), pause=pause
    )
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.images.commit(request),
        lambda image_id: [{"Id": image_id, "Name": name}],
        field("Id"),
    )
