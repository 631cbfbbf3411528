"""What a fetch tells while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from jackstay_oci.digest import Digest


class Phase(Enum):
    """Where one blob is on its way. The names are those of the protocol's ``FetchProgress.Phase``."""

    PRESENT = "PRESENT"
    RECEIVING = "RECEIVING"
    RECEIVED = "RECEIVED"
    UNPACKING = "UNPACKING"
    UNPACKED = "UNPACKED"


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of one blob; `current` and `total` in bytes."""

    digest: Digest
    phase: Phase
    current: int
    total: int


Report = Callable[[Progress], None]
"""Told of every step; must not block. Steps of `RECEIVING` may be dropped by a slow listener."""
