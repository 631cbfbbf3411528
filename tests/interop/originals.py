"""Images that a real Docker has made, and what became of them in jackstay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.contents import Contents
from tests.interop.docker import Docker
from tests.interop.trees import Tree

IMAGES = ("imported:1", "made:1", "made:2")


@dataclass(frozen=True, slots=True)
class Original:
    """Images that one Docker has made and saved, and what it says about them. The Docker has forgotten them since."""

    docker: Docker
    archives: dict[str, Path]
    together: Path
    """All of them in one archive."""
    ids: dict[str, str]
    layers: dict[str, tuple[str, ...]]
    trees: dict[str, Tree]


@dataclass(frozen=True, slots=True)
class Passed:
    """What jackstay said about ``made:2`` when it had loaded it, and what it saved."""

    original: Contents
    described: dict[str, Any]
    id: str
    docker: Path
    oci: Path
    gzipped: Path
    zstd: Path
