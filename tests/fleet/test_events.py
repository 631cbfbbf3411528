"""``jackstay events`` on real agents: what is told, of what, in which order, and what is left of it afterwards."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
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
    web1.ok("restart", "-t", "0", "app")
    web1.ok("rename", "app", "web")
    web1.ok("kill", "-s", "USR1", "web")
    web1.ok("stop", "-t", "0", "web")
    web1.ok("rm", "web")
    events = told(web1, begun, "-f", "type=container")
    assert actions(events) == [
        f"container {action}"
        for action in (
            *("create", "start", "exec_create: sh -c exit 3", "exec_start: sh -c exit 3", "exec_die", "pause"),
            *("unpause", "kill", "die", "stop", "start", "restart", "rename", "kill", "kill", "die", "stop", "destroy"),
        )
    ]
    assert {event["id"] for event in events} == {container}
    times = [event["timeNano"] for event in events]
    assert times == sorted(times)
    assert attributes(events, "start") == {"image": "base:1", "name": "app", "tier": "front"}
    assert attributes(events, "exec_die")["exitCode"] == "3"
    assert attributes(events, "rename")["oldName"] == "app"
    assert [event["Actor"]["Attributes"]["signal"] for event in events if event["Action"] == "kill"] == [
        *("9", "10", "9"),
    ]
    assert attributes(events, "die")["exitCode"] == "137"
    assert attributes(events, "destroy")["name"] == "web"
    volumes = told(web1, begun, "-f", "type=volume")
    assert actions(volumes) == ["volume create", *["volume mount", "volume unmount"] * 2]
    assert attributes(volumes, "mount") == {
        "container": container,
        "destination": "/data",
        "driver": "local",
        "propagation": "rprivate",
        "read/write": "true",
    }
    networks = told(web1, begun, "-f", "type=network")
    assert actions(networks) == ["network connect", "network disconnect"] * 2
    assert attributes(networks, "connect") == {"container": container, "name": "bridge", "type": "bridge"}


def test_images(web1: Laptop, web_archive: Path, tmp_path: Path) -> None:
    begun = now()
    web1.ok("load", "-q", "-i", web_archive)
    web1.ok("tag", "httpd:1.1", "web:2")
    web1.ok("save", "-o", tmp_path / "web.tar", "web:2")
    web1.ok("run", "--name", "made", "-l", "tier=front", "base:1", "touch", "/made")
    web1.ok("export", "-o", tmp_path / "made.tar", "made")
    web1.ok("import", tmp_path / "made.tar", "flat:1")
    web1.ok("commit", "-m", "why", "made", "made:1")
    web1.ok("copy", "web1::web:2", "web2::")
    web1.ok("rmi", "web:2")
    web1.ok("rmi", "httpd:1.1")
    web1.ok("container", "prune", "--yes", "-f")
    web1.ok("image", "prune", "-a", "-f")
    events = told(web1, begun)
    images = [event for event in events if event["Type"] == "image"]
    assert [(event["Action"], event["Actor"]["Attributes"].get("name")) for event in images[:7]] == [
        ("load", "httpd:1.1"),
        ("tag", "web:2"),
        ("save", "web:2"),
        ("import", "flat:1"),
        ("untag", "web:2"),
        ("untag", "httpd:1.1"),
        ("delete", images[0]["id"]),
    ]
    assert sorted(event["Action"] for event in images[7:-1]) == ["delete"] * 3 + ["untag"] * 3
    assert images[-1]["Action"] == "prune"
    assert int(images[-1]["Actor"]["Attributes"]["reclaimed"]) > 1_000_000
    containers = [event for event in events if event["Type"] == "container"]
    assert [event["Action"] for event in containers] == [
        *("create", "attach", "start", "die", "export", "commit", "destroy", "prune"),
    ]
    commit = attributes(containers, "commit")
    assert (commit["comment"], commit["imageRef"], commit["tier"]) == ("why", "made:1", "front")
    assert attributes(containers, "die")["exitCode"] == "0"
    assert [event["Action"] for event in told(web1, begun, "-f", "image=web")] == ["tag", "save", "untag"]
    pulled = told(web1, begun, "-H", "web2", "-f", "event=pull")
    assert [event["Actor"]["Attributes"]["name"] for event in pulled] == ["web:2"]


def test_several_hosts_until_interrupted(web1: Laptop, base_archive: Path) -> None:
    web1.ok("-H", "web2", "load", "-q", "-i", base_archive)
    following = web1.start("-H", "web[1-2]", "events", "--since", now(), "-f", "event=die", "-f", "label=wanted")
    assert following.stdout is not None
    try:
        web1.ok("-H", "web[1-2]", "run", "--rm", "--name", "other", "base:1", "true")
        web1.run("-H", "web[1-2]", "run", "--rm", "--name", "app", "-l", "wanted", "base:1", "false")
        lines = sorted(following.stdout.readline().decode() for _ in range(2))
        assert [line.partition(":")[0] for line in lines] == ["web1", "web2"]
        for line in lines:
            assert re.fullmatch(
                r"web\d: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z container die [0-9a-f]{64} "
                r"\(execDuration=0, exitCode=1, image=base:1, name=app, wanted=\)\n",
                line,
            )
    finally:
        following.send_signal(signal.SIGINT)
        rest, errors = following.communicate(timeout=20)
    assert (following.returncode, rest, errors) == (130, b"", b"")


def test_a_killed_agent_keeps_them(web1: Laptop) -> None:
    begun, host = now(), web1.lab.hosts["web1"]
    web1.ok("run", "-d", "--name", "app", "base:1", "sleep", "60")
    before = told(web1, begun)  # which takes longer than events wait to be written
    assert "container start" in actions(before)
    host.agent.kill()
    host.agent.start()
    assert told(web1, begun) == before
    web1.ok("rm", "-f", "app")
    assert actions(told(web1, begun, "-f", "type=container")) == [
        f"container {action}" for action in ("create", "start", "kill", "die", "destroy")
    ]
    with contextlib.closing(sqlite3.connect(host.state_dir / "events.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_refused(web1: Laptop) -> None:
    assert "invalid filter 'colour'" in web1.run("events", "-f", "colour=red").ended(1).stderr
