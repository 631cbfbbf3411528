"""The agent is killed with SIGKILL at every fault point of a push from its host to a registry, layers compressed on the
way: files and rows tell one story after the next start, and the next push gives the registry the same image.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator

import pytest

from jackstay.client import messages as m
from jackstay.copying.push import push_from_agent
from jackstay.errors import Error
from jackstay_oci.reference import Reference
from jackstay_oci.registry.tokens import AnonymousAuthorizer
from tests.faults.bench import Bench, ended, passed
from tests.faults.consistency import found, problems
from tests.lab.archives import write_archive
from tests.lab.emptying import empty, leftovers
from tests.lab.images import busybox_base
from tests.lab.lab import Lab
from tests.registries.distribution import Distribution

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


OWN = ("content.commit.", "content.write.", "metadata.content.", "metadata.images.", "metadata.lease.")
"""The points of what a push stores, and of no collection: those are passed whenever something is removed, too."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(1, forked=True) as made:
        yield made


@pytest.fixture(scope="module")
def registry(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    with Distribution(tmp_path_factory.mktemp("registry"), lab.server_place()) as made:
        yield made


@pytest.fixture(scope="module")
def bench(lab: Lab, registry: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    host = lab.hosts["web1"]
    with (lab.dir / "hosts" / host.name / "etc" / "jackstayd.toml").open("a") as config:
        config.write(f'[registries]\nplain_http = ["{registry.name}"]\n')
    host.agent.stop()
    folder = tmp_path_factory.mktemp("archives")
    archive = write_archive(folder / "base.archive", [busybox_base(folder)])
    bench = Bench(host, host, archive, archive, archive)
    bench.start()
    return bench


async def test_at_every_point(bench: Bench, registry: Distribution) -> None:
    destination = Reference.parse(f"{registry.name}/team/base:1")

    async def push(bench: Bench) -> str:
        async with bench.agent() as agent:
            done = await push_from_agent(agent, "base:1", destination, AnonymousAuthorizer())
            return done.root.digest

    async def act(bench: Bench) -> None:
        await push(bench)

    async def anew() -> None:
        """Nobody has compressed anything, and the registry is empty."""
        await asyncio.to_thread(empty, bench.host)
        await asyncio.to_thread(shutil.rmtree, registry.folder / "storage" / "docker", ignore_errors=True)
        await bench.load(bench.base)

    await anew()
    points = [each for each in await passed(bench, act) if each.startswith(OWN) and "#" not in each]
    assert {"content.commit.renamed", "metadata.content.blob", "metadata.images.pushed"} <= set(points)
    whole = await push(bench)
    for point in points:
        await anew()
        bench.armed.write_text(point)
        with contextlib.suppress(Error):
            await push(bench)
        assert await ended(bench), point
        bench.armed.unlink()
        bench.start()
        assert problems(bench.host) == [], point
        assert found(bench.host, point) == [], point
        assert await push(bench) == whole, point
        async with bench.agent() as agent:
            listed = await agent.images.list(m.ListImagesRequest())
        assert [image.repository for image in listed.images] == ["base"], point
        assert whole in registry.blobs(), point
    empty(bench.host)
    assert leftovers(bench.host) == []
