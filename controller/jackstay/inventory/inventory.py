"""The hosts that the user has named, and the choice among them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from jackstay.errors import UsageError
from jackstay.inventory.address import is_address, parse_address
from jackstay.inventory.host import Host, local_host
from jackstay.inventory.last_failed import last_failed_path, read_last_failed
from jackstay.inventory.nodesets import expand, nearest
from jackstay.inventory.places import config_folder

LAST_FAILED = "@last-failed"
HOST_NAME = re.compile(r"[\w][\w.-]*")


class Inventory:
    """Hosts and groups of one ``hosts.toml``; and beside them any host that SSH can reach by name or address."""

    def __init__(
        self,
        hosts: Mapping[str, Host] | None = None,
        groups: Mapping[str, str] | None = None,
        path: Path | None = None,
        ssh_config: Path | None = None,
    ) -> None:
        self.hosts = hosts or {}
        self.groups = groups or {}
        """A host set by a group's name."""
        self.path = path
        self.ssh_config = ssh_config or Path.home() / ".ssh" / "config"

    @staticmethod
    def find(explicit: str | Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
        """Where the inventory is: ``--inventory``, ``JACKSTAY_INVENTORY``, else ``~/.config/jackstay/hosts.toml``."""
        said = explicit or environ.get("JACKSTAY_INVENTORY")
        return cwd / Path(said).expanduser() if said else config_folder(environ) / "hosts.toml"

    @classmethod
    def load(cls, path: Path) -> Inventory:
        """Read an inventory; a missing file is an empty one.

        Raises :class:`~jackstay.errors.UsageError` naming file and line when it is not as it must be.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls(path=path)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
            raise UsageError(f"the inventory {path} cannot be read: {reason}") from None
        from jackstay.inventory.hosts_file import parse_hosts_file

        content = parse_hosts_file(text, path)
        return cls(content.hosts, content.groups, path)

    def select(
        self,
        sets: Sequence[str],
        exclude: Sequence[str] = (),
        limit: Sequence[str] = (),
        *,
        last_failed: Path | None = None,
    ) -> list[Host]:
        """The hosts of ``sets`` without those of ``exclude``, only those of ``limit`` when given; each host once.

        ``@last-failed`` as a whole set stands for the names in the file ``last_failed`` (the user's own by default).
        Raises :class:`~jackstay.errors.UsageError` for what is malformed, unknown but near to a known name, or empty.
        """
        chosen = self._names(sets, last_failed)
        if limit:
            allowed = self._names(limit, last_failed)
            chosen = {name: None for name in chosen if name in allowed}
        for name in self._names(exclude, last_failed):
            chosen.pop(name, None)
        if not chosen:
            said = " ".join([*sets, *(f"--limit {one}" for one in limit), *(f"-x {one}" for one in exclude)])
            raise UsageError(f"no host is left of: {said}", hint="`jackstay host ls 'SET'` shows what a set means")
        return [self.host(name) for name in chosen]

    def host(self, name: str) -> Host:
        """One host by its name or address. Raises :class:`~jackstay.errors.UsageError` as :meth:`select` does."""
        if name in self.hosts:
            return self.hosts[name]
        if is_address(name):
            address = parse_address(name)
            base = self.hosts.get(address.host) or Host(name=name, address=address.host)
            return base._replace(name=name, user=address.user or base.user, port=address.port or base.port)
        if name == "local":
            return local_host()
        from jackstay.inventory.ssh_names import ssh_config_names

        if name not in ssh_config_names(self.ssh_config) and (near := nearest(name, [*self.hosts, "local"])):
            raise UsageError(
                f"there is no host {name} in {self.path or 'the inventory'}",
                hint=f"did you mean {near}? A host that is not in the inventory is written user@{name}",
            )
        if not HOST_NAME.fullmatch(name):
            raise UsageError(f"{name!r} is not a host name", hint="examples: web1, 'web[1-40]', '@web', user@host:port")
        return Host(name=name, address=name)

    def _names(self, sets: Sequence[str], last_failed: Path | None) -> dict[str, None]:
        """The names of several sets, in order, each once."""
        names: dict[str, None] = {}
        for one in sets:
            if one.strip() == LAST_FAILED:
                names.update(dict.fromkeys(read_last_failed(last_failed or last_failed_path(os.environ))))
            else:
                names.update(dict.fromkeys(expand(one, self.hosts.keys(), self.groups)))
        return names
