"""The agent is killed with SIGKILL at every fault point of what it does: loads and copies, starts, stops and removals.

Each operation is first run whole, with the points that it passes written down. Then, for each of them, and for the last
of several times that one is passed, the agent is armed, dies in the middle, and is started again: its files and rows
must tell one story, the containers that ran before must still run, and the same operation must succeed.

What runs containers is done on crun and on runc, with a user namespace of the container's own and without, one after
the other; at every point in every way with ``JACKSTAY_FAULTS_IN_EVERY_WAY=1``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from jackstay.client import messages as m
from jackstay.errors import Error
from tests.faults.bench import Bench, Way, ended, passed, prepare, standing
from tests.faults.consistency import found, problems
from tests.faults.operations import LIKE, MIB, OPERATIONS, nothing
from tests.lab.archives import write_archive
from tests.lab.images import busybox_base, busybox_web, synthetic
from tests.lab.lab import Lab

IN_EVERY_WAY = bool(os.environ.get("JACKSTAY_FAULTS_IN_EVERY_WAY"))

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400 if IN_EVERY_WAY else 600)]


@dataclass
class Benches:
    """A host for each runtime, and the points that operations were seen to pass."""

    of: dict[str, Bench]
    seen: dict[tuple[str, Way], list[str]] = field(default_factory=dict)

    def at(self, way: Way) -> Bench:
        """The bench that makes containers this *way*."""
        bench = self.of[way.runtime]
        bench.userns = way.userns
        return bench

    async def passed(self, name: str, way: Way) -> list[str]:
        """The points that the operation of that *name* passes, done this *way*."""
        if (name, way) not in self.seen:
            bench, operation = self.at(way), OPERATIONS[name]
            await (operation.before or nothing)(bench)
            self.seen[name, way] = await passed(bench, operation.act)
            await operation.undo(bench)
        return self.seen[name, way]

    async def plan(self, name: str) -> list[tuple[Way, str]]:
        """At which points, and in which way done, the agent is to be killed in the operation of that *name*."""
        ways = {way: await self.passed(name, way) for way in OPERATIONS[name].ways}
        assert all(len(points) >= 2 for points in ways.values())
        if IN_EVERY_WAY:
            return [(way, point) for way, points in ways.items() for point in points]
        elsewhere = {
            point
            for like in LIKE.get(name, ())
            for way in OPERATIONS[like].ways
            for point in await self.passed(like, way)
        }
        by_point: dict[str, list[tuple[Way, str]]] = {}
        for way, points in ways.items():
            for point in points:
                if not elsewhere or ("#" not in point and point not in elsewhere):
                    # How often a point is passed may differ: the last time is the last time.
                    by_point.setdefault(point.rstrip("0123456789"), []).append((way, point))
        return [places[turn % len(places)] for turn, places in enumerate(by_point.values())]


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Benches]:
    folder = tmp_path_factory.mktemp("archives")
    archives = (
        write_archive(folder / "base.archive", [busybox_base(folder)]),
        write_archive(folder / "web.archive", [busybox_web(folder)]),
        write_archive(folder / "big.archive", [synthetic(folder, 4 * MIB)]),
    )
    with Lab(2, runtimes={"web2": "runc"}, forked=True) as lab:
        crun, runc = lab.hosts["web1"], lab.hosts["web2"]
        benches = Benches({"crun": Bench(crun, runc, *archives), "runc": Bench(runc, crun, *archives)})
        for bench in benches.of.values():
            bench.host.agent.stop()
            bench.start()
            asyncio.run(prepare(bench))
        asyncio.run(benches.of["runc"].load(archives[1]))  # to copy from there
        yield benches


@pytest.fixture
def bench(benches: Benches) -> Bench:
    return benches.at(Way("crun"))


@pytest.mark.parametrize("name", OPERATIONS)
async def test_killed_at_every_point(benches: Benches, name: str) -> None:
    operation = OPERATIONS[name]
    plan = await benches.plan(name)
    failures: list[str] = []
    late: list[str] = []
    for way, point in plan:
        bench, where = benches.at(way), f"{point} ({way.runtime} {way.userns})"
        await (operation.before or nothing)(bench)
        bench.armed.write_text(point)
        with contextlib.suppress(Error, AssertionError):
            await asyncio.wait_for(operation.act(bench), 30)
        died = await ended(bench)
        bench.armed.unlink()
        if died:
            bench.start()
        elif "#" not in point:
            failures.append(f"{where}: was not reached")
        else:
            late.append(point)  # how often a point is passed may differ by a little, as when two come at once
        failures += [f"{where}: {problem}" for problem in problems(bench.host)]
        try:
            await standing(bench)
            await operation.act(bench)
            if len(operation.ways) == 1 or (way, point) == plan[-1]:  # containers leave blobs and layers alone
                findings = await asyncio.to_thread(found, bench.host, point)
                failures += [f"{where}, after a retry: {finding}" for finding in findings]
            await operation.undo(bench)
        except (Error, AssertionError) as error:
            failures.append(f"{where}: {error!r}")
            bench.host.agent.kill()
            bench.start()
        failures += [f"{where}, after a retry: {problem}" for problem in problems(bench.host)]
    assert failures == []
    assert len(late) <= len(plan) // 10, late


async def crash(bench: Bench) -> None:
    """The process of a container with a restart policy dies; wait until the next one runs."""
    pid = await running_again(bench)
    bench.host.exec(["kill", "-9", str(pid)])
    await running_again(bench, other_than=pid)


async def running_again(bench: Bench, other_than: int = 0) -> int:
    """The pid of the container that is started again, once it runs."""
    async with bench.agent() as agent:
        for _ in range(400):
            reply = await agent.containers.inspect(m.InspectContainerRequest(container="again"))
            state = json.loads(reply.document)["State"]
            if state["Status"] == "running" and state["Pid"] not in (0, other_than):
                return int(state["Pid"])
            await asyncio.sleep(0.05)
    raise AssertionError(f"it is not started again: {state}")


async def test_killed_while_a_container_is_started_again(bench: Bench) -> None:
    """The next agent goes on with it, wherever this one has come to."""
    async with bench.agent() as agent:
        await agent.containers.create(
            m.CreateContainerRequest(
                image="base:1",
                name="again",
                command=["sleep", "1000"],
                ports=[m.PortBinding(host_port=8081, container_port=80, protocol="tcp")],
                restart=m.RestartPolicy(name="always"),
            )
        )
        await agent.containers.start(m.StartContainerRequest(container="again"))
    points = [point for point in await passed(bench, crash) if "#" not in point]
    assert len(points) >= 5
    failures: list[str] = []
    for point in points:
        async with bench.agent() as agent:  # or the waits would grow and grow
            await agent.containers.restart(m.RestartContainerRequest(container="again", timeout=0))
        bench.armed.write_text(point)
        with contextlib.suppress(Error, AssertionError):
            await asyncio.wait_for(crash(bench), 30)
        died = await ended(bench)
        bench.armed.unlink()
        if died:
            bench.start()
        else:
            failures.append(f"{point}: was not reached")
        try:
            await running_again(bench)
            await standing(bench)
        except (Error, AssertionError) as error:
            failures.append(f"{point}: {error!r}")
        failures += [f"{point}: {problem}" for problem in problems(bench.host)]
    async with bench.agent() as agent:
        await agent.containers.remove(m.RemoveContainerRequest(container="again", force=True))
    assert failures == []
