"""What copies move, counted at the hosts' links: missing blobs only, and after an interruption only the rest.

The links carry SSH, gRPC and TCP around the blobs, so counts agree with sizes within a few percent.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.archives import write_archive
from tests.lab.host import Host
from tests.lab.images import Image, busybox_base, synthetic
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

MARGIN = 0.05
"""How much more than the blobs a link may carry, as a part of them."""
TALK = 200_000
"""Bytes of a copy that has nothing to move: SSH's and gRPC's handshakes, the manifests, progress."""
BIG = 64_000_000


@pytest.fixture
def layered(tmp_path: Path) -> tuple[Image, Image]:
    """``part:1`` of two layers, and ``whole:1`` with a large one above the same two."""
    below = [*busybox_base(tmp_path).layers, *synthetic(tmp_path, 12_000_000, seed=11).layers]
    top = synthetic(tmp_path, 150_000_000, files=5000, seed=13).layers[0]
    config = {"Cmd": ["/bin/sh"]}
    return Image("part:1", tuple(below), config), Image("whole:1", (*below, top), config)


def test_only_missing_blobs_move_and_a_second_copy_moves_none(
    lab: Lab, laptop: Laptop, layered: tuple[Image, Image], tmp_path: Path
) -> None:
    part, whole = layered
    one, two = lab.hosts["web1"], lab.hosts["web2"]
    archive = write_archive(tmp_path / "images.tar", layered)
    laptop.ok("-H", "web1", "load", "-q", "-i", archive, timeout=120)
    archive.unlink()
    below = sum(layer.stat().st_size for layer in part.layers)
    top = whole.layers[-1].stat().st_size

    first, received, sent = counted(one, two, lambda: copy(laptop, "web1::part:1", "web2::"))
    assert below < first["bytes_sent"] < below + 10_000
    assert first["bytes_spared"] == 0
    assert agree(received, first["bytes_sent"]), (received, first)
    assert agree(sent, first["bytes_sent"]), (sent, first)

    second, received, sent = counted(one, two, lambda: copy(laptop, "web1::whole:1", "web2::"))
    assert top < second["bytes_sent"] < top + 10_000
    assert second["bytes_spared"] == below
    assert agree(received, second["bytes_sent"]), (received, second)
    assert agree(sent, second["bytes_sent"]), (sent, second)

    third, received, sent = counted(one, two, lambda: copy(laptop, "web1::whole:1", "web2::"))
    assert (third["bytes_sent"], third["bytes_wire"]) == (0, 0)
    assert third["bytes_spared"] == second["bytes_sent"] + second["bytes_spared"]
    assert received < TALK
    assert sent < TALK

    ran = laptop.run("-H", "web2", "run", "--rm", "whole:1", "/bin/sh", "-c", "ls /data | wc -l; exit 3")
    assert (ran.code, ran.stdout) == (3, "5000\n"), ran


@pytest.mark.parametrize("cut", ["controller", "destination's agent", "source's agent"])
def test_an_interrupted_copy_goes_on_where_it_was_cut(lab: Lab, laptop: Laptop, cut: str, tmp_path: Path) -> None:
    one, two = lab.hosts["web1"], lab.hosts["web2"]
    image = synthetic(tmp_path, BIG)
    laptop.ok("-H", "web1", "load", "-q", "-i", write_archive(tmp_path / "big.tar", [image]))
    size = image.layers[0].stat().st_size
    two.limit(rate="200mbit")  # 25 MB a second, so that there is a middle

    start = two.link_bytes()
    copying = laptop.start("copy", "web1::big:1", "web2::")
    try:
        wait_until(lambda: two.link_bytes().since(start).received > size / 2)
        if cut == "controller":
            copying.send_signal(signal.SIGKILL)
        else:
            agent = two.agent if cut.startswith("destination") else one.agent
            agent.kill()
            agent.start()
        _, errors = copying.communicate(timeout=30)
        assert copying.returncode not in (0, 2), errors
    finally:
        copying.kill()
        copying.wait()
    two.limit()
    assert laptop.ok("-H", "web2", "images", "-q").stdout == ""
    wait_until(lambda: not still_receiving(two))
    tried = two.link_bytes().since(start).received

    rest, received, _ = counted(one, two, lambda: copy(laptop, "web1::big:1", "web2::"))
    whole = rest["bytes_sent"] + rest["bytes_spared"]
    assert size < whole < size + 10_000
    assert rest["bytes_sent"] < 0.7 * size
    assert agree(received, rest["bytes_sent"]), (received, rest)
    # What was under way when it was cut, in the queues and buffers between, comes twice.
    assert whole < tried + received < 1.15 * whole, (tried, received, whole)
    (listed,) = data(laptop.ok("-H", "web2", "--json", "--no-trunc", "images"))
    assert listed["ID"] == image.id
    print(f"{cut}: {tried} bytes, then {received}, of an image of {whole}")


def copy(laptop: Laptop, *argv: str) -> dict[str, Any]:
    """Copy one image to one host, and give what ``--json`` says of it."""
    (image,) = data(laptop.ok("--json", "copy", *argv, timeout=120))
    return dict(image)


def counted(source: Host, destination: Host, do: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], int, int]:
    """What ``do`` gives; meanwhile received at the destination's link, and sent at the source's."""
    before = source.link_bytes(), destination.link_bytes()
    result = do()
    return result, destination.link_bytes().since(before[1]).received, source.link_bytes().since(before[0]).sent


def agree(carried: int, blobs: int) -> bool:
    """Whether a link carried these blob bytes once."""
    return blobs <= carried <= blobs * (1 + MARGIN) + TALK


def still_receiving(host: Host) -> bool:
    """Whether bytes of the interrupted copy still arrive, from buffers on the way."""
    before = host.link_bytes()
    time.sleep(0.2)
    return host.link_bytes().since(before).received > 20_000


def wait_until(true: Callable[[], bool], timeout: float = 30) -> None:
    """Wait for it. Raises :class:`AssertionError`."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)
