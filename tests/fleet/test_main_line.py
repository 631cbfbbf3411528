"""The line that everything hangs on: load on web1, copy to web2, run, ps over both, logs, a killed agent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.lab.images import Image
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab

COUNT = "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.05; done"


def test_an_image_goes_from_one_host_to_another_and_its_container_outlives_the_agent(
    lab: Lab, laptop: Laptop, base: Image, base_archive: Path
) -> None:
    loaded = laptop.ok("-H", "web1", "load", "-i", base_archive)
    assert "base:1" in loaded.stdout

    laptop.ok("copy", "web1::base:1", "web2::")
    ids = [data(laptop.ok("-H", host, "--json", "image", "inspect", "base:1"))[0]["Id"] for host in ("web1", "web2")]
    assert ids == [base.id, base.id]

    started = laptop.ok("-H", "web[1-2]", "run", "-d", "--name", "counter", "base:1", "/bin/sh", "-c", COUNT)
    assert len(started.lines) == 2

    table = laptop.ok("-H", "web[1-2]", "ps")
    assert [line.split()[0] for line in table.lines] == ["HOST", "web1", "web2"]
    assert all("counter" in line for line in table.lines[1:])

    before = data(laptop.ok("-H", "web2", "--json", "inspect", "counter"))[0]["State"]["Pid"]
    lab.hosts["web2"].agent.kill()
    time.sleep(0.3)
    lab.hosts["web2"].agent.start()

    (row,) = data(laptop.ok("-H", "web2", "--json", "ps"))
    assert (row["Names"], row["State"]) == ("counter", "running")
    assert data(laptop.ok("-H", "web2", "--json", "inspect", "counter"))[0]["State"]["Pid"] == before

    time.sleep(0.3)
    lines = laptop.ok("-H", "web2", "logs", "counter").lines
    assert lines == [f"line {number}" for number in range(1, len(lines) + 1)]
    assert len(lines) > 10
    assert laptop.ok("-H", "web2", "exec", "counter", "echo", "still here").stdout == "still here\n"


def test_a_container_that_ended_while_no_agent_ran_is_known_with_its_code(
    lab: Lab, laptop: Laptop, base_archive: Path
) -> None:
    laptop.ok("-H", "web1", "load", "-i", base_archive)
    program = "sleep 1; echo last words; exit 7"
    laptop.ok("-H", "web1", "run", "-d", "--name", "short", "base:1", "/bin/sh", "-c", program)
    lab.hosts["web1"].agent.kill()
    time.sleep(1.5)
    lab.hosts["web1"].agent.start()
    state = data(laptop.ok("-H", "web1", "--json", "inspect", "short"))[0]["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 7)
    assert laptop.ok("-H", "web1", "logs", "short").stdout == "last words\n"
    assert laptop.run("-H", "web1", "wait", "short").stdout == "7\n"
