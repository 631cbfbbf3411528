"""The SSH of the lab: one key for the laptop, one host key and one sshd a host, one known_hosts file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.lab.namespace import Namespace

SSHD_CONFIG = """\
ListenAddress {address}:22
HostKey {folder}/host_key
PidFile /run/sshd.pid
AuthorizedKeysFile {authorized_keys}
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
AllowStreamLocalForwarding yes
SetEnv PATH={path}
Subsystem sftp internal-sftp
{extra}"""


class Keys:
    """What the laptop holds: its key, and the keys of the hosts."""

    def __init__(self, folder: Path) -> None:
        self.identity = folder / "id_ed25519"
        self.authorized = folder / "id_ed25519.pub"
        self.known_hosts = folder / "known_hosts"

    def create(self) -> None:
        """Make the laptop's key."""
        self.identity.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _generate(self.identity, "laptop")
        self.known_hosts.touch()


class Sshd:
    """The SSH server of one host."""

    def __init__(self, namespace: Namespace, address: str, keys: Keys, folder: Path, path: str) -> None:
        self._namespace = namespace
        self._address = address
        self._keys = keys
        self._folder = folder
        self._path = path

    def create_key(self) -> None:
        """Make the host's key, and make it known to the laptop."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        _generate(self._folder / "host_key", self._address)
        public = (self._folder / "host_key.pub").read_text().split()
        with self._keys.known_hosts.open("a") as known:
            known.write(f"{self._address} {public[0]} {public[1]}\n")

    def start(self, extra: str = "") -> None:
        """Start it; ``extra`` is more of ``sshd_config``. It accepts connections when this returns."""
        config = self._folder / "sshd_config"
        config.write_text(
            SSHD_CONFIG.format(
                address=self._address,
                folder=self._folder,
                authorized_keys=self._keys.authorized,
                path=self._path,
                extra=extra,
            )
        )
        subprocess.run(
            self._namespace.command(["/usr/sbin/sshd", "-f", str(config), "-E", str(self._folder / "sshd.log")]),
            check=True,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End the listening server; sessions stay."""
        subprocess.run(
            self._namespace.command(["sh", "-c", "kill $(cat /run/sshd.pid) && rm -f /run/sshd.pid"]), check=True
        )


def _generate(path: Path, comment: str) -> None:
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], check=True)
