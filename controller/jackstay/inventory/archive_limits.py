"""Bounds on the archives that this machine reads: the ``[limits]`` table of the user's ``config.toml``.

A project's file sets none: it may come from who made the archive.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec

from jackstay.errors import UsageError
from jackstay.inventory.places import config_folder
from jackstay_oci.limits import Limits

HINT = "no honest image passes a bound; [limits] in ~/.config/jackstay/config.toml sets them"


def archive_limits(environ: Mapping[str, str]) -> Limits:
    """The bounds that the file sets, the others as they are; none is needed.

    Raises:
        UsageError: the file is malformed, or has a bound that there is not or that is no positive number.
    """
    path = config_folder(environ) / "config.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return Limits()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}", hint="the file is TOML; strings need quotes") from None
    table: Any = document.get("limits", {})
    known = [field.name for field in fields(Limits)]
    try:
        given = msgspec.convert(table, dict[str, int])
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: [limits]: {error}", hint="for example: [limits] images = 20000") from None
    for name, value in given.items():
        if name not in known:
            raise UsageError(f"{path}: [limits]: no bound is called {name!r}", hint=f"bounds are {', '.join(known)}")
        if value < 1:
            raise UsageError(f"{path}: [limits]: {name} is {value}", hint="a bound is 1 or more")
    return Limits(**given)
