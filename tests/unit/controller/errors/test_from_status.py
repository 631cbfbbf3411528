"""From a gRPC status to the controller's errors."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest

from jackstay.errors import AgentError, Error, HostTimeout, Unreachable, from_status
from jackstay_proto.v1 import errors_pb2


def status(code: grpc.StatusCode, details: str = "", trailing: Any = ()) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details=details)


def test_every_reason_of_the_protocol_comes_out_by_its_name() -> None:
    for name, number in errors_pb2.Reason.items():
        detail = errors_pb2.ErrorDetail(reason=number, message="m", hint="h").SerializeToString()
        error = from_status(status(grpc.StatusCode.UNAVAILABLE, "x", [("jackstay-error-bin", detail)]), host="web1")
        assert isinstance(error, AgentError)
        assert error.reason == ("INTERNAL" if name == "REASON_UNSPECIFIED" else name)
        assert (error.message, error.hint) == ("m", "h")


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_a_broken_connection_is_unreachable(code: grpc.StatusCode) -> None:
    error = from_status(status(code, "Socket\nclosed"), host="web1")
    assert isinstance(error, Unreachable)
    assert (error.kind, error.reason) == ("lost", "LOST")
    assert "web1" in error.message
    assert "\n" not in error.message + error.hint


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, HostTimeout, "TIMEOUT"),
        (grpc.StatusCode.UNIMPLEMENTED, AgentError, "UNSUPPORTED"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, AgentError, "LIMIT_EXCEEDED"),
        (grpc.StatusCode.UNKNOWN, AgentError, "INTERNAL"),
    ],
)
def test_statuses_of_grpc_itself(code: grpc.StatusCode, kind: type[Error], reason: str) -> None:
    error = from_status(status(code, "why"), host="web1")
    assert type(error) is kind
    assert error.reason == reason
    assert "web1" in error.message


@pytest.mark.parametrize("value", [b"\xff\xff\xff", b"\x08\x01\x12\xff"])
def test_a_detail_that_is_rubbish_does_not_hide_the_status(value: bytes) -> None:
    error = from_status(status(grpc.StatusCode.UNKNOWN, "why", [("jackstay-error-bin", value)]), host="web1")
    assert error.reason == "INTERNAL"
    assert "why" in error.message


def test_a_reason_of_a_newer_agent_is_internal() -> None:
    detail = errors_pb2.ErrorDetail(reason=999, message="new").SerializeToString()  # type: ignore[arg-type]
    error = from_status(status(grpc.StatusCode.UNKNOWN, "", [("jackstay-error-bin", detail)]), host="web1")
    assert (error.reason, error.message) == ("INTERNAL", "new")


def test_reasons_of_unreachable_name_their_kind() -> None:
    assert Unreachable("m", kind="host-key").reason == "HOST_KEY"
    assert Unreachable("m", kind="no-agent").reason == "NO_AGENT"
    assert Error.reason == "INTERNAL"
