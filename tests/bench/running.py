"""How long containers take to run, beside Docker: in the agent, as whole commands, and fifty at once.

On a bridge, with an address and a firewall's rules, as both do by default, and without a network. Docker has a network
namespace of its own for that.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

from jackstay.client import AgentClient, connect, messages
from jackstay.inventory.host import Host
from tests.bench import peers
from tests.bench.rounds import Series, Task, in_turn
from tests.bench.scene import Scene
from tests.lab.archives import write_archive
from tests.lab.images import busybox_base

AT_ONCE = 50
IN_AGENT = "the agent: `run --rm` from the call to the exit"
EXEC_IN_AGENT = "the agent: `exec` from the call to the exit"
STARTS_IN_AGENT = f"the agent: {AT_ONCE} starts at once"
SLEEP = ("/bin/sleep", "100000")


def running(scene: Scene, rounds: int) -> tuple[list[Series], list[Series], list[Series]]:
    """The series of ``run``, of ``exec`` and of starting many, our own first; then, where there is one, Docker's."""
    with asyncio.Runner() as loop, ExitStack() as stack:
        image = busybox_base(scene.folder)
        archive = write_archive(scene.folder / "base.tar", [image], "docker-classic")
        scene.on_host(scene.one, "load", "-q", "-i", archive)
        agent = loop.run(connect(Host("web1", "localhost", socket=str(scene.one.agent.socket), kind="local")))
        stack.callback(lambda: loop.run(agent.close()))
        docker = stack.enter_context(peers.docker(scene.folder / "docker", bridged=True))
        if docker is not None:
            docker.run("load", "-q", "-i", archive)
        archive.unlink()
        series = (
            in_turn(_runs(scene, loop, agent, docker, image.name), rounds),
            _execs(scene, loop, agent, docker, image.name, rounds),
            _many(scene, loop, agent, docker, image.name, max(5, rounds // 2)),
        )
        if docker is not None:
            docker.run("rmi", "-f", image.name)
    scene.forget(scene.one)
    return series


def _runs(scene: Scene, loop: asyncio.Runner, agent: AgentClient, docker: peers.Peer | None, image: str) -> list[Task]:
    command = ["--rm", image, "/bin/true"]
    tasks = [
        Task(IN_AGENT, lambda: loop.run(run(agent, image, "bridge"))),
        Task(f"{IN_AGENT}, without a network", lambda: loop.run(run(agent, image, "none"))),
        Task("`jackstay -H local run --rm`", lambda: scene.on_host(scene.one, "run", *command)),
        Task("`jackstay run --rm` through SSH", lambda: scene.laptop.ok("-H", scene.one.name, "run", *command)),
    ]
    if docker is not None:
        tasks += [
            Task(f"`docker run --rm` ({docker.name})", lambda: docker.run("run", *command)),
            Task("`docker run --rm`, without a network", lambda: docker.run("run", "--network=none", *command)),
        ]
    return tasks


def _execs(
    scene: Scene, loop: asyncio.Runner, agent: AgentClient, docker: peers.Peer | None, image: str, rounds: int
) -> list[Series]:
    detached = ["run", "-d", "--name=bench", image, *SLEEP]
    scene.on_host(scene.one, *detached)
    tasks = [
        Task(EXEC_IN_AGENT, lambda: loop.run(execute(agent, "bench"))),
        Task("`jackstay -H local exec`", lambda: scene.on_host(scene.one, "exec", "bench", "/bin/true")),
    ]
    if docker is not None:
        docker.run(*detached)
        tasks.append(Task(f"`docker exec` ({docker.name})", lambda: docker.run("exec", "bench", "/bin/true")))
    series = in_turn(tasks, rounds)
    scene.on_host(scene.one, "rm", "-f", "bench")
    if docker is not None:
        docker.run("rm", "-f", "bench")
    return series


def _many(
    scene: Scene, loop: asyncio.Runner, agent: AgentClient, docker: peers.Peer | None, image: str, rounds: int
) -> list[Series]:
    names = [f"bench-{number}" for number in range(AT_ONCE)]
    create = ["create"]

    def stop(*, also_docker: bool = False) -> None:
        if also_docker and docker is not None:
            docker.run("kill", *names)
        else:
            loop.run(all_of(_kill(agent, name) for name in names))

    for name in names:
        loop.run(made(agent, image, name))
        if docker is not None:
            docker.run(*create, f"--name={name}", image, *SLEEP)
    tasks = [
        Task(STARTS_IN_AGENT, lambda: loop.run(all_of(_start(agent, name) for name in names)), stop),
        Task(f"`jackstay -H local start` of {AT_ONCE}", lambda: scene.on_host(scene.one, "start", *names), stop),
    ]
    if docker is not None:
        started = [*docker.command, "start"]
        tasks += [
            Task(
                f"`docker start`, {AT_ONCE} commands at once ({docker.name})",
                lambda: _at_once([[*started, name] for name in names]),
                lambda: stop(also_docker=True),
            ),
            Task(
                f"`docker start` of {AT_ONCE} in one command",
                lambda: docker.run("start", *names),
                lambda: stop(also_docker=True),
            ),
        ]
    series = in_turn(tasks, rounds)
    scene.on_host(scene.one, "rm", "-f", *names)
    if docker is not None:
        docker.run("rm", "-f", *names)
    return series


async def run(agent: AgentClient, image: str, network: str, *command: str) -> None:
    """As ``run --rm``: create, join the streams, start, and read until the end. Raises when it does not exit with 0."""
    created = await agent.containers.create(
        messages.CreateContainerRequest(
            image=image,
            command=command or ("/bin/true",),
            auto_remove=True,
            networks=[messages.NetworkAttachment(network=network)],
        )
    )
    async with agent.containers.attach() as streams:
        start = messages.AttachStart(container=created.id, stdout=True, stderr=True)
        await streams.write(messages.StreamInput(attach=start))
        async for output in streams:
            match output.WhichOneof("output"):
                case "ready":
                    await agent.containers.start(messages.StartContainerRequest(container=created.id))
                case "exit_code" if output.exit_code:
                    raise AssertionError(output)


async def execute(agent: AgentClient, container: str) -> None:
    """As ``exec``: one command, to its end."""
    async with agent.containers.exec() as streams:
        asked = messages.ExecStart(container=container, command=["/bin/true"])
        await streams.write(messages.StreamInput(exec=asked))
        async for output in streams:
            assert output.WhichOneof("output") != "exit_code" or output.exit_code == 0, output


async def made(agent: AgentClient, image: str, name: str, network: str = "bridge") -> None:
    """A container that will sleep."""
    await agent.containers.create(
        messages.CreateContainerRequest(
            image=image,
            name=name,
            command=SLEEP,
            networks=[messages.NetworkAttachment(network=network)],
        )
    )


async def all_of(works: Any) -> None:
    """All at once."""
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(_whole(work))


async def _whole(work: Coroutine[Any, Any, object]) -> None:
    await work


async def _start(agent: AgentClient, name: str) -> None:
    await agent.containers.start(messages.StartContainerRequest(container=name))


async def _kill(agent: AgentClient, name: str) -> None:
    await agent.containers.kill(messages.KillContainerRequest(container=name))
    await agent.containers.wait(messages.WaitContainerRequest(container=name))


def _at_once(commands: list[list[str]]) -> None:
    started = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    for each in started:
        assert each.wait() == 0
