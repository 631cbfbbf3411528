"""The border at which a Python call becomes a gRPC call and a gRPC status an exception.

Every call carries who asks (``jackstay-user``, for the agent's log; the agent does not trust it) and a random
``jackstay-request`` that both sides' logs share. Nothing but :mod:`jackstay.errors` and cancellation comes out.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import grpc
import grpc.aio

from jackstay.errors import Error, from_status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from jackstay.errors import Unreachable

    Metadata = tuple[tuple[str, str], ...]

Request = TypeVar("Request")
Reply = TypeVar("Reply")


class Calls:
    """Makes the calls of one connection. ``broken`` tells what the tunnel knows when a call was lost."""

    def __init__(self, host: str, broken: Callable[[], Unreachable | None] = lambda: None) -> None:
        self._host = host
        self._broken = broken
        self._user = caller()

    async def unary(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Reply], request: Request, timeout: float | None = None
    ) -> Reply:
        """One request, one reply; ``timeout`` in seconds, none: as long as it takes."""
        try:
            return await method(request, timeout=timeout, metadata=self._metadata())
        except grpc.aio.AioRpcError as error:
            raise self.translate(error) from None

    async def stream(
        self, method: grpc.aio.UnaryStreamMultiCallable[Request, Reply], request: Request
    ) -> AsyncGenerator[Reply, None]:
        """One request, many replies. Closing the iterator cancels the call."""
        call = method(request, metadata=self._metadata())
        try:
            async for reply in call:
                yield reply
        except grpc.aio.AioRpcError as error:
            raise self.translate(error) from None
        finally:
            call.cancel()

    def bidi(self, method: grpc.aio.StreamStreamMultiCallable[Request, Reply]) -> BidiCall[Request, Reply]:
        """Requests and replies at the same time."""
        return BidiCall(method(metadata=self._metadata()), self)

    def translate(self, error: grpc.aio.AioRpcError) -> Error:
        """The exception for a failed call; the tunnel's own account replaces a bare "lost"."""
        from jackstay.errors import Unreachable

        found = from_status(error, host=self._host)
        if isinstance(found, Unreachable):
            return self._broken() or found
        return found

    def _metadata(self) -> Metadata:
        return (("jackstay-user", self._user), ("jackstay-request", os.urandom(8).hex()))


class BidiCall(Generic[Request, Reply]):
    """A call with both directions open. Use as an async context manager: leaving it cancels what is still running.

    Writing waits while the agent does not read (back-pressure). One task may write while another iterates.
    """

    def __init__(self, call: grpc.aio.StreamStreamCall[Request, Reply], calls: Calls) -> None:
        self._call = call
        self._calls = calls

    async def write(self, request: Request) -> None:
        """Send one request. Raises the call's error when it has failed; dropped when the agent has ended it well."""
        try:
            await self._call.write(request)
        except grpc.aio.AioRpcError as error:
            raise self._calls.translate(error) from None
        except asyncio.InvalidStateError:
            if not self._call.done():
                raise  # `done_writing` came before: the caller's mistake
            await self._raise_status()

    async def done_writing(self) -> None:
        """Say that no request follows; replies may still come. Allowed when the call has ended."""
        try:
            await self._call.done_writing()
        except asyncio.InvalidStateError:
            pass  # it has ended meanwhile
        except grpc.aio.AioRpcError as error:
            raise self._calls.translate(error) from None

    async def __aiter__(self) -> AsyncIterator[Reply]:
        """The replies, until the agent ends the call."""
        try:
            while (reply := await self._call.read()) is not grpc.aio.EOF:
                yield cast("Reply", reply)
            await self._raise_status()
        except grpc.aio.AioRpcError as error:
            raise self._calls.translate(error) from None

    def cancel(self) -> None:
        """End the call at once, both directions."""
        self._call.cancel()

    async def __aenter__(self) -> BidiCall[Request, Reply]:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cancel()

    async def _raise_status(self) -> None:
        code = await self._call.code()
        if code is not grpc.StatusCode.OK:
            nothing: Any = grpc.aio.Metadata()
            raise self._calls.translate(
                grpc.aio.AioRpcError(
                    code, nothing, await self._call.trailing_metadata() or nothing, details=await self._call.details()
                )
            )


def caller() -> str:
    """``user@host`` of this machine, printable ASCII, as gRPC metadata must be."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name
        user = "?"
    text = f"{user}@{socket.gethostname()}"
    return "".join(c if " " < c < "\x7f" else "?" for c in text)[:128]
