"""The one border at which the agent's errors become gRPC statuses, and the agent's log of calls.

Guarantees: every failed call carries an ``ErrorDetail`` in the trailing metadata ``jackstay-error-bin``; what is not of
the error vocabulary is logged with its traceback and told as INTERNAL without details; each call is logged once, with
what, how long, the request's id and the user whom the controller claims; a call whose caller goes away is cancelled
once, whatever gRPC does, and all its generators are closed, so that nothing it held outlives it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import structlog

from jackstay_agent.errors import Error, from_os_error
from jackstay_agent.kernel.threads import cancel_once, to_end
from jackstay_agent.rpc.activity import Activity
from jackstay_proto.v1.errors_pb2 import ErrorDetail, Reason

_log = structlog.get_logger("rpc")

DETAIL = "jackstay-error-bin"

_MESSAGE, _HINT, _STATUS = 2000, 1000, 1000
"""Bytes that are sent of a message and a hint, and of the message again as the status: gRPC drops, by chance, what has
more than 8 KiB in all, and counts each byte of a status three times that is not ASCII."""

_CODES = {
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "ALREADY_EXISTS": grpc.StatusCode.ALREADY_EXISTS,
    "NAME_TAKEN": grpc.StatusCode.ALREADY_EXISTS,
    "PORT_TAKEN": grpc.StatusCode.ALREADY_EXISTS,
    "ADDRESS_TAKEN": grpc.StatusCode.ALREADY_EXISTS,
    "INVALID_ARGUMENT": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_REFERENCE": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_DIGEST": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_DOCUMENT": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_ARCHIVE": grpc.StatusCode.INVALID_ARGUMENT,
    "AMBIGUOUS": grpc.StatusCode.INVALID_ARGUMENT,
    "COMMAND_NOT_FOUND": grpc.StatusCode.INVALID_ARGUMENT,
    "COMMAND_NOT_EXECUTABLE": grpc.StatusCode.INVALID_ARGUMENT,
    "DIGEST_MISMATCH": grpc.StatusCode.DATA_LOSS,
    "LIMIT_EXCEEDED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "DISK_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "IN_USE": grpc.StatusCode.FAILED_PRECONDITION,
    "WRONG_STATE": grpc.StatusCode.FAILED_PRECONDITION,
    "SOURCE_FAILED": grpc.StatusCode.ABORTED,
    "BUSY": grpc.StatusCode.ABORTED,
    "REGISTRY_FAILED": grpc.StatusCode.ABORTED,
    "RATE_LIMITED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "UNAUTHORIZED": grpc.StatusCode.PERMISSION_DENIED,
    "UNTRUSTED": grpc.StatusCode.FAILED_PRECONDITION,
    "REFUSED_BY_POLICY": grpc.StatusCode.FAILED_PRECONDITION,
    "UNSUPPORTED": grpc.StatusCode.UNIMPLEMENTED,
    "PERMISSION_DENIED": grpc.StatusCode.PERMISSION_DENIED,
}


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler; see the module. *activity* is told of every call."""

    def __init__(self, activity: Activity) -> None:
        self._activity = activity

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """See `grpc.aio.ServerInterceptor`."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        if handler.response_streaming:
            inner = handler.stream_stream if handler.request_streaming else handler.unary_stream
            wrapped: Any = _streaming(method, inner, self._activity)
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
        else:
            inner = handler.stream_unary if handler.request_streaming else handler.unary_unary
            wrapped = _unary(method, inner, self._activity)
            make = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_unary_rpc_method_handler
            )
        return make(wrapped, handler.request_deserializer, handler.response_serializer)


def _unary(
    method: str, inner: Callable[[Any, Any], Awaitable[Any]], activity: Activity
) -> Callable[[Any, Any], Awaitable[Any]]:
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        begun = time.monotonic()
        with activity.call():
            try:
                reply = await cancel_once(inner(request, context))
            except BaseException as error:
                await _fail(method, error, context, begun)
                raise
        _tell(method, context, begun, "OK")
        return reply

    return call


def _streaming(
    method: str, inner: Callable[[Any, Any], AsyncGenerator[Any, None]], activity: Activity
) -> Callable[[Any, Any], Awaitable[None]]:
    # Written, not yielded: a generator that gRPC holds while its caller goes away is closed only when it is found
    # forgotten, and with it whatever it holds.
    async def send(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        replies = inner(request, context)
        try:
            async for reply in replies:
                await context.write(reply)
        except grpc.aio.InternalError as error:  # the stream is broken: nobody is there any more
            raise asyncio.CancelledError from error
        finally:
            await to_end(replies.aclose())

    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        begun = time.monotonic()
        with activity.call():
            try:
                await cancel_once(send(request, context))
            except BaseException as error:
                await _fail(method, error, context, begun)
                raise
        _tell(method, context, begun, "OK")

    return call


async def _fail(method: str, error: BaseException, context: grpc.aio.ServicerContext[Any, Any], begun: float) -> None:
    """Abort the call with the status of *error*; returns only for what must go on as it is."""
    if isinstance(error, (asyncio.CancelledError, grpc.aio.AbortError)) or context.cancelled():
        _tell(method, context, begun, "CANCELLED")
        return
    what = method.rpartition("/")[2]
    if isinstance(error, Error):
        told = error
    else:
        _log.error("failure", method=method, request=_metadata(context).get("jackstay-request"), exc_info=error)
        told = (
            from_os_error(error, f"in {what}")
            if isinstance(error, OSError)
            else Error(
                f"the agent failed in {what}", hint="see the agent's log (journalctl -u jackstayd) and report it"
            )
        )
    message, hint = _sendable(told.message, _MESSAGE), _sendable(told.hint, _HINT)
    detail = ErrorDetail(reason=Reason.Value(told.reason), message=message, hint=hint)
    _tell(method, context, begun, told.reason, message)
    await context.abort(
        _CODES.get(told.reason, grpc.StatusCode.INTERNAL),
        _sendable(message, _STATUS),
        ((DETAIL, detail.SerializeToString()),),
    )


def _sendable(text: str, most: int) -> str:
    """*text* as a status can carry it: of *most* bytes, and without what is no Unicode, such as odd file names."""
    data = text.encode("utf-8", "backslashreplace")
    return data.decode() if len(data) <= most else f"{data[:most].decode(errors='ignore')}…"


def _tell(
    method: str, context: grpc.aio.ServicerContext[Any, Any], begun: float, outcome: str, message: str = ""
) -> None:
    metadata = _metadata(context)
    _log.info(
        "call",
        method=method.rpartition(".")[2],
        outcome=outcome,
        seconds=round(time.monotonic() - begun, 4),
        request=metadata.get("jackstay-request"),
        user=metadata.get("jackstay-user"),
        **({"message": message} if message else {}),
    )


def _metadata(context: grpc.aio.ServicerContext[Any, Any]) -> dict[str, Any]:
    return dict(context.invocation_metadata() or ())
