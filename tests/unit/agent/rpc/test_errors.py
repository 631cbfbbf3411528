"""How the agent's errors leave it, and what becomes of a call whose caller goes away."""

# ruff: noqa: N802 - methods are named as in the .proto

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from jackstay_agent import errors
from jackstay_agent.rpc.errors import DETAIL
from jackstay_proto.v1 import images_pb2 as pb
from jackstay_proto.v1.errors_pb2 import ErrorDetail, Reason
from jackstay_proto.v1.images_pb2_grpc import ImagesServicer
from tests.unit.agent.rpc.served import images

Told = tuple[grpc.StatusCode, str, str, str]


class Failing(ImagesServicer):
    """Raises what it was made with, at once and in the middle of a stream."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def Tag(self, request: Any, context: Any) -> Any:
        raise self.error

    async def Save(self, request: Any, context: Any) -> AsyncIterator[bytes]:  # type: ignore[override]
        yield b"x"
        raise self.error


async def told(tmp_path: Path, error: BaseException) -> Told:
    """What a caller is told of *error*: the same by a single reply and by a stream."""

    async def by(call: Callable[[], Any]) -> Told:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call()
        metadata = dict(caught.value.trailing_metadata() or ())
        detail = ErrorDetail.FromString(metadata[DETAIL])  # type: ignore[arg-type]
        status = (caught.value.details() or "").removesuffix("…")
        assert detail.message.startswith(status)
        assert len(status.encode()) >= min(len(detail.message.encode()), 997), "the status tells no less than it can"
        return caught.value.code(), Reason.Name(detail.reason), detail.message, detail.hint

    async with images(tmp_path, Failing(error)) as stub:

        async def stream() -> None:
            pieces = []
            async for reply in stub.Save(pb.SaveRequest()):
                pieces.append(reply.data)
                assert pieces == [b"x"]

        code, reason, message, hint = await by(lambda: stub.Tag(pb.TagRequest()))
        assert await by(stream) == (code, reason, message.replace("in Tag", "in Save"), hint)
        return code, reason, message, hint


def classes() -> list[type[errors.Error]]:
    return [getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)]


@pytest.mark.parametrize("kind", classes())
async def test_every_class_has_a_reason_that_the_protocol_knows(tmp_path: Path, kind: type[errors.Error]) -> None:
    code, reason, message, hint = await told(tmp_path, kind("it is so", hint="do this"))
    assert (reason, message, hint) == (kind.reason, "it is so", "do this")
    assert (code == grpc.StatusCode.INTERNAL) == (kind.reason in ("INTERNAL", "RUNTIME_FAILED"))


async def test_what_is_no_error_of_ours_is_logged_and_not_told(tmp_path: Path) -> None:
    with capture_logs() as logs:
        code, reason, message, _ = await told(tmp_path, KeyError("secret"))
    assert (code, reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in message
    failures = [line for line in logs if line["event"] == "failure"]
    assert [repr(line["exc_info"]) for line in failures] == ["KeyError('secret')"] * 2


async def test_a_full_disk_is_told_as_that_wherever_it_shows(tmp_path: Path) -> None:
    with capture_logs():
        code, reason, message, _ = await told(tmp_path, OSError(28, "No space left on device"))
    assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL")
    assert "no space left" in message


async def test_a_message_fits_a_status_whatever_is_in_it(tmp_path: Path) -> None:
    _, reason, message, hint = await told(tmp_path, errors.NotFound("ä" * 100_000, hint="\udcff\ud800 \0 \n x"))
    assert (reason, len(message)) == ("NOT_FOUND", 1001)
    assert hint == "\\udcff\\ud800 \0 \n x"
    for text in ("ä" * 1000, "語" * 1000, "🐳" * 1000, "x" * 100_000):
        _, reason, message, hint = await told(tmp_path, errors.NotFound(text, hint=text))
        assert (reason, message[:300], hint[:200]) == ("NOT_FOUND", text[:300], text[:200])


async def test_each_call_is_logged_once_with_who_and_what(tmp_path: Path) -> None:
    class Works(ImagesServicer):
        async def Tag(self, request: Any, context: Any) -> pb.TagReply:
            return pb.TagReply()

    with capture_logs() as logs:
        async with images(tmp_path, Works()) as stub:
            await stub.Tag(pb.TagRequest(), metadata=[("jackstay-request", "r1"), ("jackstay-user", "ann@laptop")])
    (line,) = [line for line in logs if line["event"] == "call"]
    assert (line["method"], line["outcome"], line["request"], line["user"]) == ("Images/Tag", "OK", "r1", "ann@laptop")
    assert json.dumps(line)


class Holding(ImagesServicer):
    """A stream that holds something for as long as it runs, in generators within generators."""

    def __init__(self) -> None:
        self.begun = self.held = 0
        self.waiting = asyncio.Event()

    async def _inner(self) -> AsyncIterator[bytes]:
        self.begun += 1
        self.held += 1
        try:
            while True:
                yield bytes(200_000)
                if self.begun % 2:
                    await asyncio.sleep(0.001)
        finally:
            await asyncio.sleep(0)
            self.held -= 1

    def Save(self, request: Any, context: Any) -> AsyncIterator[bytes]:  # type: ignore[override]
        return self._inner()


async def test_callers_who_go_away_at_any_time_have_all_they_held_let_go(tmp_path: Path) -> None:
    service = Holding()
    with capture_logs() as logs:
        async with images(tmp_path, service) as stub:
            for number in range(60):
                call = stub.Save(pb.SaveRequest())
                for _ in range(number % 4):
                    await call.read()  # and no more: the server stands in a write then
                await asyncio.sleep(random.random() * 0.01)
                call.cancel()
            for _ in range(200):
                if not service.held:
                    break
                await asyncio.sleep(0.01)
            assert service.begun > 30
            assert service.held == 0
    assert [line for line in logs if line["event"] != "call"] == []
    assert {line["outcome"] for line in logs} == {"CANCELLED"}
