"""The verbs on containers, on several and where they cannot be: Docker and jackstay print the same and end alike."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.interop.jackstay import Jackstay
from tests.interop.originals import Original

STEPS = [
    "kill aa ended bb", "start aa bb", "kill -s HUP aa bb", "kill -s NOSUCH bb", "kill made",
    "pause aa", "pause aa ended bb", "pause made", "ps", "unpause aa bb", "unpause aa none",
    "pause aa", "kill aa", "start aa", "pause aa", "start aa", "stop -t 0 aa", "ps", "start aa",
    "rename aa bb", "rename none x", "rename aa aa", "rename aa !", "rename aa cc", "rename cc aa",
    "restart -t 0 aa ended", "restart -t 0 made none", "ps", "stop -t 0 aa none ended made", "start aa none",
    "rm aa ended", "pause bb", "rm bb none made", "ps", "rm -f none aa bb", "ps",
]  # fmt: skip

WAITS = ["wait ended", "wait none ended", "wait made ended"]
"""These end otherwise: where one container is waited for, its exit code is jackstay's own."""


@pytest.fixture
def both(original: Original, jackstay: Jackstay) -> Iterator[tuple[Original, Jackstay]]:
    """``aa`` and ``bb`` run, ``ended`` has, ``made`` never did."""
    original.docker.load(original.archives["made:1"])
    jackstay.load(original.archives["made:1"])
    for name in ("aa", "bb"):
        for run in (original.docker.ask, jackstay.run):
            run("run", "-d", "--network=none", "--name", name, "made:1", "sleep", "600")
    original.docker.code("run", "--network=none", "--name", "ended", "made:1", "sh", "-c", "exit 3")
    jackstay.laptop.run("-H", "web1", "run", "--network=none", "--name", "ended", "made:1", "sh", "-c", "exit 3")
    for run in (original.docker.ask, jackstay.run):
        run("create", "--network=none", "--name", "made", "made:1", "sleep", "600")
    yield original, jackstay
    original.docker.empty()


@pytest.mark.timeout(300, func_only=True)
def test_the_same_is_printed_and_done(both: tuple[Original, Jackstay]) -> None:
    original, jackstay = both
    steps = [*WAITS, *STEPS]
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(lambda: [original.docker.printed(*words(step)) for step in steps])
        ours = [jackstay.laptop.run("-H", "web1", *words(step)) for step in steps]
        theirs = asked.result()
    differing = [
        (step, told, ran)
        for step, told, ran in zip(steps, theirs, ours, strict=True)
        if ran.stdout != told[1] or ran.code != (told[0] if step in STEPS else 125 if "none" in step else 3)
    ]
    assert differing == []


def words(step: str) -> list[str]:
    """The command line."""
    return [*step.split(), *(["-a", "--format", "{{.Names}} {{.State}}"] if step == "ps" else [])]
