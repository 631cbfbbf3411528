"""A real skopeo: it copies between archives and folders, and checks every digest on the way."""

from __future__ import annotations

from tests.interop.peer import Peer


class Skopeo:
    """skopeo on a peer."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.version = self.peer.run("skopeo", "--version").split()[-1]

    def copy(self, source: str, target: str, *options: str) -> None:
        """``skopeo copy``."""
        self.run("copy", "--quiet", *options, source, target)

    def run(self, *argv: str, platform: str = "") -> None:
        """Any command; of an index it takes the image for ``platform`` (``linux/arm64``), else for this machine."""
        os, _, architecture = platform.partition("/")
        override = ("--override-os", os, "--override-arch", architecture) if platform else ()
        self.peer.run("skopeo", *override, *argv)
