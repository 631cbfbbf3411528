"""The client through a real tunnel to a real gRPC agent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest

from jackstay.client import PROTOCOL, AgentClient, connect
from jackstay.client.messages import (
    DiskUsageRequest,
    ExecStart,
    InfoRequest,
    LogsRequest,
    ReadRequest,
    ResolveRequest,
    StreamInput,
    VersionRequest,
)
from jackstay.errors import AgentError, HostTimeout, Unreachable, VersionMismatch


async def test_a_connected_agent_answers_and_learns_who_asks(lab: Any) -> None:
    async with await connect(lab.host(), lab.settings()) as agent:
        assert agent.version.version == "0.0.9"
        assert agent.version.protocol == PROTOCOL
        await agent.system.version(VersionRequest())
    first, second = lab.agent.metadata
    assert "@" in first["jackstay-user"]
    assert first["jackstay-request"] != second["jackstay-request"]
    assert lab.direct == 1  # the probing channel is the one that gRPC used


async def test_local(lab: Any) -> None:
    async with await connect(lab.host(kind="local"), lab.settings()) as agent:
        assert agent.version.os == "linux"


async def test_through_a_session_when_forwarding_is_forbidden(lab: Any) -> None:
    lab.forward = False
    async with await connect(lab.host(), lab.settings()) as agent:
        assert agent.version.version == "0.0.9"
        total = 0
        async for reply in agent.content.read(ReadRequest(digest="sha256:x", length=8 * 1024 * 1024)):
            total += len(reply.data)
        assert total == 8 * 1024 * 1024
    assert lab.dialled == 1


@pytest.mark.parametrize(("protocol", "advice"), [(0, "host upgrade -H web1"), (7, "upgrade jackstay")])
async def test_another_protocol_names_host_versions_and_what_to_do(lab: Any, protocol: int, advice: str) -> None:
    lab.agent.protocol = protocol
    with pytest.raises(VersionMismatch) as caught:
        await connect(lab.host(), lab.settings())
    for part in ("web1", "0.0.9", f"protocol {protocol}", f"protocol {PROTOCOL}"):
        assert part in caught.value.message
    assert advice in caught.value.hint


async def test_an_agent_that_does_not_answer(lab: Any) -> None:
    lab.agent.hang = True
    with pytest.raises(Unreachable) as caught:
        await connect(lab.host(), lab.settings(connect_timeout=1.0))
    assert caught.value.kind == "timeout"


async def test_what_an_agent_says_comes_out_whole(lab: Any) -> None:
    async with await connect(lab.host(), lab.settings()) as agent:
        with pytest.raises(AgentError) as caught:
            await agent.system.info(InfoRequest())
    error = caught.value
    assert (error.reason, error.message, error.hint) == ("NOT_FOUND", "no such thing", "look")


async def test_an_unknown_call_is_unsupported(lab: Any) -> None:
    async with await connect(lab.host(), lab.settings()) as agent:
        with pytest.raises(AgentError) as caught:
            await anext(agent.content.resolve(ResolveRequest(image="x")))
    assert caught.value.reason == "UNSUPPORTED"
    assert "web1" in caught.value.message


async def test_a_call_past_its_time(lab: Any) -> None:
    async with await connect(lab.host(), lab.settings()) as agent:
        with pytest.raises(HostTimeout, match="web1"):
            await agent.system.disk_usage(DiskUsageRequest(), timeout=0.2)


async def test_a_stream_gives_its_replies_and_then_its_error(lab: Any) -> None:
    texts: list[bytes] = []

    async def read(agent: AgentClient) -> None:
        async for reply in agent.containers.logs(LogsRequest(container="c")):
            texts.extend(entry.text for entry in reply.entries)

    async with await connect(lab.host(), lab.settings()) as agent:
        with pytest.raises(AgentError, match="gone"):
            await read(agent)
    assert texts == [b"one\n"]


async def test_both_directions_at_once(lab: Any) -> None:
    seen = []
    async with await connect(lab.host(), lab.settings()) as agent, agent.containers.exec() as call:
        await call.write(StreamInput(exec=ExecStart(container="c")))
        await call.write(StreamInput(stdin=b"hello"))
        await call.done_writing()
        await call.done_writing()
        async for reply in call:
            seen.append(reply.WhichOneof("output"))
        assert seen == ["ready", "stdout", "exit_code"]
        assert reply.exit_code == 5


async def test_writing_to_a_call_that_failed_raises_its_error(lab: Any) -> None:
    async with await connect(lab.host(), lab.settings()) as agent, agent.containers.exec() as call:
        await call.write(StreamInput(exec=ExecStart(container="missing")))
        with pytest.raises(AgentError, match="no missing"):
            async for _ in call:
                pass
        with pytest.raises(AgentError, match="no missing"):
            await call.write(StreamInput(stdin=b"x"))


async def test_a_call_left_early_is_cancelled(lab: Any) -> None:
    async with await connect(lab.host(), lab.settings()) as agent:
        async with agent.containers.exec() as call:
            await call.write(StreamInput(exec=ExecStart(container="c")))
            async for _ in call:
                break
        replies = agent.content.read(ReadRequest(length=512 * 1024 * 1024))
        async for _ in replies:
            break
        await replies.aclose()  # type: ignore[attr-defined]
        await agent.system.version(VersionRequest())


async def test_the_ssh_server_goes_away_during_a_call(lab: Any) -> None:
    async with await connect(lab.host(), lab.settings()) as agent:
        call = asyncio.create_task(agent.system.disk_usage(DiskUsageRequest()))
        await asyncio.sleep(0.3)
        for connection in list(lab.connections):
            connection.abort()
        with pytest.raises(Unreachable) as caught:
            await call
        assert caught.value.kind == "lost"
        assert "SSH connection to web1" in caught.value.message


async def test_the_agent_goes_away_during_a_call_and_stays_away(lab: Any) -> None:
    async with await connect(lab.host(), lab.settings()) as agent:
        call = asyncio.create_task(agent.system.disk_usage(DiskUsageRequest()))
        await asyncio.sleep(0.3)
        await lab.agent.stop()
        with pytest.raises(Unreachable) as caught:
            await call
        assert caught.value.kind in ("lost", "no-agent")
        os.path.exists(lab.agent.socket) and os.unlink(lab.agent.socket)
        for _ in range(50):  # gRPC waits before it connects again
            with pytest.raises(Unreachable) as caught:
                await agent.system.version(VersionRequest())
            if caught.value.kind == "no-agent":
                break
            await asyncio.sleep(0.1)
        assert "jackstayd is not running on web1" in caught.value.message


async def test_an_agent_that_died_and_left_its_socket(lab: Any) -> None:
    lab.forward = False  # the session's program meets the refusal
    await lab.agent.stop()
    os.path.exists(lab.agent.socket) and os.unlink(lab.agent.socket)
    import socket

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(lab.agent.socket)
    with pytest.raises(Unreachable) as caught:
        await connect(lab.host(), lab.settings())
    assert caught.value.kind == "no-agent"
    assert "Connection refused" in caught.value.message


def test_importing_the_client_imports_neither_ssh_nor_grpc() -> None:
    code = "import jackstay.client, jackstay.fleet, jackstay.inventory, sys; print([m for m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("asyncssh", "grpc", "google.protobuf", "ClusterShell", "cryptography"):
        assert f"'{heavy}'" not in done.stdout
