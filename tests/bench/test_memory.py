"""The memory of agent and controller stays below a bound, however large the layer that passes through them.

Loading is tested with a layer of 1 GB. The other ways are tested with a smaller one, which is still larger than the
bound; ``python -m tests.bench`` measures all of them with 1 GB.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.memory import Taken, watching
from tests.bench.registries import allow
from tests.bench.scene import Scene, scene
from tests.bench.watched import big_archive, watch
from tests.lab.lab import Lab
from tests.registries.distribution import Distribution

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

LARGE = 1_000_000_000
SMALLER = 220_000_000
AGENT = 200_000_000
CONTROLLER = 130_000_000


@pytest.fixture(scope="module")
def hosts() -> Iterator[Scene]:
    """Two hosts; their agents keep what they took for a test before, so only the first begins at rest."""
    with scene(LARGE) as stands:
        yield stands


def test_loading_a_layer_of_1_gb(hosts: Scene) -> None:
    archive = big_archive(hosts, "large:1", LARGE)
    watched = watch(hosts, "-H", "web1", "load", "-q", "-i", archive)
    archive.unlink()
    hosts.laptop.ok("-H", "web1", "rmi", "large:1")  # for room
    below(watched.one, AGENT)
    below(watched.controller, CONTROLLER)


def test_loading_a_gzipped_layer(hosts: Scene) -> None:
    archive = big_archive(hosts, "packed:1", SMALLER, compress=True)
    watched = watch(hosts, "-H", "web1", "load", "-q", "-i", archive)
    archive.unlink()
    below(watched.one, AGENT)
    below(watched.controller, CONTROLLER)


def test_copying_and_saving(hosts: Scene) -> None:
    archive = big_archive(hosts, "smaller:1", SMALLER)
    hosts.laptop.ok("-H", "web1", "load", "-q", "-i", archive)
    archive.unlink()
    copied = watch(hosts, "copy", "web1::smaller:1", "web2::")
    saved = watch(hosts, "-H", "web2", "save", "-o", hosts.folder / "saved.tar", "smaller:1")
    for taken in (copied.one, copied.two, saved.two):
        below(taken, AGENT)
    for taken in (copied.controller, saved.controller):
        below(taken, CONTROLLER)


def test_pushing_and_pulling(hosts: Scene) -> None:
    archive = big_archive(hosts, "pushed:1", SMALLER)
    hosts.laptop.ok("-H", "web1", "load", "-q", "-i", archive)
    archive.unlink()
    with Distribution(hosts.folder / "registry", hosts.lab.server_place()) as registry:
        allow(hosts, registry)
        name = f"{registry.name}/pushed:1"
        pushed = watch(hosts, "-H", "web1", "push", "-q", "pushed:1", name)
        pulled = watch(hosts, "-H", "web2", "pull", "-q", name)
    for taken in (pushed.one, pulled.two):
        below(taken, AGENT)
    for taken in (pushed.controller, pulled.controller):
        below(taken, CONTROLLER)


def below(taken: Taken, bound: int) -> None:
    """Judge the larger of the two ways to count: what it would be without neighbours that share pages."""
    print(taken)
    assert taken.samples > 20
    assert taken.peak["pss"] < bound, taken
    assert taken.peak["alone"] < bound, taken


def test_a_child_counts_and_conmon_does_not(tmp_path: Path) -> None:
    spend = "import sys, time; waste = b'x' * (60 << 20); print(flush=True); sys.stdin.read()"
    named = "import ctypes; ctypes.CDLL(None).prctl(15, b'conmon');"
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    sizes = {}
    for name, code in (("child", spend), ("conmon", named + spend)):
        command = [sys.executable, "-c", parent, code]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.readline()
            with watching({"tree": process.pid}) as taken:
                pass
            process.stdin.close()
        sizes[name] = taken["tree"].peak["pss"]
    assert sizes["child"] > 60 << 20
    assert sizes["conmon"] < 40 << 20
    assert sizes["conmon"] > 1 << 20


def test_the_agents_own_memory_at_rest() -> None:
    with Lab(1) as lab, watching({"agent": lab.hosts["web1"].agent.pid}) as taken:
        pass
    print(taken["agent"])
    assert taken["agent"].idle["alone"] < 120_000_000
