"""The server: its socket's folder, and callers that vanish without a word."""

# ruff: noqa: N802 - methods are named as in the .proto

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from jackstay_agent.config import Config
from jackstay_agent.rpc import server as rpc_server
from jackstay_proto.v1 import images_pb2 as pb
from jackstay_proto.v1.images_pb2_grpc import ImagesServicer, ImagesStub
from tests.unit.agent.rpc.served import config, served


async def test_the_folder_is_for_root_and_a_group_and_a_dead_agents_socket_is_taken_away(tmp_path: Path) -> None:
    settings = config(tmp_path)
    await asyncio.to_thread(rpc_server.prepare_folder, settings)
    Path(settings.socket).touch()
    async with served(tmp_path):
        assert stat.S_IMODE(os.stat(Path(settings.socket).parent).st_mode) == 0o750
        status = os.stat(settings.socket)
        assert (stat.S_ISSOCK(status.st_mode), stat.S_IMODE(status.st_mode)) == (True, 0o660)


async def test_the_run_folder_is_closed_to_others_and_a_foreign_one_stays_as_it_is(tmp_path: Path) -> None:
    for name, mode in (("run", 0o750), ("foreign", 0o777)):
        settings = Config(run=str(tmp_path / "run"), socket=str(tmp_path / name / "s"))
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
        await asyncio.to_thread(rpc_server.prepare_folder, settings)
        assert stat.S_IMODE(os.stat(tmp_path / name).st_mode) == mode


async def test_lists_may_be_large_and_nothing_is_larger_than_the_bound(tmp_path: Path) -> None:
    class Large(ImagesServicer):
        async def Inspect(self, request: Any, context: Any) -> pb.InspectImageReply:
            return pb.InspectImageReply(document="x" * int(request.image))

    async with served(tmp_path, images=Large()) as address:
        options = [("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            stub: Any = ImagesStub(channel)
            assert len((await stub.Inspect(pb.InspectImageRequest(image="15000000"))).document) == 15_000_000
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Inspect(pb.InspectImageRequest(image="17000000"))
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


class Wire:
    """Carries bytes between a caller and the server until it is frozen, as a network does whose cable is pulled."""

    def __init__(self, target: str) -> None:
        self.moving = asyncio.Event()
        self.moving.set()
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def at(self, path: Path) -> AsyncIterator[str]:
        server = await asyncio.start_unix_server(self._carry, path)
        try:
            yield f"unix:{path}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._target)
        for source, target in ((reader, back), (there, writer)):
            self._tasks.add(asyncio.create_task(self._pump(source, target)))

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(1 << 16):
                await self.moving.wait()
                target.write(data)
                await target.drain()
        finally:
            target.close()


class Waiting(ImagesServicer):
    """Notes when a call ends."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def Fetch(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[pb.FetchReply]:
        self.begun.set()
        try:
            yield pb.FetchReply()
            await asyncio.sleep(600)
        finally:
            self.ended.set()


async def test_a_caller_that_vanishes_is_noticed_and_one_that_is_silent_is_not_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc_server, "KEEPALIVE", 1)
    monkeypatch.setattr(rpc_server, "ANSWER", 1)
    service = Waiting()
    async with served(tmp_path, images=service) as address:
        wire = Wire(address.removeprefix("unix:"))
        async with wire.at(tmp_path / "wire") as through, grpc.aio.insecure_channel(through) as channel:
            stub: Any = ImagesStub(channel)
            call = stub.Fetch()
            await call.read()
            await asyncio.sleep(4)  # silent, but there
            assert not service.ended.is_set()
            wire.moving.clear()
            await asyncio.wait_for(service.ended.wait(), 10)
            call.cancel()


async def test_a_caller_whose_answer_is_long_on_its_way_is_not_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rpc_server.ANSWER > 4 * rpc_server.KEEPALIVE
    monkeypatch.setattr(rpc_server, "KEEPALIVE", 1)
    monkeypatch.setattr(rpc_server, "ANSWER", 20)
    service = Waiting()
    async with served(tmp_path, images=service) as address:
        wire = Wire(address.removeprefix("unix:"))
        async with wire.at(tmp_path / "wire") as through, grpc.aio.insecure_channel(through) as channel:
            stub: Any = ImagesStub(channel)
            call = stub.Fetch()
            await call.read()
            wire.moving.clear()
            await asyncio.sleep(4)
            wire.moving.set()
            await asyncio.sleep(0.5)
            assert not service.ended.is_set()
            call.cancel()
