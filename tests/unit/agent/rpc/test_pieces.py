"""Pieces that pass protobuf by: the bytes on the wire are the protocol's, and whatever it allows is read."""

# ruff: noqa: N802 - methods are named as in the .proto

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from jackstay_proto import pieces
from jackstay_proto.v1 import images_pb2 as pb
from jackstay_proto.v1.images_pb2_grpc import ImagesServicer, ImagesStub
from tests.unit.agent.rpc.served import served

SIZES = [0, 1, 127, 128, 16383, 16384, 1 << 20]


@pytest.mark.parametrize("size", SIZES)
def test_it_is_what_protobuf_writes_and_reads(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    message = pieces.encode(data)
    assert message == pb.SaveReply(data=data).SerializeToString()
    assert pieces.decode(message) == data


@given(st.binary(max_size=40) | st.binary(max_size=9).map(lambda rest: b"\x0a" + rest))
@example(b"\x0a")
@example(b"\x0a\x80")
@example(b"\x0a\x80\x80\x80\x80\x00")
@example(b"\x0a\x81\x00x")
def test_it_reads_as_protobuf_reads(message: bytes) -> None:
    try:
        expected = pb.SaveReply.FromString(message).data
    except DecodeError:
        with pytest.raises(DecodeError):
            pieces.decode(message)
    else:
        assert pieces.decode(message) == expected


def test_unknown_fields_and_repeated_ones_are_read() -> None:
    one, two = pieces.encode(b"one"), pieces.encode(b"two")
    assert pieces.decode(one + two) == b"two"
    assert pieces.decode(b"\x12\x01x" + one) == b"one"
    assert pieces.decode(one + b"\x12\x01x") == b"one"
    assert pieces.decode(b"\x12\x01x") == b""


async def test_an_ordinary_client_reads_what_the_agent_serves(tmp_path: Path) -> None:
    class Saves(ImagesServicer):
        async def Save(self, request: Any, context: Any) -> AsyncIterator[bytes]:  # type: ignore[override]
            for size in SIZES:
                yield bytes(size)

    async with served(tmp_path, images=Saves()) as address, grpc.aio.insecure_channel(address) as channel:
        stub: Any = ImagesStub(channel)
        assert [len(reply.data) async for reply in stub.Save(pb.SaveRequest())] == SIZES
