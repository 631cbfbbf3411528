"""Containers that are started again, and containers that are asked whether they are well, on a real host."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest

from jackstay_proto.v1 import containers_pb2, containers_pb2_grpc
from tests.fleet.conftest import settled
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.images import architecture
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def host(shared_lab: Lab) -> Host:
    """The host itself."""
    return shared_lab.hosts["web1"]


@pytest.fixture(scope="module")
def web1(shared_lab: Lab, host: Host, base_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web1, where a container named "loops" is started again and again."""
    laptop = Laptop(shared_lab)
    laptop.environment["JACKSTAY_HOST"] = "web1"
    laptop.ok("load", "-i", base_archive)
    laptop.ok("run", "-d", "--name", "loops", "--restart", "always", "base:1", "sh", "-c", "echo again; exit 3")
    yield laptop
    if host.agent.find() is None:
        host.agent.start()
    empty(host)
    assert settled(host) == []


def inspect(host: Host, name: str) -> dict[str, Any]:
    """Its document, straight from the agent: asked for often."""
    with grpc.insecure_channel(f"unix:{host.agent.socket}") as channel:
        stub = containers_pb2_grpc.ContainersStub(channel)
        reply = stub.Inspect(containers_pb2.InspectContainerRequest(container=name), timeout=20)
    document: dict[str, Any] = json.loads(reply.document)
    return document


def remove(host: Host, *names: str) -> None:
    with grpc.insecure_channel(f"unix:{host.agent.socket}") as channel:
        stub = containers_pb2_grpc.ContainersStub(channel)
        for name in names:
            stub.Remove(containers_pb2.RemoveContainerRequest(container=name, force=True, volumes=True), timeout=30)


def inside(host: Host, name: str, path: str) -> Path:
    """A path of the running container, from outside."""
    return host.path(f"/run/jackstay/containers/{inspect(host, name)['Id']}/rootfs{path}")


def until(host: Host, name: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 30) -> dict[str, Any]:
    """The document of the container once it *holds*."""
    deadline = time.monotonic() + seconds
    while not holds(document := inspect(host, name)):
        assert time.monotonic() < deadline, document["State"]
        time.sleep(0.05)
    return document


