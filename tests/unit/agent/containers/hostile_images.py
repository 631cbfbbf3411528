"""Containers of images whose config is hostile, with the real conmon, crun and runc. Run by `test_hostile_images.py`.

Each attack is seen to succeed when the test switches the defence against it off.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.containers import spec
from jackstay_agent.errors import Error
from jackstay_oci.image_config import ContainerConfig
from tests.unit.agent.containers.container_host import Host


@pytest.fixture
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    made = Host(tmp_path, getattr(request, "param", "crun"))
    yield made
    for item in await made.containers.list_all(every=True):
        await made.containers.remove(item.row.id, force=True, volumes=True)
    await made.down()


async def ran(host: Host, *command: str) -> str:
    """What a container prints, or the error of its start."""
    try:
        container = await host.run(*command)
    except Error as error:
        return f"error: {error.message}"
    await host.containers.wait(container)
    return await host.log(container)


@pytest.mark.parametrize("host", ["crun", "runc"], indirect=True)
async def test_a_working_folder_that_is_a_descriptor_of_the_host(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2024-21626: WORKDIR /proc/self/fd/N is the host's folder if somebody left one open."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").touch()
    left = os.open(tmp_path / "outside", os.O_RDONLY | os.O_DIRECTORY)
    host.image_config = ContainerConfig(cmd=("ls",), working_dir=f"/proc/self/fd/{left}")
    await host.up()
    os.set_inheritable(left, True)  # as a library might, or C code that knows no better
    try:
        assert "no such file or directory" in (await ran(host, "ls", ".")).lower()
        start = asyncio.create_subprocess_exec

        async def leaking(*argv: Any, pass_fds: tuple[int, ...] = (), **options: Any) -> Any:
            return await start(*argv, pass_fds=(*pass_fds, left), **options)

        monkeypatch.setattr(asyncio, "create_subprocess_exec", leaking)
        told = await ran(host, "ls", ".")
        # A runtime that knows of the attack looks after itself; Debian's crun 1.8 does not.
        assert told == "secret\n" or (host.config.runtime == "runc" and told.startswith("error:"))
    finally:
        os.close(left)


async def test_labels_are_not_obeyed(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2026-53488: a runtime obeys annotations. Here: to connect to a socket of the host's."""
    at = str(tmp_path / "receiver")
    host.image_config = ContainerConfig(cmd=("true",), labels={"run.oci.pidfd_receiver": at})
    await host.up()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as receiver:
        receiver.bind(at)
        receiver.listen()
        receiver.settimeout(0)
        assert await ran(host, "echo", "hello") == "hello\n"
        with pytest.raises(BlockingIOError):
            receiver.accept()
        build = spec.build

        def obeying(settings: Any, plan: Any, context: Any) -> dict[str, Any]:
            built = build(settings, plan, context)
            built["annotations"].update(plan.labels)
            return built

        monkeypatch.setattr(spec, "build", obeying)
        await ran(host, "echo", "hello")
        receiver.accept()[0].close()
