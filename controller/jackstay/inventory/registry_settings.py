"""How registries are reached from this machine: the ``[registries]`` tables of the machine's and of the user's file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from jackstay.errors import UsageError
from jackstay.inventory.places import config_folder
from jackstay_oci.registry.settings import RegistrySettings

MACHINE = Path("/etc/jackstay/config.toml")
"""What holds for every user of this machine."""

_HINT = 'for example: [registries] mirrors = {"docker.io" = ["https://mirror.example"]}'


def registry_settings(environ: Mapping[str, str], machine: Path = MACHINE) -> RegistrySettings:
    """What the files say; none is needed.

    A mirror or a folder that the user's file names wins, a registry may be named in either. Certificates are also
    looked for in ``~/.config/jackstay/certs.d``, before the machine's folders.

    Raises:
        UsageError: a file is malformed.
    """
    standard = RegistrySettings()
    folder = config_folder(environ)
    own, theirs = _read(folder / "config.toml"), _read(machine)
    certs = own.certs if own.certs != standard.certs else (str(folder / "certs.d"), *theirs.certs)
    return RegistrySettings(
        mirrors=theirs.mirrors | own.mirrors,
        plain_http=tuple(dict.fromkeys((*own.plain_http, *theirs.plain_http))),
        certs=certs,
    )


def _read(path: Path) -> RegistrySettings:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return RegistrySettings()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}", hint="the file is TOML; strings need quotes") from None
    table: Any = document.get("registries", {})
    try:
        return msgspec.convert(table, RegistrySettings)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: [registries]: {error}", hint=_HINT) from None
