"""Which hosts are meant when a command names none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jackstay.errors import UsageError
from jackstay.inventory.places import config_folder


class DefaultHosts(NamedTuple):
    """Sets for :meth:`Inventory.select`, and where they were said (for ``host ls --origin`` and for prompts)."""

    sets: tuple[str, ...]
    origin: str  # "JACKSTAY_HOST", the path of a file, or "default"


def default_hosts(environ: Mapping[str, str], cwd: Path) -> DefaultHosts:
    """``JACKSTAY_HOST``, else ``host`` in a ``jackstay.toml`` here or above, else in ``config.toml``, else ``local``.

    ``host`` is a set or an array of sets; a file without it is passed over. Raises
    :class:`~jackstay.errors.UsageError` naming the file when it is not as it must be.
    """
    if said := environ.get("JACKSTAY_HOST"):
        return DefaultHosts((said,), "JACKSTAY_HOST")
    for path in _files(environ, cwd):
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: {error}", hint="the file is TOML; strings need quotes") from None
        import tomllib

        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path}: {error}", hint="the file is TOML; strings need quotes") from None
        if unknown := document.keys() - {"host", "limits", "output", "registries"}:
            raise UsageError(f"{path}: no setting is called {min(unknown)!r}", hint='settings are: host = "@web"')
        if "host" not in document:
            continue
        value = document["host"]
        sets = [value] if isinstance(value, str) else value
        if not isinstance(sets, list) or not sets or not all(isinstance(one, str) and one for one in sets):
            raise UsageError(f"{path}: host must be a host set or an array of host sets", hint='host = "@web"')
        return DefaultHosts(tuple(sets), str(path))
    return DefaultHosts(("local",), "default")


def _files(environ: Mapping[str, str], cwd: Path) -> Iterator[Path]:
    for folder in (cwd, *cwd.parents):
        yield folder / "jackstay.toml"
    yield config_folder(environ) / "config.toml"
