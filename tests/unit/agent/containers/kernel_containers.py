"""Containers with the real conmon and the real crun and runc. Run by `test_kernel.py`, in a sandbox."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import sqlite3
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from jackstay_agent.containers import attach as attach_module
from jackstay_agent.containers import monitor, runtime
from jackstay_agent.containers.exec_process import ExecRequest
from jackstay_agent.containers.logs import Wanted
from jackstay_agent.containers.settings import Mount, NetworkAttachment, Port, Resources, RestartPolicy, Settings
from jackstay_agent.errors import (
    CommandNotExecutable,
    CommandNotFound,
    InvalidArgument,
    LimitExceeded,
    NameTaken,
    NotFound,
    PortTaken,
    RuntimeFailed,
    WrongState,
)
from jackstay_agent.networks.filter import PacketFilter
from jackstay_agent.networks.registry import Wanted as WantedNetwork
from jackstay_agent.rpc.activity import Activity
from jackstay_agent.rpc.containers import ContainersService
from jackstay_agent.rpc.errors import ErrorInterceptor
from jackstay_proto.v1 import containers_pb2 as pb
from jackstay_proto.v1.containers_pb2_grpc import ContainersStub, add_ContainersServicer_to_server
from tests.unit.agent.containers.container_host import Host, read_all, until

both = pytest.mark.parametrize("host", ["crun", "runc"], indirect=True)
"""For what the runtimes do each in their own way; the rest is tested with crun."""


@pytest.fixture
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    made = Host(tmp_path, getattr(request, "param", "crun"))
    await made.up()
    yield made
    for item in await made.containers.list_all(every=True):
        await made.containers.remove(item.row.id, force=True, volumes=True)
    left = await made.leftovers()
    await made.down()
    assert left == []


@both
async def test_runs_to_its_exit_code_and_keeps_its_output(host: Host) -> None:
    container = await host.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert await host.containers.wait(container) == 7
    row = await host.containers.find(container)
    assert (row.state, row.exit_code, row.error, row.pid) == ("exited", 7, "", 0)
    assert row.started < row.finished
    assert sorted((await host.log(container)).split()) == ["err", "out"]
    assert await host.leftovers() == []
    document = await host.containers.inspect(container, size=True)
    assert document["State"]["ExitCode"] == 7


async def test_starts_again_and_appends_to_its_log(host: Host) -> None:
    container = await host.run("sh", "-c", "echo again; echo x >> /kept; cat /kept")
    await host.containers.wait(container)
    await host.containers.start(container)
    await host.containers.wait(container)
    assert await host.log(container) == "again\nx\nagain\nx\nx\n"


@both
@pytest.mark.parametrize(
    ("command", "error", "code"),
    [
        ("missing", CommandNotFound, 127),
        ("/bin/missing", CommandNotFound, 127),
        ("/etc/plain", CommandNotExecutable, 126),
        ("/etc", CommandNotExecutable, 126),
    ],
)
async def test_a_command_that_cannot_run_leaves_nothing(
    host: Host, command: str, error: type[Exception], code: int
) -> None:
    container = await host.create(command, network="bridge")
    with pytest.raises(error):
        await host.containers.start(container)
    row = await host.containers.find(container)
    assert (row.state, row.exit_code) == ("created", code)
    assert row.error
    assert await host.leftovers() == []


async def test_a_failed_start_removes_a_container_that_is_to_be_removed(host: Host) -> None:
    container = await host.create("missing", auto_remove=True)
    with pytest.raises(CommandNotFound):
        await host.containers.start(container)
    with pytest.raises(NotFound):
        await host.containers.find(container)


@both
async def test_the_user_folder_and_environment_are_those_asked_for(host: Host) -> None:
    container = await host.run(
        "sh",
        "-c",
        "id -u; pwd; echo $HOME $FROM_IMAGE $MINE; hostname",
        user="web",
        working_dir="/tmp",
        env=("MINE=1",),
    )
    await host.containers.wait(container)
    assert await host.log(container) == f"33\n/tmp\n/srv yes 1\n{container[:12]}\n"


async def test_stop_sends_the_stop_signal(host: Host) -> None:
    container = await host.run("sh", "-c", "trap 'exit 5' USR1; while :; do sleep 0.05; done", stop_signal="USR1")
    await asyncio.sleep(0.3)
    await host.containers.stop(container)
    assert (await host.containers.find(container)).exit_code == 5


@both
async def test_stop_kills_what_does_not_stop(host: Host) -> None:
    container = await host.run("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
    await asyncio.sleep(0.3)
    await host.containers.stop(container, 1)
    row = await host.containers.find(container)
    assert (row.state, row.exit_code) == ("exited", 137)
    await host.containers.stop(container)  # no error


async def test_kill_and_restart(host: Host) -> None:
    container = await host.run("sleep", "100")
    first = await host.containers.find(container)
    await host.containers.restart(container, 0)
    second = await host.containers.find(container)
    assert second.state == "running"
    assert second.pid != first.pid
    await host.containers.kill(container)
    assert (await host.containers.find(container)).exit_code == 137
    with pytest.raises(WrongState):
        await host.containers.kill(container)


@both
async def test_a_paused_container_can_be_unpaused_and_killed(host: Host) -> None:
    container = await host.run("sleep", "100")
    await host.containers.pause(container)
    with pytest.raises(WrongState):
        await host.containers.start(container)
    with pytest.raises(WrongState):
        await host.containers.execute(container, ExecRequest(command=("id",)))
    await host.containers.unpause(container)
    await host.containers.pause(container)
    assert (await host.containers.list_all())[0].row.state == "paused"
    await host.containers.kill(container)
    assert (await host.containers.find(container)).exit_code == 137


@both
async def test_removal_wants_force_for_a_running_one(host: Host) -> None:
    container = await host.run("sleep", "100")
    with pytest.raises(WrongState):
        await host.containers.remove(container)
    waiting = asyncio.create_task(host.containers.wait(container, "removed"))
    await asyncio.sleep(0.05)
    await host.containers.remove(container, force=True)
    assert await waiting == 137
    assert not os.path.exists(os.path.join(host.config.state, "containers", container))


async def test_auto_remove_gives_waiters_the_code_and_takes_anonymous_volumes(host: Host) -> None:
    mounts = (Mount(type="volume", source="", target="/v"), Mount(type="volume", source="kept", target="/w"))
    container = await host.create("sh", "-c", "exit 3", auto_remove=True, mounts=mounts)
    waits = [asyncio.create_task(host.containers.wait(container, how)) for how in ("next-exit", "removed")]
    await asyncio.sleep(0.05)
    await host.containers.start(container)
    assert await asyncio.gather(*waits) == [3, 3]
    assert [volume.name for volume in await host.volumes.list()] == ["kept"]


async def test_names_are_unique_and_can_be_replaced(host: Host) -> None:
    first = await host.create("sh", name="web")
    with pytest.raises(NameTaken, match=first):
        await host.create("sh", name="web")
    other = await host.create("sh")
    with pytest.raises(NameTaken):
        await host.containers.rename(other, "web")
    await host.containers.rename("web", "old")
    assert (await host.containers.find("old")).id == first
    assert (await host.containers.find(first[:6])).id == first
    with pytest.raises(NotFound):
        await host.containers.find("web")
    settings = Settings(image="busybox", name="old", hostname="", networks=(NetworkAttachment(network="none"),))
    second, _ = await host.containers.create(settings, replace=True)
    assert (await host.containers.find("old")).id == second != first


async def test_a_volume_gets_the_images_files_once(host: Host) -> None:
    volume = (Mount(type="volume", source="v", target="/data"),)
    container = await host.run("sh", "-c", "cat /data/given; echo new > /data/given; ls -ln /data", mounts=volume)
    await host.containers.wait(container)
    out = await host.log(container)
    assert out.startswith("from the image\n")
    assert " 33 " in out
    other = await host.run("cat", "/data/given", mounts=volume)
    await host.containers.wait(other)
    assert await host.log(other) == "new\n"


async def test_no_link_in_the_image_leads_a_copy_up_out_of_it(host: Host) -> None:
    container = await host.run("ls", "/escape/", mounts=(Mount(type="volume", source="v", target="/escape"),))
    await host.containers.wait(container)
    names = set(os.listdir(host.volumes.path("v")))
    made_by_the_runtime = {"hosts", "hostname", "resolv.conf"}
    assert names - made_by_the_runtime == {"passwd", "group", "plain"}  # the image's /etc, not the host's


async def test_a_bind_source_must_exist_unless_it_may_be_made(host: Host, tmp_path: Path) -> None:
    source = str(tmp_path / "bound")
    with pytest.raises(InvalidArgument, match="bind source path does not exist"):
        await host.create("sh", mounts=(Mount(type="bind", source=source, target="/b"),))
    mount = Mount(type="bind", source=source, target="/b", create_source=True)
    container = await host.run("sh", "-c", "echo hello > /b/file", mounts=(mount,))
    assert await host.containers.wait(container) == 0
    assert (tmp_path / "bound" / "file").read_text() == "hello\n"


@both
async def test_a_file_can_be_bound_read_only(host: Host, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("given\n")
    mount = Mount(type="bind", source=str(tmp_path / "given"), target="/made/here", read_only=True)
    container = await host.run("sh", "-c", "cat /made/here; echo x > /made/here || exit 9", mounts=(mount,))
    assert await host.containers.wait(container) == 9
    assert (await host.log(container)).startswith("given\n")


async def test_the_network_is_there_while_it_runs(host: Host) -> None:
    container = await host.run(
        "httpd", "-f", "-h", "/etc", network="bridge", ports=(Port(container_port=80, host_port=8099),)
    )
    listed = (await host.containers.list_all())[0]
    assert [(port.host_ip, port.host_port) for port in listed.ports] == [("", 8099), ("::", 8099)]
    address = (await host.containers.inspect(container))["NetworkSettings"]["IPAddress"]

    async def answers() -> bool:
        try:
            reader, writer = await asyncio.open_connection(address, 80)
        except OSError:
            return False
        writer.write(b"GET /plain HTTP/1.0\r\n\r\n")
        text = await reader.read()
        writer.close()
        return b"not a program" in text

    await until(answers)
    other = await host.create("sleep", "9", network="bridge", ports=(Port(container_port=80, host_port=8099),))
    with pytest.raises(PortTaken):
        await host.containers.start(other)
    assert (await host.containers.find(other)).state == "created"
    await host.containers.stop(container, 0)
    await host.containers.start(other)


async def test_names_are_known_in_a_network_that_it_comes_to_while_it_runs(host: Host) -> None:
    await host.networks.registry.create(WantedNetwork(name="red"))
    other = await host.run("sleep", "86400", network="red", name="other")
    container = await host.run("sleep", "86400", network="bridge")
    try:
        await host.containers.network_connect(container, NetworkAttachment(network="red"))

        async def known() -> bool:
            asked = ExecRequest(command=("busybox", "nslookup", "other"))
            session = await host.containers.execute(container, asked)
            told, _ = await read_all(session)
            return await session.wait() == 0 and b"Name:\tother" in told

        await until(known)
        await host.containers.network_disconnect(container, "red")
        session = await host.containers.execute(container, ExecRequest(command=("cat", "/etc/resolv.conf")))
        told, _ = await read_all(session)
        assert (await host.networks.registry.inspect("red"))["IPAM"]["Config"][0]["Gateway"] not in told.decode()
    finally:
        for each in (container, other):
            await host.containers.remove(each, force=True)
        await host.networks.registry.remove("red")


@both
async def test_attached_before_the_start_nothing_is_lost(host: Host) -> None:
    container = await host.create("sh", "-c", "echo first; echo second >&2; exit 4")
    seats = [await host.containers.attach(container) for _ in range(2)]
    reading = [asyncio.create_task(read_all(seat)) for seat in seats]
    await host.containers.start(container)
    assert await asyncio.gather(*reading) == [(b"first\n", b"second\n")] * 2
    assert [await seat.wait() for seat in seats] == [4, 4]


async def test_attached_to_a_start_that_fails_one_gets_its_code(host: Host) -> None:
    container = await host.create("missing")
    seat = await host.containers.attach(container)
    with pytest.raises(CommandNotFound):
        await host.containers.start(container)
    assert await read_all(seat) == (b"", b"")
    assert await seat.wait() == 127


@both
async def test_standard_input_reaches_the_process_and_ends(host: Host) -> None:
    container = await host.create("cat", open_stdin=True, attach_stdin=True)
    seat = await host.containers.attach(container)
    await host.containers.start(container)
    sent = os.urandom(300_000)

    async def feed() -> None:
        await seat.write(sent)
        await seat.close_stdin()

    feeding = asyncio.create_task(feed())
    out, _ = await read_all(seat)
    await feeding
    assert out == sent
    assert await seat.wait() == 0


async def test_standard_input_of_others_outlives_them(host: Host) -> None:
    container = await host.run("cat", open_stdin=True)
    for word in (b"one\n", b"two\n"):
        seat = await host.containers.attach(container)
        await seat.write(word)
        assert await anext(seat.output()) == ("stdout", word)
        await seat.close_stdin()
        await seat.leave()
    assert (await host.containers.find(container)).state == "running"


@both
async def test_a_terminal_has_the_size_it_was_given(host: Host) -> None:
    container = await host.create(
        "sh", "-c", "sleep 0.3; stty size; id -u", tty=True, open_stdin=True, attach_stdin=True
    )
    seat = await host.containers.attach(container)
    sizing = asyncio.create_task(seat.resize(33, 111))
    await host.containers.start(container)
    out, err = await read_all(seat)
    await sizing
    assert (out, err) == (b"33 111\r\n0\r\n", b"")


async def test_a_slow_client_holds_the_container_but_not_for_ever(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach_module, "PATIENCE", 1.0)
    container = await host.create("sh", "-c", "yes 0123456789abcdef | head -c 4000000")
    slow = await host.containers.attach(container)
    quick = await host.containers.attach(container)
    reading = asyncio.create_task(read_all(quick))
    await host.containers.start(container)
    out, _ = await reading
    assert len(out) == 4_000_000
    with pytest.raises(LimitExceeded):
        await read_all(slow)


@both
async def test_exec_runs_beside_it(host: Host) -> None:
    container = await host.run("sleep", "100", env=("MINE=1",))
    asked = ExecRequest(
        command=("sh", "-c", "cat; echo $MINE $OTHER; id -u; pwd; echo e >&2; exit 9"),
        stdin=True,
        env=("OTHER=2",),
        user="web",
        working_dir="/etc",
    )
    session = await host.containers.execute(container, asked)
    await session.write(b"given\n")
    await session.close_stdin()
    assert await read_all(session) == (b"given\n1 2\n33\n/etc\n", b"e\n")
    assert await session.wait() == 9
    await session.leave()
    folder = os.path.join(host.config.run, "containers", container, "exec")
    assert os.listdir(folder) == []


@both
async def test_a_terminal_has_the_size_of_who_attached_from_the_first_moment(host: Host) -> None:
    container = await host.create("stty", "size", tty=True, open_stdin=True)
    seat = await host.containers.attach(container, size=(20, 70))
    await host.containers.start(container)
    assert (await read_all(seat))[0] == b"20 70\r\n"


def until_it_is(size: str) -> str:
    """Shell that waits until its terminal has that size and says it: crun sets it beside the command's start."""
    return f'until [ "$(stty size 2>/dev/null)" = "{size}" ]; do :; done; echo {size}'


