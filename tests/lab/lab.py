"""The lab: N hosts on this machine, from nothing to nothing.

Everything it makes hangs on processes that it started and knows by number and start time: when they end, the kernel
takes the namespaces, links and mounts with them. What remains are a folder and cgroups, both named by the lab's token.
`down` needs the folder only, so it also cleans up after an `up` that was cut anywhere.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.lab import cgroups
from tests.lab.agent import Agent
from tests.lab.agents import Agents
from tests.lab.errors import LabError
from tests.lab.host import Host
from tests.lab.namespace import Namespace
from tests.lab.place import Place
from tests.lab.processes import in_namespace_of
from tests.lab.ssh import Keys, Sshd
from tests.lab.switch import LAPTOP_PORT, LinkBytes, Switch, free_subnet, remove_laptop_interface

PROGRAMS = Path(sys.executable).parent  # of the environment that holds jackstay and jackstayd
HOST_PATH = f"{PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RECORD = "lab.json"


class Lab:
    """Hosts ``web1`` … ``webN``, group ``@web``, for the length of a ``with``.

    ``dir`` is made when missing and removed in the end; without it, a new one below the temporary folder.
    ``state_size`` (``64m``) puts the agents' state on a tmpfs of that size instead of on the disk. ``agent`` is the
    agent's command; ``None`` starts none. ``runtimes`` names the OCI runtime of hosts that are not to choose one, as in
    ``{"web3": "runc"}``. With ``forked`` agents are forked by a process that has loaded them, in a tenth of the time,
    instead of being started as on a real host. With ``stays`` the hosts outlive this process.
    """

    def __init__(
        self,
        hosts: int = 3,
        dir: Path | str | None = None,
        *,
        state_size: str | None = None,
        agent: Sequence[str] | None = (str(PROGRAMS / "jackstayd"),),
        runtimes: Mapping[str, str] | None = None,
        forked: bool = False,
        stays: bool = False,
    ) -> None:
        self.count = hosts
        self._wanted_dir = Path(dir).absolute() if dir is not None else None
        self._state_size = state_size
        self._agent = agent
        self._runtimes = runtimes or {}
        self._forked = forked
        self._agents: Agents | None = None
        self._stays = stays
        self._lifeline: tuple[int, int] | None = None
        self._servers = 0
        self.hosts: dict[str, Host] = {}
        self.dir = Path()
        self.token = ""
        self.subnet = ""
        self.switch: Switch
        self.keys: Keys

    # --- life --------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Lab:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> None:
        """Make everything, or nothing. Raises :class:`LabError`."""
        if os.geteuid() != 0:
            raise LabError("the lab makes namespaces and links: run it as root")
        self.token = secrets.token_hex(4)
        if self._wanted_dir is None:
            self.dir = Path(tempfile.mkdtemp(prefix="jackstay-lab-"))
        else:
            self.dir = self._wanted_dir
            if (self.dir / _RECORD).exists():
                raise LabError(
                    f"{self.dir} holds a lab already: `python -m tests.lab down --dir {self.dir}` removes it"
                )
            self.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.subnet = free_subnet([f"10.{random.randint(200, 254)}.{random.randint(0, 255)}" for _ in range(50)])
        (self.dir / _RECORD).write_text(
            json.dumps({"token": self.token, "subnet": self.subnet, "hosts": self.count, "agent": self._agent})
        )
        try:
            self._create()
        except BaseException:
            self.down()
            raise

    def _create(self) -> None:
        if not self._stays:
            self._lifeline = os.pipe()
        if self._forked:
            self._agents = Agents()
        reading = self._lifeline[0] if self._lifeline else None
        self.keys = Keys(self.dir / "ssh")
        self.keys.create()
        self.switch = Switch.create(self.dir / "switch", self.token, self.subnet, reading)
        for number in range(1, self.count + 1):
            self._create_host(number, reading)
        self._write_inventory()
        if self._agent is not None:
            for host in self.hosts.values():
                host.agent.start(wait=None)
            for host in self.hosts.values():
                host.agent.wait_ready()

    def _create_host(self, number: int, lifeline: int | None) -> None:
        name = f"web{number}"
        folder = self.dir / "hosts" / name
        for part in ("etc", "state"):
            (folder / part).mkdir(mode=0o700, parents=True)
        if name in self._runtimes:
            (folder / "etc" / "jackstayd.toml").write_text(f'runtime = "{self._runtimes[name]}"\n')
        namespace = Namespace.create(
            folder,
            {"kind": "host", "name": name, "cgroup": _cgroup(self.token), "state_size": self._state_size},
            lifeline,
        )
        host = self._host(number, namespace)
        self.switch.plug(namespace, name, host.address, mac=f"02:00:{self.token[:2]}:{self.token[2:4]}:00:{number:02x}")
        host.sshd.create_key()
        host.sshd.start()
        self.hosts[name] = host

    def _host(self, number: int, namespace: Namespace) -> Host:
        name, address = f"web{number}", f"{self.subnet}.{number}"
        sshd = Sshd(namespace, address, self.keys, namespace.folder / "sshd", HOST_PATH)
        agent = Agent(name, namespace, self._agent or (), namespace.folder / "agent.log", HOST_PATH, self._agents)
        return Host(name, address, namespace, self.switch, sshd, agent)

    @classmethod
    def open(cls, dir: Path | str) -> Lab:
        """The lab that another process has put up in ``dir``. Raises :class:`LabError` when there is none."""
        folder = Path(dir).absolute()
        try:
            record = json.loads((folder / _RECORD).read_text())
        except FileNotFoundError:
            raise LabError(f"{folder} holds no lab") from None
        lab = cls(record["hosts"], folder, agent=record["agent"], stays=True)
        lab.dir, lab.token, lab.subnet = folder, record["token"], record["subnet"]
        lab.keys = Keys(folder / "ssh")
        switch = Namespace.open(folder / "switch")
        if switch is not None:
            lab.switch = Switch(switch)
            for number in range(1, lab.count + 1):
                namespace = Namespace.open(folder / "hosts" / f"web{number}")
                if namespace is not None:
                    lab.hosts[f"web{number}"] = lab._host(number, namespace)
        return lab

    def down(self) -> None:
        """Remove everything; what is gone already is no error."""
        if self._agents is not None:
            self._agents.close()
            self._agents = None
        # The kernel would take the laptop's interface along with the switch, but only some time later.
        remove_laptop_interface(self.token)
        folders = [*sorted(self.dir.glob("hosts/*")), self.dir / "switch"]
        for namespace in filter(None, map(Namespace.open, folders)):
            namespace.destroy()
        if self._lifeline is not None:
            for descriptor in self._lifeline:
                os.close(descriptor)
            self._lifeline = None
        cgroups.remove(_cgroup(self.token))
        shutil.rmtree(self.dir, ignore_errors=False)
        self.hosts.clear()

    def server_place(self) -> Place:
        """Another machine without anything on it but an address: for a server that hosts and laptop reach.

        ``switch.power``, ``link_bytes`` and so on know it by its name. It goes with the lab.
        """
        number = 200 + self._servers
        name, address = f"server{self._servers}", f"{self.subnet}.{number}"
        self._servers += 1
        lifeline = self._lifeline[0] if self._lifeline else None
        namespace = Namespace.create(self.dir / "hosts" / name, {"kind": "switch", "name": name}, lifeline)
        self.switch.plug(namespace, name, address, mac=f"02:00:{self.token[:2]}:{self.token[2:4]}:01:{number:02x}")
        return Place(address, namespace.process, name)

    # --- what a user of it needs -------------------------------------------------------------------------------------

    @property
    def inventory(self) -> Path:
        """The ``hosts.toml`` that names the hosts."""
        return self.dir / "hosts.toml"

    def environment(self) -> dict[str, str]:
        """This process's environment for a ``jackstay`` that knows the lab and nothing of the user's own settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JACKSTAY_")}
        kept.pop("SSH_AUTH_SOCK", None)
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # or every command would compile its modules anew
        return kept | {
            "PATH": f"{PROGRAMS}:{os.environ.get('PATH', os.defpath)}",
            "JACKSTAY_INVENTORY": str(self.inventory),
            "JACKSTAY_SOCKET": str(self.dir / "laptop" / "no-agent"),  # none is started on this machine
            "XDG_CONFIG_HOME": str(self.dir / "laptop" / "config"),
            "XDG_CACHE_HOME": str(self.dir / "laptop" / "cache"),
            "XDG_STATE_HOME": str(self.dir / "laptop" / "state"),
        }

    def laptop_bytes(self) -> LinkBytes:
        """What the laptop's link has carried, from the laptop's point of view."""
        return self.switch.link_bytes(LAPTOP_PORT)

    def processes(self) -> int:
        """How many processes the hosts have, containers' own ones excepted."""
        return sum(len(in_namespace_of(host.namespace.process)) for host in self.hosts.values())

    def _write_inventory(self) -> None:
        lines = ["# The lab's hosts.", ""]
        for host in self.hosts.values():
            lines += [
                f"[hosts.{host.name}]",
                f'address = "{host.address}"',
                'user = "root"',
                f'identity = ["{self.keys.identity}"]',
                f'known_hosts = ["{self.keys.known_hosts}"]',
                "",
            ]
        lines += ["[groups]", f'web = "web[1-{self.count}]"', ""]
        self.inventory.write_text("\n".join(lines))


def _cgroup(token: str) -> str:
    return f"jackstay-lab-{token}"
