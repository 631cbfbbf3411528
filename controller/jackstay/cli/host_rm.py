"""``jackstay host rm``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from jackstay.cli.hosts_file import read_hosts_file, write_hosts_file
from jackstay.cli.lazy import fleet_flags_of


def command(ctx: typer.Context, names: Annotated[list[str], typer.Argument(metavar="NAME...")]) -> int:
    """Remove hosts from the inventory.

    The hosts themselves are left as they are. Either all names are removed or none.

    \b
    Examples:
      jackstay host rm web3
    """
    from jackstay.inventory import Inventory
    from jackstay.inventory.edit import remove_host

    path = Inventory.find(fleet_flags_of(ctx).inventory, os.environ, Path.cwd())
    text = read_hosts_file(path)
    for name in names:
        text = remove_host(text, name, path)
    write_hosts_file(path, text)
    print("\n".join(names))
    return 0
