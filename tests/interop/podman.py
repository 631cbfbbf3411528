"""A real Podman: no daemon, a storage of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.interop.peer import Peer


class Podman:
    """Podman on a peer."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.version = str(json.loads(self._run("version", "--format", "json"))["Client"]["Version"])

    def version_by(self, template: str) -> str:
        """``podman version --format``."""
        return self._run("version", "--format", template)

    def load(self, archive: Path) -> list[str]:
        """``podman load``; the names that it gave."""
        printed = self._run("load", "-i", str(archive))
        lines = [line.partition(":")[2] for line in printed.splitlines() if line.startswith("Loaded image")]
        return [name.strip() for line in lines for name in line.split(",")]

    def save(self, archive: Path, form: str, *names: str) -> Path:
        """``podman save --format`` docker-archive or oci-archive."""
        several = ["--multi-image-archive"] if len(names) > 1 else []
        self._run("save", "--quiet", "--format", form, *several, "-o", str(archive), *names)
        return archive

    def pull(self, source: str) -> str:
        """``podman pull`` from an archive or a folder, such as ``oci:DIR:NAME``; the image's id."""
        return f"sha256:{self._run('pull', '--quiet', source).strip()}"

    def pull_from(self, name: str) -> str:
        """``podman pull`` from a registry without TLS; the image's id."""
        return f"sha256:{self._run('pull', '--quiet', '--tls-verify=false', name).strip()}"

    def push(self, name: str, target: str, *options: str) -> None:
        """``podman push`` to an archive or a folder."""
        self._run("push", "--quiet", *options, name, target)

    def import_tar(self, tar: Path, name: str) -> None:
        """``podman import``."""
        self._run("import", "--quiet", str(tar), name)

    def export(self, image: str, tar: Path) -> Path:
        """``podman export`` of a container of an image, which is made for it."""
        container = self._run("create", "--network=none", image, "/bin/sh").strip()
        self._run("export", "-o", str(tar), container)
        self._run("rm", container)
        return tar

    def id(self, name: str) -> str:
        """An image's id."""
        return f"sha256:{self._inspect(name)['Id']}"

    def digest(self, name: str) -> str:
        """The digest of an image's manifest."""
        return str(self._inspect(name)["Digest"])

    def empty(self) -> None:
        """Remove all images."""
        self._run("image", "rm", "--all", "--force")
        assert not self._run("image", "ls", "-aq").split()

    def _inspect(self, name: str) -> dict[str, Any]:
        (found,) = json.loads(self._run("image", "inspect", name))
        return dict(found)

    def _run(self, *argv: str) -> str:
        storage = ["--root", str(self.peer.data / "podman"), "--runroot", "/run/podman", "--storage-driver", "overlay"]
        return self.peer.run("podman", *storage, "--cgroup-manager", "cgroupfs", "--events-backend", "none", *argv)
