"""Containers of images whose config is hostile, with the real conmon, crun and runc. Run by `test_hostile_images.py`.

Each attack is seen to succeed when the test switches the defence against it off.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.containers import mount_points, spec
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


def layer(host: Host) -> Path:
    """The files of the one layer, which the image has; to be made hostile."""
    (found,) = Path(host.config.state).glob("layers/snapshots/*/fs")
    return found


@pytest.mark.parametrize("host", ["crun", "runc"], indirect=True)
async def test_folders_of_the_runtime_that_are_links(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2026-41579 and CVE-2026-47766: a runtime makes and removes files where ``/dev`` leads on the host."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "ptmx").touch()
    await host.up()
    image = layer(host)
    for name in mount_points.FOLDERS:
        (image / name).rmdir()
        (image / name).symlink_to(outside)
    assert await ran(host, "ls", "-d", "/dev/null", "/proc/version", "/sys/fs") == "/dev/null\n/proc/version\n/sys/fs\n"
    assert os.listdir(outside) == ["ptmx"]

    for name in ("proc", "sys"):  # which runtimes refuse
        (image / name).unlink()
        (image / name).mkdir()
    monkeypatch.setattr(mount_points, "make", lambda _root: None)
    await ran(host, "true")
    # Debian's crun 1.8 looks below its root, and does not start the container.
    assert len(os.listdir(outside)) > 1 or host.config.runtime == "crun"


async def test_capabilities_that_a_file_inherits(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2022-24769: a program of the image gets for any user what it and the process are both to inherit."""
    host.image_config = ContainerConfig(cmd=("cat",), user="33")
    await host.up()
    program = layer(host) / "bin/grep"
    program.write_bytes((layer(host) / "bin/busybox").read_bytes())
    program.chmod(0o755)
    chown = 1 << 0  # CAP_CHOWN, the first of all
    os.setxattr(program, "security.capability", struct.pack("<5I", 0x0200_0000, 0, chown, 0, 0))
    reading = ("/bin/grep", "CapPrm", "/proc/self/status")
    assert int((await ran(host, *reading)).split()[1], 16) == 0
    build = spec.build

    def inheriting(settings: Any, plan: Any, context: Any) -> dict[str, Any]:
        built = build(settings, plan, context)
        built["process"]["capabilities"]["inheritable"] = ["CAP_CHOWN"]
        return built

    monkeypatch.setattr(spec, "build", inheriting)
    assert int((await ran(host, *reading)).split()[1], 16) == chown
