"""How much memory process trees take while something runs, as a ``with`` block; see `sampler` for what is counted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import sampler

INTERVAL = 0.008
"""Seconds between two samples, their own time not counted."""


@dataclass(slots=True)
class Taken:
    """What one tree took: at the start, and at most. In bytes; see `sampler`."""

    idle: dict[str, Any] = field(default_factory=dict)
    peak: dict[str, Any] = field(default_factory=dict)
    samples: int = 0
    longest_gap: float = 0.0
    """Seconds."""

    def __str__(self) -> str:
        processes = sorted(self.peak["processes"], key=lambda each: -each["pss"])
        return (
            f"peak {mib(self.peak['pss'])} PSS, {mib(self.peak['alone'])} if alone on its host, "
            f"in {', '.join(mib(each['pss']) for each in processes)}; before {mib(self.idle['pss'])}; "
            f"{self.samples} samples, at most {self.longest_gap * 1000:.0f} ms apart"
        )


def mib(size: float) -> str:
    """Bytes as people read them."""
    return f"{size / (1 << 20):.1f} MiB"


@contextmanager
def watching(trees: Mapping[str, int]) -> Iterator[dict[str, Taken]]:
    """Sample the trees below these processes, given by name, during the block; complete when it ends."""
    taken = {name: Taken() for name in trees}
    command = [sys.executable, "-I", "-S", str(Path(sampler.__file__)), str(INTERVAL), *map(str, trees.values())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for each, idle in zip(taken.values(), json.loads(process.stdout.readline()), strict=True):
            each.idle = idle
        try:
            yield taken
        finally:
            process.stdin.close()
            told = json.loads(process.stdout.readline())
            for each, peak in zip(taken.values(), told["peaks"], strict=True):
                each.peak, each.samples, each.longest_gap = peak, told["samples"], told["longest_gap"]
