"""What containers use, as people see it: docker's values, and the picture on a terminal."""

from __future__ import annotations

import pytest

from jackstay.cli.output.screen import picture
from jackstay.cli.output.stats import stats_object
from jackstay.cli.output.units import binary_size
from jackstay.client.messages import ContainerStats


def test_values_as_docker_prints_them() -> None:
    item = ContainerStats(
        id="ab" * 32,
        name="app",
        running=True,
        cpu_percent=151.2345,
        memory=5 << 20,
        memory_limit=64 << 20,
        network_received=1296,
        network_sent=586,
        block_read=3600384,
        pids=3,
    )
    assert stats_object(item) == {
        "BlockIO": "3.6MB / 0B",
        "CPUPerc": "151.23%",
        "Container": "abababababab",
        "ID": "abababababab",
        "MemPerc": "7.81%",
        "MemUsage": "5MiB / 64MiB",
        "Name": "app",
        "NetIO": "1.3kB / 586B",
        "PIDs": "3",
    }
    assert stats_object(item, full=True)["ID"] == "ab" * 32


def test_one_that_does_not_run() -> None:
    row = stats_object(ContainerStats(id="ab" * 32, name="app"))
    assert [row[key] for key in ("CPUPerc", "MemUsage", "MemPerc", "NetIO", "PIDs")] == [
        *("0.00%", "0B / 0B", "0.00%", "0B / 0B", "0")
    ]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (4862000, "4.637MiB"), (7 << 40, "7TiB"), (3 << 52, "12PiB")],
)
def test_memory(size: int, text: str) -> None:
    assert binary_size(size) == text


def test_a_picture_is_drawn_over_the_one_before() -> None:
    assert picture("a\nbb\n", 24, 80) == "\x1b[Ha\x1b[K\r\nbb\x1b[K\r\n\x1b[J"


def test_a_picture_is_never_higher_or_wider_than_the_screen() -> None:
    text = "".join(f"line {number} 漢字\n" for number in range(10))
    lines = picture(text, 5, 9).split("\r\n")
    assert lines[:3] == ["\x1b[Hline 0 漢\x1b[K", "line 1 漢\x1b[K", "line 2 漢\x1b[K"]
    assert lines[3].startswith("… 7 more")
    assert lines[4:] == ["\x1b[J"]
    assert len(picture(text, 11, 80).split("\r\n")) == 11
    assert "more" not in picture(text, 11, 80)
