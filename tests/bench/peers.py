"""The Docker and Podman that are installed here, if any, each with storage of its own beside what is measured."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Peer:
    """Another engine; ``command`` reaches it."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.command = command

    def run(self, *argv: str | Path) -> str:
        """Run a command of it. Raises :class:`RuntimeError` with what it said when it fails."""
        ran = subprocess.run([*self.command, *map(str, argv)], capture_output=True, text=True)
        if ran.returncode != 0:
            raise RuntimeError(f"{self.name} {argv[0]}: {ran.stderr.strip()}")
        return ran.stdout.strip()


@contextmanager
def docker(folder: Path, *, bridged: bool = False, options: Sequence[str] = ()) -> Iterator[Peer | None]:
    """A dockerd below ``folder``, which is gone afterwards; ``None`` when none is installed or it does not start.

    With ``bridged`` it has a network namespace of its own, and in it the bridge and the firewall's rules that it makes
    by default; else it makes no networks. ``options`` are more of dockerd's.
    """
    if not shutil.which("dockerd"):
        yield None
        return
    client = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"
    socket = f"unix://{folder}/docker.sock"
    folder.mkdir()
    alone = ["unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"] if bridged else []
    command = [*alone, "dockerd", "--data-root", folder / "data", "--exec-root", folder / "exec", "-H", socket]
    networks = [] if bridged else ["--iptables=false", "--bridge=none"]
    arguments = [*command, "--pidfile", folder / "docker.pid", *networks, *options]
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen([*map(str, arguments)], stdout=log, stderr=log)
    try:
        peer = Peer("docker", [client, "-H", socket])
        deadline = time.monotonic() + 20
        while True:
            try:
                version = peer.run("version", "--format", "{{.Server.Version}}")
                break
            except RuntimeError:
                if daemon.poll() is not None or time.monotonic() > deadline:
                    version = ""
                    break
                time.sleep(0.1)
        peer.name = f"docker {version}"
        yield peer if version else None
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if (where := line.split()[1]).startswith(f"{folder}/"):
                subprocess.run(["umount", "--lazy", where], check=False)
        shutil.rmtree(folder)


@contextmanager
def podman(folder: Path) -> Iterator[Peer | None]:
    """A podman with its storage below ``folder``, which is gone afterwards; ``None`` when none is there or works."""
    if not shutil.which("podman"):
        yield None
        return
    folder.mkdir()
    peer = Peer(
        "podman",
        ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "overlay"],
    )
    try:
        peer.name = f"podman {peer.run('version', '--format', '{{.Client.Version}}')}"
        peer.run("images")
    except RuntimeError:
        yield None
        return
    try:
        yield peer
    finally:
        subprocess.run([*peer.command, "rmi", "--all", "--force"], check=False, **QUIET)  # type: ignore[call-overload]
        subprocess.run(["umount", "--lazy", f"{folder}/root/overlay"], check=False, **QUIET)  # type: ignore[call-overload]
        shutil.rmtree(folder)
