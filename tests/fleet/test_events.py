"""``jackstay events`` on real agents: what is told, of what, in which order, and what is left of it afterwards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab


@pytest.fixture
def web1(laptop: Laptop, base_archive: Path) -> Laptop:
    """A laptop whose commands go to web1, which has ``base:1``."""
    laptop.ok("-H", "web1", "load", "-q", "-i", base_archive)
    laptop.environment["JACKSTAY_HOST"] = "web1"
    return laptop


def told(laptop: Laptop, since: str, *flags: str) -> list[dict[str, Any]]:
    """The events from *since* until now."""
    return data(laptop.ok("--json", "events", "--since", since, "--until", "0s", *flags))


def now() -> str:
    """A moment, as ``--since`` takes it."""
    return f"{time.time():.9f}"


def actions(events: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{event['Type']} {event['Action']}" for event in events]


def attributes(events: Sequence[dict[str, Any]], action: str) -> dict[str, str]:
    """Those of the first event of that action."""
    return dict(next(event for event in events if event["Action"] == action)["Actor"]["Attributes"])


def test_a_containers_life(web1: Laptop) -> None:
    begun = now()
    run = web1.ok("run", "-d", "--name", "app", "-l", "tier=front", "-v", "data:/data", "base:1", "sleep", "60")
    container = run.stdout.strip()
    web1.run("exec", "app", "sh", "-c", "exit 3").ended(3)
    web1.ok("pause", "app")
    web1.ok("unpause", "app")
    web1.ok("rename", "app", "web")
    web1.ok("kill", "-s", "USR1", "web")
    web1.ok("stop", "-t", "0", "web")
    web1.ok("rm", "web")
    events = told(web1, begun, "-f", "type=container")
    assert actions(events) == [
        f"container {action}"
        for action in (
            *("create", "start", "exec_create: sh -c exit 3", "exec_start: sh -c exit 3", "exec_die", "pause"),
            *("unpause", "rename", "kill", "kill", "die", "stop", "destroy"),
        )
    ]
    assert {event["id"] for event in events} == {container}
    times = [event["timeNano"] for event in events]
    assert times == sorted(times)
    assert attributes(events, "start") == {"image": "base:1", "name": "app", "tier": "front"}
    assert attributes(events, "exec_die")["exitCode"] == "3"
    assert attributes(events, "rename")["oldName"] == "app"
    assert [event["Actor"]["Attributes"]["signal"] for event in events if event["Action"] == "kill"] == ["10", "9"]
    assert attributes(events, "die")["exitCode"] == "137"
    assert attributes(events, "destroy")["name"] == "web"
    volumes = told(web1, begun, "-f", "type=volume")
    assert actions(volumes) == ["volume create", "volume mount", "volume unmount"]
    assert attributes(volumes, "mount") == {
        "container": container,
        "destination": "/data",
        "driver": "local",
        "propagation": "rprivate",
        "read/write": "true",
    }