@both
async def test_exec_with_a_terminal(host: Host) -> None:
    container = await host.run("sleep", "100")
    command = ("sh", "-c", f"{until_it_is('20 70')}; sleep 0.3; stty size")
    asked = ExecRequest(command=command, tty=True, stdin=True, size=(20, 70))
    session = await host.containers.execute(container, asked)
    output = session.output()
    assert await anext(output) == ("stdout", b"20 70\r\n")
    await session.resize(30, 90)
    assert await anext(output) == ("stdout", b"30 90\r\n")
    assert await session.wait() == 0


@both
@pytest.mark.parametrize(("command", "error"), [("nope", CommandNotFound), ("/etc/plain", CommandNotExecutable)])
async def test_exec_of_what_cannot_run(host: Host, command: str, error: type[Exception]) -> None:
    container = await host.run("sleep", "100")
    with pytest.raises(error):
        await host.containers.execute(container, ExecRequest(command=(command,)))
    assert os.listdir(os.path.join(host.config.run, "containers", container, "exec")) == []


@both
async def test_exec_detached_and_signalled(host: Host) -> None:
    container = await host.run("sleep", "100")
    await host.containers.execute(container, ExecRequest(command=("sh", "-c", "echo x > /made"), detach=True))
    made = os.path.join(host.config.run, "containers", container, "rootfs", "made")

    async def is_made() -> bool:
        return os.path.exists(made)

    await until(is_made)
    session = await host.containers.execute(container, ExecRequest(command=("sleep", "100")))
    await session.signal(signal.SIGKILL)
    assert await read_all(session) == (b"", b"")
    assert await session.wait() == 137


