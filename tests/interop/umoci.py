"""A real umoci: it reads, changes and writes OCI folders, and unpacks their images."""

from __future__ import annotations

from pathlib import Path

from tests.interop.peer import Peer


class Umoci:
    """umoci on a peer. An image is ``FOLDER:NAME``."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.version = self.peer.run("umoci", "--version").split()[-1]

    def names(self, folder: Path) -> list[str]:
        """``umoci list``."""
        return self.peer.run("umoci", "list", "--layout", folder).split()

    def unpack(self, folder: Path, name: str, bundle: Path) -> Path:
        """``umoci unpack``; the root file system."""
        self.peer.run("umoci", "unpack", "--image", f"{folder}:{name}", bundle)
        return bundle / "rootfs"

    def repack(self, folder: Path, name: str, bundle: Path) -> None:
        """``umoci repack``: what was changed in the bundle becomes a layer of a new image."""
        self.peer.run("umoci", "repack", "--image", f"{folder}:{name}", bundle)
