"""When containers are probed, with a probe that only says what it is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

from jackstay_agent.containers.health import Result
from jackstay_agent.containers.health_checks import HealthChecks
from jackstay_agent.containers.layout import Layout
from jackstay_agent.containers.process import ProcessPlan, merge
from jackstay_agent.containers.settings import HealthCheck, Settings
from jackstay_oci.image_config import ContainerConfig, ImageConfig


class Bench:
    def __init__(self, folder: Path) -> None:
        self.layout = Layout(state=str(folder), run=str(folder))
        self.asked: list[tuple[str, ...]] = []
        self.told: list[tuple[str, str]] = []
        self.acted: list[str] = []
        self.code = 0
        self.fails = 0
        self.happened = asyncio.Event()

    def checks(self) -> HealthChecks:
        return HealthChecks(self.layout, self.probe, self.changed, self.unhealthy)

    async def probe(self, container: str, command: tuple[str, ...], limit: int) -> Result:
        self.asked.append((container, *command, str(limit)))
        self.happened.set()
        return Result(start=1, end=2, exit_code=self.code, output="said")

    async def changed(self, container: str, status: str) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError("full")
        self.told.append((container, status))

    async def unhealthy(self, container: str) -> None:
        self.acted.append(container)

    async def probed(self) -> None:
        self.happened.clear()
        async with asyncio.timeout(10):
            await self.happened.wait()


def plan(*test: str) -> ProcessPlan:
    health = HealthCheck(test=test, interval=10**6, retries=1, timeout=5 * 10**6)
    settings = Settings(image="i", name="c", hostname="c", command=("x",), health=health)
    return merge(settings, ImageConfig(architecture="amd64", os="linux", config=ContainerConfig()))


async def test_probes_changes_and_what_the_next_agent_finds(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    Path(bench.layout.lasting("c")).mkdir(parents=True)
    checks = bench.checks()
    await checks.begin("none", plan("NONE"), 0)
    await checks.begin("c", plan("CMD", "a"), 0)
    while bench.told != [("c", "healthy")]:
        await bench.probed()
    bench.code = 1
    while len(bench.told) < 2:
        await bench.probed()
    for _ in range(2):
        await bench.probed()  # until the one that changed it has been written down
    assert bench.told == [("c", "healthy"), ("c", "unhealthy")]
    assert set(bench.acted) == {"c"}
    assert len(bench.acted) > 1  # after every probe
    assert set(bench.asked) == {("c", "a", "5000000")}
    await checks.close()
    asked = len(bench.asked)
    await asyncio.sleep(0.02)
    assert len(bench.asked) == asked

    after = bench.checks()
    known = await after.of("c")
    assert known is not None
    assert known.status == "unhealthy"
    assert {result.output for result in known.log} == {"said"}
    assert await after.of("none") is None
    await after.resume("c", plan("CMD", "a"), 0, "unhealthy")
    bench.code = 0
    while len(bench.told) < 3:
        await bench.probed()
    after.forget("c")
    await after.close()
    assert bench.told[-1] == ("c", "healthy")


async def test_a_change_that_cannot_be_told_is_told_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path)  # nor is there a folder to write to
    bench.fails = 2
    checks = bench.checks()
    await checks.begin("c", plan("CMD", "a"), 0)
    while not bench.told:
        await bench.probed()
    await checks.close()
    assert bench.told == [("c", "healthy")]
    assert len(bench.asked) >= 3


async def test_a_file_that_was_cut(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    Path(bench.layout.lasting("c")).mkdir(parents=True)
    Path(bench.layout.health("c")).write_bytes(b'{"status": "hea')
    known = await bench.checks().of("c")
    assert known is not None
    assert known.status == "starting"
