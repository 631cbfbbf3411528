"""A real Docker: its daemon, started and ended with its host, and its client."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.interop.peer import Peer
from tests.interop.trees import Tree, tree_of_process


class Docker:
    """One daemon on a peer. It has no bridge and writes no firewall rule: nothing here needs a container's network."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.log = peer.data / "dockerd.log"
        self._daemon: subprocess.Popen[bytes] | None = None
        self.version = ""

    def start(self, timeout: float = 60, *, insecure: str = "", **features: bool) -> None:
        """Start the daemon with its *features* switched, and wait until it answers. The *insecure* registry has no TLS.

        Raises :class:`AssertionError` with the end of its log.
        """
        settings = self.peer.data / "daemon.json"
        switched = {name.replace("_", "-"): on for name, on in features.items()}
        settings.write_text(json.dumps({"features": switched, "insecure-registries": [insecure] if insecure else []}))
        command = ["dockerd", "--data-root", str(self.peer.data / "docker"), "--exec-root", "/run/docker"]
        command += ["-H", "unix:///run/docker.sock", "--pidfile", "/run/docker.pid"]
        command += ["--bridge=none", "--iptables=false", "--config-file", str(settings)]
        with self.log.open("wb") as log:
            self._daemon = subprocess.Popen(
                self.peer.command(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.peer.environment(),
            )
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.version = str(json.loads(self._run("version", "--format", "{{json .}}"))["Server"]["Version"])
                return
            except AssertionError:
                assert self._daemon.poll() is None, f"{self.peer.name}: dockerd ended:\n{self._log_end()}"
                assert time.monotonic() < deadline, f"{self.peer.name}: dockerd does not answer:\n{self._log_end()}"
                time.sleep(0.1)

    def stop(self) -> None:
        """End the daemon; it would also end with its host."""
        if self._daemon is not None and self._daemon.poll() is None:
            self.peer.run("sh", "-c", "kill $(cat /run/docker.pid)")
            self._daemon.wait(30)

    # --- images ------------------------------------------------------------------------------------------------------

    def load(self, archive: Path) -> None:
        """``docker load``."""
        self._run("load", stdin=archive)

    def save(self, archive: Path, *names: str) -> Path:
        """``docker save``."""
        self._run("save", *names, stdout=archive)
        return archive

    def save_command(self, *names: str) -> list[str]:
        """``docker save`` to standard output, for a pipe."""
        return self.peer.command(["docker", "-H", "unix:///run/docker.sock", "save", *names])

    def import_tar(self, tar: Path, name: str, *argv: str) -> str:
        """``docker import``; the id."""
        return self._run("import", *argv, "-", name, stdin=tar).strip()

    def build(self, context: Path, name: str) -> None:
        """``docker build`` with the builder that every version has, from a context's tar."""
        self._run("build", "--network=none", "--no-cache", "-t", name, "-", stdin=context, DOCKER_BUILDKIT="0")

    def commit_changes(self, image: str, script: str, name: str) -> None:
        """``docker run`` a shell script in a container, then ``docker commit`` it."""
        container = self._run("create", "--network=none", image, "/bin/sh", "-ec", script).strip()
        self._run("start", "--attach", container)
        self._run("commit", container, name)
        self._run("rm", container)

    def create(self, *argv: str) -> str:
        """``docker create``; the container's id."""
        return self._run("create", "--network=none", *argv).strip()

    def commit(self, *argv: str) -> str:
        """``docker commit``; the image's id."""
        return self._run("commit", *argv).strip()

    def id(self, name: str) -> str:
        """An image's id."""
        return str(self.inspect(name)["Id"])

    def inspect(self, name: str) -> dict[str, Any]:
        """What ``docker image inspect`` says."""
        (found,) = json.loads(self._run("image", "inspect", name))
        return dict(found)

    def empty(self) -> None:
        """Remove all containers and images, so that the next load finds nothing that is there already."""
        if containers := self._run("ps", "-aq").split():
            self._run("rm", "-f", *containers)
        self._run("image", "prune", "--all", "--force")
        assert not self._run("image", "ls", "-aq").split()

    # --- containers --------------------------------------------------------------------------------------------------

    def tree(self, image: str) -> Tree:
        """What a container of an image sees."""
        container = self._run("run", "-d", "--network=none", image, "sleep", "600").strip()
        (found,) = json.loads(self._run("container", "inspect", container))
        tree = tree_of_process(self.peer.host, found["State"]["Pid"])
        self._run("rm", "-f", container)
        return tree

    def ask(self, *argv: str) -> str:
        """Any command that must succeed; what it printed."""
        return self._run(*argv)

    def code(self, *argv: str) -> int:
        """Any command; its exit code."""
        command = self.peer.command(["docker", "-H", "unix:///run/docker.sock", *argv])
        quiet = subprocess.DEVNULL
        return subprocess.run(
            command, stdin=quiet, stdout=quiet, stderr=quiet, env=self.peer.environment(), timeout=60
        ).returncode

    def printed(self, *argv: str) -> tuple[int, str]:
        """Any command; its exit code and what it printed."""
        command = self.peer.command(["docker", "-H", "unix:///run/docker.sock", *argv])
        quiet = subprocess.DEVNULL
        ended = subprocess.run(
            command, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet, env=self.peer.environment(), timeout=60
        )
        return ended.returncode, ended.stdout.decode()

    def _run(self, *argv: str, stdin: Path | None = None, stdout: Path | None = None, **environment: str) -> str:
        command = ("docker", "-H", "unix:///run/docker.sock", *argv)
        return self.peer.run(*command, stdin=stdin, stdout=stdout, environment=environment)

    def _log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
