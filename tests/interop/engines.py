"""The real programs, by the Debian that they come from."""

from __future__ import annotations

from dataclasses import dataclass

from tests.interop.docker import Docker
from tests.interop.podman import Podman
from tests.interop.skopeo import Skopeo

DEBIANS = ("debian12", "debian13")


@dataclass(frozen=True, slots=True)
class Engines:
    """What one Debian has."""

    docker: Docker
    podman: Podman
    skopeo: Skopeo