async def test_logs_follow_until_the_end(host: Host) -> None:
    container = await host.run("sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done; echo -n end")
    seen = [entry.text async for batch in host.containers.logs(container, Wanted(), follow=True) for entry in batch]
    assert b"".join(seen).startswith(b"1\n2\n3\n4\n5\nend")
    assert await host.log(container, Wanted(tail=2)) == "5\nend"


@both
async def test_a_killed_monitor_ends_its_container(host: Host) -> None:
    container = await host.run("sleep", "100")
    row = await host.containers.find(container)
    os.kill(row.monitor_pid, signal.SIGKILL)
    assert await host.containers.wait(container) == 137
    row = await host.containers.find(container)
    assert row.state == "exited"
    assert "monitor" in row.error


@both
async def test_a_runtime_that_hangs_or_fails(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names it, and nothing of the try is left, whichever of its commands it is."""
    engine = host.containers.engine
    real, odd = engine.runtime.path, tmp_path / "odd-runtime"
    monkeypatch.setattr(monitor, "_CREATE_SECONDS", 1)
    monkeypatch.setattr(runtime, "_SECONDS", 1)
    container = await host.create("sleep", "100", network="bridge")
    engine.runtime.path = str(odd)
    for command, act, told in [
        ("create", "exec sleep 97531", f"the OCI runtime {odd} did not create the container within 1 s"),
        ("start", "exec sleep 97531", f"{odd} --root {engine.layout.runtime} did not end within 1 s"),
        ("create", "echo it is broken >&2; exit 1", "the OCI runtime failed: "),
    ]:
        odd.write_text(f'#!/bin/sh\ncase " $* " in *" {command} "*) {act} ;; esac\nexec {real} "$@"\n')
        odd.chmod(0o755)
        with pytest.raises(RuntimeFailed, match=re.escape(told)):
            await host.containers.start(container)
        row = await host.containers.find(container)
        assert (row.state, row.exit_code, row.pid) == ("created", 128, 0)
        assert told in row.error
        assert await host.leftovers() == []
        assert commands("sleep 97531") == []
    engine.runtime.path = real
    await host.containers.start(container)


async def test_a_network_that_fails_while_the_runtime_works(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container is made, never started, and nothing of it is left."""
    engine = host.containers.engine
    container = await host.create("sh", "-c", "echo ran", network="bridge")
    created = asyncio.Event()

    async def refuse(*_arguments: object, **_options: object) -> None:
        await created.wait()
        raise RuntimeFailed("nft refused the packet filter: no")

    async def create(self: monitor.Waiting) -> monitor.Monitored:
        made = await real(self)
        created.set()
        return made

    real = monitor.Waiting.create
    monkeypatch.setattr(monitor.Waiting, "create", create)
    with monkeypatch.context() as patched:
        patched.setattr(PacketFilter, "apply", refuse)
        with pytest.raises(RuntimeFailed, match="nft refused"):
            await host.containers.start(container)
    assert created.is_set()
    row = await host.containers.find(container)
    assert (row.state, row.pid) == ("created", 0)
    assert await host.leftovers() == []
    assert commands(f"-c {container}") == []
    assert await host.log(container) == ""
    await engine.networks.disconnect(container)


@pytest.mark.parametrize("setting", ["net.ipv4.conf.eth0.log_martians", "net.ipv4.conf.default.log_martians"])
async def test_a_setting_of_the_network_finds_its_links(
    host: Host, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    connected = asyncio.Event()

    async def apply(self: PacketFilter, *, again: bool = False) -> None:
        await asyncio.sleep(0.2)  # the runtime would long be at work
        await filtering(self, again=again)
        connected.set()

    async def create(self: monitor.Waiting) -> monitor.Monitored:
        assert connected.is_set()
        return await creating(self)

    filtering, creating = PacketFilter.apply, monitor.Waiting.create
    monkeypatch.setattr(PacketFilter, "apply", apply)
    monkeypatch.setattr(monitor.Waiting, "create", create)
    container = await host.create(
        "cat", f"/proc/sys/{setting.replace('.', '/')}", "/proc/sys/net/ipv4/conf/eth0/log_martians",
        network="bridge", sysctls={setting: "1"},
    )  # fmt: skip
    await host.containers.start(container)
    assert await host.containers.wait(container) == 0
    eth0 = "1" if "eth0" in setting else "0"  # a default is for links that come later
    assert (await host.log(container)).split() == ["1", eth0]


def commands(text: str) -> list[str]:
    """The processes whose command line has *text*."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in words:
            found.append(words)
    return found


@both
async def test_the_agent_restarts_and_containers_do_not_notice(host: Host) -> None:
    running = await host.run("sh", "-c", "while :; do echo tick; sleep 0.05; done", network="bridge")
    asked = await host.create("sh", "-c", "read line; echo got $line; exit 6", open_stdin=True)
    await host.containers.start(asked)
    before = await host.containers.find(running)
    await host.restart()
    after = await host.containers.find(running)
    assert (after.state, after.pid, after.started) == ("running", before.pid, before.started)
    seat = await host.containers.attach(running)
    assert await anext(seat.output()) == ("stdout", b"tick\n")
    await seat.leave()
    seat = await host.containers.attach(asked)
    await seat.write(b"it\n")
    assert await read_all(seat) == (b"got it\n", b"")
    assert await seat.wait() == 6
    await host.containers.stop(running, 0)
    assert (await host.containers.find(running)).exit_code == 137


async def test_an_exit_while_the_agent_was_away_is_found(host: Host) -> None:
    container = await host.run("sh", "-c", "sleep 0.5; exit 8")
    gone = await host.run("sh", "-c", "sleep 0.3; exit 8", auto_remove=True)
    lost = await host.run("sleep", "100")
    monitor = (await host.containers.find(lost)).monitor_pid
    await host.down()
    os.kill(monitor, signal.SIGKILL)
    await asyncio.sleep(1)
    await host.up()
    row = await host.containers.find(container)
    assert (row.state, row.exit_code) == ("exited", 8)
    assert row.finished > row.started
    with pytest.raises(NotFound):
        await host.containers.find(gone)
    row = await host.containers.find(lost)
    assert (row.state, row.exit_code) == ("exited", 137)


async def test_after_a_reboot_what_ran_has_ended(host: Host) -> None:
    container = await host.run("sleep", "100")
    await host.down()
    with open(os.path.join(host.config.state, "boot_id"), "w") as file:
        file.write("another boot")
    await host.up()
    row = await host.containers.find(container)
    assert (row.state, row.exit_code) == ("exited", 255)
    assert "restarted" in row.error
    await host.containers.start(container)


@pytest.mark.parametrize("started", [False, True])
async def test_a_start_that_the_agent_died_in_is_settled(host: Host, started: bool) -> None:
    container = await host.run("sleep", "100")
    if not started:
        await host.containers.stop(container, 0)
    await host.database.write("test", lambda c: c.execute("UPDATE containers SET state = 'starting', pid = 0"))
    await host.restart()
    row = await host.containers.find(container)
    if started:
        assert row.state == "running"
        assert row.pid > 0
        await host.containers.stop(container, 0)
    else:
        assert row.state in ("created", "exited")
        await host.containers.start(container)


async def test_what_has_no_row_is_removed(host: Host) -> None:
    container = await host.run("sleep", "100")
    monitor = (await host.containers.find(container)).monitor_pid
    await host.down()
    with sqlite3.connect(os.path.join(host.config.state, "jackstay.db")) as connection:
        connection.execute("DELETE FROM containers")
    connection.close()
    await host.up()
    assert await host.leftovers() == []
    assert not os.path.exists(f"/proc/{monitor}/exe")


async def test_verbs_at_the_same_time_leave_no_wreck(host: Host) -> None:
    container = await host.create("sleep", "100")
    results = await asyncio.gather(
        host.containers.start(container),
        host.containers.remove(container, force=True),
        host.containers.start(container),
        host.containers.stop(container, 0),
        return_exceptions=True,
    )
    assert all(isinstance(result, (str, NotFound, WrongState)) for result in results), results


async def test_a_caller_that_goes_away_leaves_a_whole_start(host: Host) -> None:
    container = await host.create("sleep", "100", network="bridge")
    task = asyncio.create_task(host.containers.start(container))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async def runs() -> bool:
        return (await host.containers.find(container)).state == "running"

    await until(runs)


class Line:
    """A call with streams both ways, as a controller makes it."""

    def __init__(self, method: Any, first: pb.StreamInput) -> None:
        self._requests: asyncio.Queue[pb.StreamInput | None] = asyncio.Queue()
        self._requests.put_nowait(first)
        self.call = method(self._send())
        self._replies = aiter(self.call)

    async def _send(self) -> AsyncIterator[pb.StreamInput]:
        while (request := await self._requests.get()) is not None:
            yield request

    def send(self, **request: Any) -> None:
        self._requests.put_nowait(pb.StreamInput(**request))

    async def next(self) -> pb.StreamOutput:
        return await anext(self._replies)

    async def rest(self) -> tuple[bytes, list[pb.StreamOutput]]:
        """What is written to standard output, and the other replies."""
        out, others = b"", []
        async for reply in self._replies:
            if reply.WhichOneof("output") == "stdout":
                out += reply.stdout
            else:
                others.append(reply)
        self._requests.put_nowait(None)
        return out, others


@pytest.fixture
async def stub(host: Host, tmp_path: Path) -> AsyncIterator[ContainersStub]:
    server = grpc.aio.server(interceptors=[ErrorInterceptor(Activity())])
    add_ContainersServicer_to_server(ContainersService(host.containers), server)
    server.add_insecure_port(f"unix:{tmp_path}/socket")
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/socket") as channel:
        yield ContainersStub(channel)
    await server.stop(0)


async def test_over_grpc_it_runs_attached(stub: ContainersStub) -> None:
    request = pb.CreateContainerRequest(
        image="busybox",
        command=["sh", "-c", "cat; exit 3"],
        networks=[pb.NetworkAttachment(network="none")],
        open_stdin=True,
        attach_stdin=True,
    )
    created = await stub.Create(request)
    start = pb.AttachStart(container=created.id, stdin=True, stdout=True, stderr=True)
    line = Line(stub.Attach, pb.StreamInput(attach=start))
    ready = await line.next()
    assert (ready.ready.id, ready.ready.tty) == (created.id, False)
    await stub.Start(pb.StartContainerRequest(container=created.id))
    line.send(stdin=b"x" * 200_000)
    line.send(stdin_closed=True)
    out, others = await line.rest()
    assert len(out) == 200_000
    assert [other.exit_code for other in others] == [3]
    assert (await stub.Wait(pb.WaitContainerRequest(container=created.id))).exit_code == 3
    listed = await stub.List(pb.ListContainersRequest(all=True, filters=["status=exited"]))
    assert [(line.id, line.state, list(line.command)) for line in listed.containers] == [
        (created.id, "exited", ["sh", "-c", "cat; exit 3"])
    ]
    logged = [reply async for reply in stub.Logs(pb.LogsRequest(container=created.id, stdout=True, tail=1))]
    assert sum(len(entry.text) for reply in logged for entry in reply.entries) == 200_000


async def test_over_grpc_exec_with_a_terminal_takes_sizes_and_signals(stub: ContainersStub) -> None:
    created = await stub.Create(
        pb.CreateContainerRequest(
            image="busybox", command=["sleep", "100"], networks=[pb.NetworkAttachment(network="none")]
        )
    )
    await stub.Start(pb.StartContainerRequest(container=created.id))
    start = pb.ExecStart(
        container=created.id,
        command=["sh", "-c", f"{until_it_is('12 34')}; while :; do sleep 0.05; done"],
        tty=True,
        stdin=True,
        size=pb.WindowSize(height=12, width=34),
    )
    line = Line(stub.Exec, pb.StreamInput(exec=start))
    assert (await line.next()).ready.tty
    assert (await line.next()).stdout == b"12 34\r\n"
    line.send(signal="KILL")
    _, others = await line.rest()
    assert [other.exit_code for other in others] == [137]
    start = pb.ExecStart(container=created.id, command=["missing"])
    line = Line(stub.Exec, pb.StreamInput(exec=start))
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await line.rest()
    assert told.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    line = Line(stub.Exec, pb.StreamInput(exec=pb.ExecStart(container=created.id, command=["id"], detach=True)))
    assert (await line.rest())[1][0].WhichOneof("output") == "ready"


async def exported(host: Host, container: str) -> bytes:
    return b"".join([piece async for piece in host.containers.export(container)])


def content(tar: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        stream = archive.extractfile(name)
        assert stream is not None
        return stream.read()


def names(tar: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return archive.getnames()


async def test_exports_what_the_container_has_written(host: Host, tmp_path: Path) -> None:
    (tmp_path / "bound").mkdir()
    (tmp_path / "bound" / "theirs").write_bytes(b"not of the container")
    mounts = (
        Mount(type="volume", source="vol", target="/data"),
        Mount(type="bind", source=str(tmp_path / "bound"), target="/tmp"),
    )
    script = "echo made > /made; echo in > /data/volume; echo mem > /dev/shm/x; exec sleep 100"
    container = await host.run("sh", "-c", script, mounts=mounts)

    async def made() -> bool:
        return "made" in names(await exported(host, container))

    await until(made)
    running = await exported(host, container)
    assert content(running, "made") == b"made\n"
    assert content(running, "data/given") == b"from the image\n"
    assert {"proc", "sys", "dev", "tmp", "data", "etc/hostname"} <= set(names(running))
    inside = ("proc/", "sys/", "dev/", "tmp/", "data/volume", "etc/theirs")
    assert not [name for name in names(running) if name.startswith(inside)]
    await host.containers.pause(container)
    assert await exported(host, container) == running
    await host.containers.unpause(container)
    await host.containers.stop(container, 0)
    assert await host.leftovers() == []
    assert await exported(host, container) == running
    assert await host.leftovers() == []


async def test_exports_a_container_that_never_ran(host: Host) -> None:
    container = await host.create("sleep", "100")
    assert content(await exported(host, container), "etc/plain") == b"not a program\n"
    assert await host.leftovers() == []
    await host.containers.start(container)


async def test_an_export_is_in_nobodys_way(host: Host) -> None:
    container = await host.create("sh", "-c", "echo new > /new; exec sleep 100")
    pieces = host.containers.export(container)
    first = await anext(pieces)  # the tree is larger than what the pipe holds, so the child is not done
    await host.containers.start(container)
    rest = b"".join([piece async for piece in pieces])
    assert content(first + rest, "etc/plain") == b"not a program\n"
    assert "new" in names(await exported(host, container))
    pieces = host.containers.export(container)
    await anext(pieces)
    await host.containers.remove(container, force=True)
    await pieces.aclose()


async def test_who_breaks_an_export_off_leaves_nothing(host: Host) -> None:
    container = await host.create("sleep", "100")
    for _ in range(3):
        pieces = host.containers.export(container)
        await anext(pieces)
        await pieces.aclose()
        task = asyncio.create_task(exported(host, container))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await host.leftovers() == []
    children = Path(f"/proc/{host.jobs._pid}/task/{host.jobs._pid}/children")
    assert children.read_text() == ""
    await host.containers.start(container)


async def test_nothing_to_export(host: Host) -> None:
    with pytest.raises(NotFound):
        await exported(host, "missing")
    container = await host.create("sleep", "100")
    await host.containers.engine.change("test", container, state="removing")
    with pytest.raises(WrongState, match="being removed"):
        await exported(host, container)
    assert await host.leftovers() == []
    await host.containers.engine.change("test", container, state="created")


async def test_an_agent_that_died_in_an_export_takes_the_mount_away(host: Host) -> None:
    container = await host.create("sleep", "100")
    root = host.containers.engine.layout.rootfs(container)
    os.makedirs(root)
    await host.snapshotter.mount((await host.containers.find(container)).snapshot, root)
    await host.restart()
    assert await host.leftovers() == []
    await host.containers.start(container)


async def test_over_grpc_an_export_comes_in_pieces(host: Host, stub: ContainersStub) -> None:
    container = await host.create("sleep", "100")
    pieces = [reply.data async for reply in stub.Export(pb.ExportContainerRequest(container=container))]
    assert max(map(len, pieces)) <= 1 << 20
    assert b"".join(pieces) == await exported(host, container)
    call = stub.Export(pb.ExportContainerRequest(container=container))
    await call.read()
    call.cancel()

    async def left() -> bool:
        return await host.leftovers() == []

    await until(left)


async def test_over_grpc_a_caller_that_hangs_up_leaves_the_container(host: Host, stub: ContainersStub) -> None:
    container = await host.run("sh", "-c", "while :; do echo x; sleep 0.02; done")
    start = pb.AttachStart(container=container, stdout=True)
    line = Line(stub.Attach, pb.StreamInput(attach=start))
    assert (await line.next()).ready.id == container
    assert (await line.next()).stdout == b"x\n"
    line.call.cancel()

    async def left() -> bool:
        hub = host.containers.engine.entry(container).hub
        return hub is None

    await until(left)
    assert (await host.containers.find(container)).state == "running"


LIMITS = """
cd /sys/fs/cgroup
if [ -e cgroup.controllers ]; then
    cat memory.max pids.max cpu.max cpuset.cpus
else
    cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus
fi
"""


@both
async def test_update_changes_what_runs_and_what_will(host: Host) -> None:
    """Limits of a running container are other ones at once, and stay so with the next start."""
    before = Resources(memory=64 << 20, pids_limit=50, nano_cpus=500_000_000, cpuset_cpus="0")
    container = await host.run("sleep", "86400", resources=before)
    changes = Resources(memory=100 << 20, memory_swap=-1, pids_limit=-1, nano_cpus=250_000_000, cpuset_cpus="0-1")
    assert await host.containers.update(container, changes) == (container, [])

    async def limits() -> list[str]:
        session = await host.containers.execute(container, ExecRequest(command=("sh", "-c", LIMITS)))
        output, _ = await read_all(session)
        assert await session.wait() == 0
        return output.decode().split()

    wanted = ["25000", "100000", "0-1"]
    assert await limits() == [str(100 << 20), str(1 << 22), *wanted]  # as many processes as a kernel can have
    await host.containers.stop(container, 0)
    await host.containers.update(container, Resources(memory=32 << 20), RestartPolicy(name="unless-stopped"))
    await host.containers.start(container)
    assert await limits() == [str(32 << 20), "max", *wanted]
    document = (await host.containers.inspect(container))["HostConfig"]
    assert (document["Memory"], document["MemorySwap"], document["CpusetCpus"]) == (32 << 20, -1, "0-1")
    assert document["RestartPolicy"] == {"Name": "unless-stopped", "MaximumRetryCount": 0}


@both
async def test_what_update_refuses_changes_nothing(host: Host) -> None:
    command = "head -c 20000000 /dev/zero > /dev/shm/used; sleep 86400"
    container = await host.run("sh", "-c", command, resources=Resources(memory=64 << 20))

    async def filled() -> bool:
        session = await host.containers.execute(container, ExecRequest(command=("ls", "-l", "/dev/shm/used")))
        return b"20000000" in (await read_all(session))[0]

    await until(filled)
    row = await host.containers.find(container)
    for given, match in [
        (Resources(memory=6 << 20), "current usage"),
        (Resources(memory=1 << 20), "6MB"),
        (Resources(memory_swap=32 << 20), "memoryswap"),
        (Resources(memory=1 << 30), "memoryswap"),
        (Resources(cpuset_cpus="999"), "not available"),
    ]:
        with pytest.raises(InvalidArgument, match=match):
            await host.containers.update(container, given)
        assert await host.containers.find(container) == row
    with pytest.raises(InvalidArgument, match="unknown policy"):
        await host.containers.update(container, Resources(), RestartPolicy(name="sometimes"))
    with pytest.raises(NotFound):
        await host.containers.update("none", Resources(memory=64 << 20))
