"""What a check tells: findings, steps of progress, and the end. Values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["missing", "wrong", "orphaned"]
Thing = Literal["blob", "layer", "image", "container", "ingest", "volume", "secret", "database"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be."""

    kind: Kind
    thing: Thing
    name: str  # digest, ChainID, id, name or path
    detail: str  # one line: what is wrong, and whom it touches
    repaired: bool = False
    hint: str = ""  # what to do about it, when it was not repaired


@dataclass(frozen=True, slots=True)
class Step:
    """How far one part of the check is: bytes of "blobs", numbers of everything else."""

    doing: str
    current: int
    total: int


@dataclass(frozen=True, slots=True)
class Done:
    """The end: how much was looked at, how many bytes were read and hashed, and what came of it."""

    blobs: int
    layers: int
    images: int
    bytes: int
    found: int
    repaired: int


Event = Finding | Step | Done
