"""What ``Attach`` and ``Exec`` have in common: input, output, signals and sizes of one process over one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from jackstay_agent.containers.attaching import Seat
from jackstay_agent.errors import InvalidArgument, WrongState
from jackstay_agent.rpc.container_messages import size_of
from jackstay_oci import signals
from jackstay_proto.v1 import containers_pb2 as pb


async def first_of(requests: AsyncIterator[pb.StreamInput], kind: str) -> pb.StreamInput:
    """The first of *requests*, which must be of that *kind*. Raises `InvalidArgument`."""
    async for request in requests:
        if request.WhichOneof("input") == kind:
            return request
        break
    raise InvalidArgument(f"the stream does not begin with {kind!r}")


async def carry(
    seat: Seat,
    tty: bool,
    requests: AsyncIterator[pb.StreamInput],
    *,
    stdin: bool,
    size: tuple[int, int] | None,
) -> AsyncGenerator[pb.StreamOutput, None]:
    """Carry input and output of *seat* until its process ends or the caller goes."""
    feeding = asyncio.create_task(_feed(seat, requests, stdin, size))
    try:
        yield pb.StreamOutput(ready=pb.StreamReady(id=seat.id, tty=tty))
        async for stream, data in seat.output():
            yield pb.StreamOutput(stdout=data) if stream == "stdout" else pb.StreamOutput(stderr=data)
        code = await seat.wait()
        yield pb.StreamOutput(detached=True) if code is None else pb.StreamOutput(exit_code=code)
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])
        if not feeding.cancelled():
            feeding.exception()  # taken: the process has ended, or who sent the input has gone
        await asyncio.shield(seat.leave())


async def _feed(seat: Seat, requests: AsyncIterator[pb.StreamInput], stdin: bool, size: tuple[int, int] | None) -> None:
    if size is not None:
        await _resize(seat, size)
    async for request in requests:
        kind = request.WhichOneof("input")
        if kind == "stdin" and stdin:
            await seat.write(request.stdin)
        elif kind == "stdin_closed" and stdin:
            await seat.close_stdin()
        elif kind == "resize":
            await _resize(seat, size_of(request.resize))
        elif kind == "signal":
            await seat.signal(signals.parse(request.signal))


async def _resize(seat: Seat, size: tuple[int, int]) -> None:
    try:
        await seat.resize(*size)
    except WrongState:
        return  # it has just ended
