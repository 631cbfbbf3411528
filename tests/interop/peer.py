"""A Debian whose real engines the tests talk to: a lab host, the folder that is its root, and a way to run programs.

Daemons run in the host's own process, network and mount namespaces and cgroups. When the host ends, however that comes
about, the kernel takes them and their mounts along; this machine's own network is never touched.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.host import Host

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT = 120  # seconds that any one program may take


class Peer:
    """Where programs of one Debian run. ``exchange`` is a folder of files that has the same path in there as here."""

    def __init__(self, name: str, host: Host, exchange: Path, root: Path = Path("/")) -> None:
        self.name = name
        self.host = host
        self.exchange = exchange
        self.data = host.namespace.folder / "data"
        """Where its engines keep what they have: on a disk, since an overlay cannot lie on the host's own overlay."""
        self._root = root
        self.data.mkdir()

    @classmethod
    def of_folder(cls, name: str, host: Host, exchange: Path, system: Path) -> Peer:
        """One that runs from the folder ``system``, which stays as it is: what is written goes to a layer above."""
        top = host.namespace.folder / "system"
        peer = cls(name, host, exchange, top / "root")
        for part in ("upper", "work", "root"):
            (top / part).mkdir(parents=True)
        # The same paths as outside, for files to exchange and for the engines' data.
        shared = [exchange, peer.data]
        lines = [f"mount -t overlay -o lowerdir={system},upperdir={top}/upper,workdir={top}/work overlay {top}/root"]
        lines += [f"mount --rbind {folder} {top}/root{folder}" for folder in ("/proc", "/sys", "/dev", "/run")]
        lines += [f"mkdir -p {top}/root{folder} && mount --bind {folder} {top}/root{folder}" for folder in shared]
        ended = host.exec(["sh", "-ec", "\n".join(lines)])
        assert ended.returncode == 0, f"{name}: its folders could not be mounted: {ended.stderr}"
        return peer

    def command(self, argv: Sequence[str]) -> list[str]:
        """What to run on this machine so that ``argv`` runs there."""
        return self.host.command(["chroot", str(self._root), *argv])

    def environment(self) -> dict[str, str]:
        """A clean one."""
        return {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}

    def run(
        self,
        *argv: str | Path,
        stdin: Path | None = None,
        stdout: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Run a program, which must succeed, with files for its standard streams; what it printed."""
        arguments = [str(argument) for argument in argv]
        with open(stdin or os.devnull, "rb") as source, open(stdout or os.devnull, "wb") as target:
            ended = subprocess.run(
                self.command(arguments),
                stdin=source,
                stdout=target if stdout else subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environment() | dict(environment or {}),
                timeout=TIMEOUT,
            )
        said = ended.stderr.decode(errors="replace")
        assert ended.returncode == 0, f"{self.name}: {' '.join(arguments)} ended with {ended.returncode}:\n{said}"
        return (ended.stdout or b"").decode()