def test_a_failure_is_tried_again_so_often(web1: Laptop, host: Host) -> None:
    ran = web1.run("run", "--name", "twice", "--restart", "on-failure:2", "base:1", "sh", "-c", "echo tried; exit 4")
    assert (ran.code, ran.stdout) == (4, "tried\n")  # the first end is the one that run and wait are about
    document = until(host, "twice", lambda told: told["RestartCount"] == 2 and not told["State"]["Running"])
    assert (document["State"]["Status"], document["State"]["ExitCode"]) == ("exited", 4)
    assert document["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    assert web1.ok("logs", "twice").lines == ["tried"] * 3
    events = data(web1.ok("--json", "events", "--since", "10m", "--until", "0s", "-f", "container=twice"))
    assert [event["Action"] for event in events if event["Action"] in ("start", "die")] == ["start", "die"] * 3
    web1.ok("run", "--name", "succeeds", "--restart", "on-failure", "base:1", "true")
    document = inspect(host, "succeeds")
    assert (document["State"]["Status"], document["RestartCount"]) == ("exited", 0)
    remove(host, "twice", "succeeds")


def test_what_a_policy_cannot_be(web1: Laptop) -> None:
    ran = web1.run("run", "--restart", "sometimes", "base:1", "true").ended(2)
    assert "invalid restart policy: unknown policy 'sometimes'" in ran.stderr
    ran = web1.run("run", "--restart", "always", "--rm", "base:1", "true").ended(2)
    assert "conflicting options: cannot specify both --restart and --rm" in ran.stderr


def test_a_stop_is_not_followed_by_a_start_but_a_crash_is(web1: Laptop, host: Host) -> None:
    deaf = "trap '' HUP; trap 'exit 0' TERM; touch /ready; while :; do sleep 0.05; done"
    web1.ok("run", "-d", "--name", "app", "--restart", "unless-stopped", "base:1", "sh", "-c", deaf)
    until(host, "app", lambda told: inside(host, "app", "/ready").exists())
    web1.ok("kill", "-s", "HUP", "app")
    web1.ok("exec", "app", "kill", "-TERM", "1")
    document = until(host, "app", lambda told: told["RestartCount"] == 1 and told["State"]["Status"] == "running")
    assert document["State"]["Pid"] > 0
    web1.ok("kill", "app")
    document = inspect(host, "app")
    assert (document["State"]["Status"], document["RestartCount"]) == ("exited", 1)
    web1.ok("restart", "-t", "0", "app")
    document = inspect(host, "app")
    assert (document["State"]["Status"], document["RestartCount"]) == ("running", 0)
    remove(host, "app")


def health(document: dict[str, Any]) -> str:
    return str(document["State"].get("Health", {}).get("Status"))


def results(document: dict[str, Any]) -> list[dict[str, Any]]:
    return list(document["State"]["Health"]["Log"])


QUICK = ("--health-interval", "100ms", "--health-retries", "2")


def test_health(web1: Laptop, host: Host) -> None:
    asked = ("--health-cmd", "echo asked; test ! -e /ill", "--health-start-interval", "50ms")
    web1.ok("run", "-d", "--name", "app", *QUICK, *asked, "--health-start-period", "1m", "base:1", "sleep", "1000")
    until(host, "app", lambda told: health(told) == "healthy")
    document = data(web1.ok("--json", "inspect", "app"))[0]
    (result, *_) = document["State"]["Health"]["Log"]
    assert (result["ExitCode"], result["Output"]) == (0, "asked\n")
    assert result["Start"] < result["End"]
    assert document["Config"]["Healthcheck"]["Test"] == ["CMD-SHELL", "echo asked; test ! -e /ill"]
    assert document["ExecIDs"] is None
    (row,) = data(web1.ok("--json", "ps", "-f", "health=healthy"))
    told = (row["Status"].partition(" (")[2], row["HealthStatus"], row["Platform"])
    assert told == ("healthy)", "healthy", f"linux/{architecture()}")
    inside(host, "app", "/ill").touch()
    document = until(host, "app", lambda told: health(told) == "unhealthy")
    assert document["State"]["Health"]["FailingStreak"] >= 2
    assert len(document["State"]["Health"]["Log"]) <= 5

    events = data(
        web1.ok(
            "--json",
            "events",
            "--since",
            "10m",
            "--until",
            "0s",
            "-f",
            "event=health_status",
            "-f",
            f"container={document['Id']}",
        )
    )
    assert [event["Action"] for event in events] == ["health_status: healthy", "health_status: unhealthy"]
    host.agent.kill()
    host.agent.start()
    document = inspect(host, "app")
    assert health(document) == "unhealthy"
    assert document["State"]["Health"]["Log"]
    last = document["State"]["Health"]["Log"][-1]["End"]
    until(host, "app", lambda told: told["State"]["Health"]["Log"][-1]["End"] > last)  # asked again by the new agent

    web1.ok("pause", "app")
    paused = inspect(host, "app")["State"]
    time.sleep(0.5)
    assert inspect(host, "app")["State"] == paused
    web1.ok("unpause", "app")
    inside(host, "app", "/ill").unlink()
    until(host, "app", lambda told: health(told) == "healthy")
    web1.ok("stop", "-t", "0", "app")
    document = inspect(host, "app")
    assert health(document) == "unhealthy"  # docker's word for one that does not run
    assert document["State"]["Health"]["Log"]
    remove(host, "app")


def test_what_is_done_with_unhealthy_ones(web1: Laptop, host: Host) -> None:
    lives = "trap 'exit 5' TERM; rm -f /ill; touch /ready; while :; do sleep 0.05; done"
    actions = ("kill", "stop", "restart", "none")
    for action in actions:
        flags = (*QUICK, "--health-cmd", "test ! -e /ill", "--health-on-failure", action)
        web1.ok("run", "-d", "--name", action, *flags, "base:1", "sh", "-c", lives)
    begun = {}
    for action in actions:
        until(host, action, lambda told: health(told) == "healthy" and inside(host, told["Id"], "/ready").exists())
        begun[action] = inspect(host, action)["State"]["StartedAt"]
        inside(host, action, "/ill").touch()
    for action, code in (("kill", 137), ("stop", 5)):
        document = until(host, action, lambda told: not told["State"]["Running"])
        assert (document["State"]["ExitCode"], document["Config"]["HealthcheckOnFailureAction"]) == (code, action)
    until(host, "restart", lambda told: told["State"]["StartedAt"] > begun["restart"] and health(told) == "healthy")
    until(host, "none", lambda told: health(told) == "unhealthy")
    assert inspect(host, "none")["State"]["StartedAt"] == begun["none"]

    # An agent that died before it did it: the next one does.
    ill = inside(host, "restart", "/ill")
    host.agent.kill()
    ill.touch()
    host.agent.start()
    before = inspect(host, "restart")["State"]["StartedAt"]
    until(host, "restart", lambda told: told["State"]["StartedAt"] > before and health(told) == "healthy")
    remove(host, *actions)
    for words, told in [
        (["stop"], "cannot set on-failure action to stop without a health check"),
        (["weep"], "invalid on-failure action: 'weep'"),
    ]:
        assert told in web1.run("run", "--rm", "--health-on-failure", *words, "base:1", "true").ended(125).stderr


def test_a_check_of_the_image(web1: Laptop, host: Host) -> None:
    web1.ok("create", "--name", "plain", "base:1", "true")
    check = "HEALTHCHECK --interval=100ms --timeout=1s --retries=1 CMD head -c 9000 /dev/zero; sleep 77777"
    web1.ok("commit", "-c", check, "plain", "checked:1")
    web1.ok("run", "-d", "--name", "slow", "checked:1", "sleep", "1000")
    web1.ok("run", "-d", "--name", "unasked", "--no-healthcheck", "checked:1", "sleep", "1000")
    web1.ok("run", "-d", "--name", "other", "--health-cmd", "no-such-command", "checked:1", "sleep", "1000")
    until(host, "slow", lambda told: health(told) == "unhealthy" and len(results(told)[-1]["Output"]) > 4096)
    results_of_slow = results(inspect(host, "slow"))
    assert {result["ExitCode"] for result in results_of_slow} == {-1}
    assert all(result["Output"].startswith("Health check exceeded timeout (1s)") for result in results_of_slow)
    assert max(len(result["Output"]) for result in results_of_slow) < 4096 + 100
    document = until(host, "other", lambda told: health(told) == "unhealthy")
    assert document["Config"]["Healthcheck"] == {
        "Test": ["CMD-SHELL", "no-such-command"], "Interval": 10**8, "Timeout": 10**9, "Retries": 1,
    }  # fmt: skip
    assert document["State"]["Health"]["Log"][0]["ExitCode"] == 127
    assert "Health" not in inspect(host, "unasked")["State"]
    assert data(web1.ok("--json", "ps", "-f", "name=unasked"))[0]["Status"][-1] != ")"
    # Of probes that took too long there is never more than the one under way, with its shell.
    assert len(host.exec(["pgrep", "-f", "sleep 77777"]).stdout.split()) <= 2
    remove(host, "plain", "slow", "unasked", "other")


def test_an_end_for_want_of_memory_is_called_that(web1: Laptop, host: Host) -> None:
    hungry = "head -c 200m /dev/zero | tail"
    ran = web1.run("run", "--name", "hungry", "-m", "16m", "--memory-swap", "16m", "base:1", "sh", "-c", hungry)
    state = inspect(host, "hungry")["State"]
    assert (state["OOMKilled"], ran.code) == (True, state["ExitCode"])
    assert ran.code != 0
    events = data(web1.ok("--json", "events", "--since", "10m", "--until", "0s", "-f", "container=hungry"))
    assert "oom" in [event["Action"] for event in events]
    remove(host, "hungry")


def test_a_monitor_that_was_killed(web1: Laptop, host: Host) -> None:
    """Its container is killed with it and says why; its policy starts it again."""
    for name, policy in [("lost", "no"), ("found", "always")]:
        container = web1.ok("run", "-d", "--name", name, "--restart", policy, "base:1", "sleep", "1000").stdout.strip()
        host.exec(["sh", "-c", f"kill -9 $(cat /run/jackstay/containers/{container}/conmon.pid)"])
    state = until(host, "lost", lambda told: not told["State"]["Running"])["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    assert state["Error"] == "the container's monitor (conmon) died, so the container was killed"
    until(host, "found", lambda told: told["RestartCount"] == 1 and told["State"]["Status"] == "running")
    remove(host, "lost", "found")


def test_waits_grow_and_verbs_know_of_them(web1: Laptop, host: Host) -> None:
    document = until(host, "loops", lambda told: told["RestartCount"] >= 6 and told["State"]["Restarting"])
    state = document["State"]
    assert (state["Status"], state["Running"], state["Pid"], state["ExitCode"]) == ("restarting", True, 0, 3)
    count = document["RestartCount"]
    host.agent.kill()
    host.agent.start()
    document = inspect(host, "loops")
    assert (document["State"]["Status"], document["RestartCount"]) == ("restarting", count)
    (row,) = data(web1.ok("--json", "ps", "-f", "status=restarting"))
    assert row["Names"] == "loops"
    assert row["State"] == "restarting"
    assert row["Status"].startswith("Restarting (3) ")
    assert "is restarting, wait until the container is running" in web1.run("pause", "loops").ended(1).stderr
    assert "is restarting, wait until the container is running" in web1.run("exec", "loops", "true").stderr
    assert "you cannot remove a restarting container" in web1.run("rm", "loops").ended(1).stderr
    waiting = web1.start("wait", "loops")
    web1.ok("stop", "loops")
    assert waiting.communicate(timeout=20)[0] == b"3\n"
    document = inspect(host, "loops")
    assert (document["State"]["Status"], document["State"]["Restarting"]) == ("exited", False)

    seen = [float(line.split("T")[1].split("Z")[0].rpartition(":")[2]) for line in web1.ok("logs", "-t", "loops").lines]
    waits = [(after - before) % 60 for before, after in pairwise(seen)]
    for number, waited in enumerate(waits[:6]):
        assert waited > 0.1 * 2**number, waits


OTHER_BOOT = "00000000-0000-4000-8000-000000000000"
REBOOT = f"""
cd /run/jackstay
for file in containers/*/conmon.pid containers/*/pidfile; do kill -9 $(cat $file) 2>/dev/null; done
for mount in $(awk '$2 ~ "^/run/jackstay/" {{ print $2 }}' /proc/mounts | sort -r); do umount -l $mount; done
rm -rf containers exits runtime netns
echo {OTHER_BOOT} >/run/boot_id
mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
"""
"""What a restart of the machine comes to: no process, nothing in /run, another boot."""


def test_after_a_restart_of_the_host(web1: Laptop, host: Host) -> None:
    with grpc.insecure_channel(f"unix:{host.agent.socket}") as channel:
        stub = containers_pb2_grpc.ContainersStub(channel)
        for name, policy, command in [
            ("none", "no", "sleep 1000"),
            ("always", "always", "sleep 1000"),
            ("unless", "unless-stopped", "sleep 1000"),
            ("failing", "on-failure", "sleep 1000"),
            ("done", "on-failure", "true"),
            ("always-stopped", "always", "sleep 1000"),
            ("unless-stopped", "unless-stopped", "sleep 1000"),
            ("never", "always", ""),
            ("joins", "always", "sleep 1000"),
        ]:
            restart = containers_pb2.RestartPolicy(name=policy)
            stub.Create(
                containers_pb2.CreateContainerRequest(
                    image="base:1",
                    name=name,
                    command=command.split() or ["true"],
                    restart=restart,
                    pid="container:always" if name == "joins" else "",
                ),
                timeout=20,
            )
            if command:
                stub.Start(containers_pb2.StartContainerRequest(container=name), timeout=20)
    web1.ok("stop", "-t", "0", "always-stopped", "unless-stopped")
    web1.ok("wait", "done")
    host.agent.kill()
    assert host.exec(["sh", "-c", REBOOT]).stderr == ""
    try:
        host.agent.start()
        for name in ("joins", "always", "unless", "failing", "always-stopped"):
            until(host, name, lambda told: told["State"]["Status"] == "running")
        states = {row["Names"]: row["State"] for row in data(web1.ok("--json", "ps", "-a"))}
        document = inspect(host, "none")["State"]
    finally:
        host.exec(["umount", "/proc/sys/kernel/random/boot_id"])
    assert states.items() >= {
        "none": "exited", "always": "running", "unless": "running", "failing": "running", "done": "exited",
        "always-stopped": "running", "unless-stopped": "exited", "never": "created", "joins": "running",
    }.items()  # fmt: skip
    assert (document["ExitCode"], document["Error"]) == (255, "the host was restarted while the container ran")
    remove(host, *states)
    host.agent.stop()  # the end of the other boot, which whoever comes after is not to see
    host.agent.start()
