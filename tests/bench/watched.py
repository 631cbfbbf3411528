"""One command of the laptop, and the memory that agents and controller take meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jackstay_oci.compression import compressing
from tests.bench.memory import Taken, watching
from tests.bench.scene import Scene, start
from tests.lab.archives import write_archive
from tests.lab.images import synthetic


@dataclass(frozen=True, slots=True)
class Watched:
    """What everybody took during one command."""

    controller: Taken
    one: Taken
    two: Taken


def watch(scene: Scene, *argv: str | Path) -> Watched:
    """Run ``jackstay ARGV`` on the laptop. Raises :class:`AssertionError` when it fails."""
    command = start(scene, argv)
    trees = {"controller": command.pid, "one": scene.one.agent.pid, "two": scene.two.agent.pid}
    with watching(trees) as taken:
        _, errors = command.communicate(timeout=300)
    assert command.returncode == 0, errors.decode()
    return Watched(**taken)


def big_archive(scene: Scene, name: str, size: int, *, compress: bool = False) -> Path:
    """An archive of an image ``name`` with one layer of ``size`` bytes, which gzip cannot make smaller."""
    image = synthetic(scene.folder, size, name=name, seed=size + compress)
    (layer,) = image.layers
    if compress:  # faster than the lab's own way
        with layer.open("rb") as source, Path(f"{layer}.gz").open("wb") as packed:
            packing = compressing(packed, "gzip", level=1)
            while piece := source.read(1 << 20):
                packing.write(piece)
            packing.close()
    try:
        return write_archive(scene.folder / f"{name.partition(':')[0]}.tar", [image], compress=compress)
    finally:
        layer.unlink()
        Path(f"{layer}.gz").unlink(missing_ok=True)
