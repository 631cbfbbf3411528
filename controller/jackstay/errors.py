"""Everything that the controller raises: the shared vocabulary, and what only a client of many hosts can meet.

Each error is one clear line that names the thing, with a hint that says what to do about it. :func:`from_status` is
the only place where a gRPC status becomes one of them. Importing this module costs nothing: gRPC and the protocol are
imported when a status is translated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jackstay_oci.errors import (
    AlreadyExists,
    Busy,
    DigestMismatch,
    DiskFull,
    Error,
    InvalidArchive,
    InvalidArgument,
    InvalidDigest,
    InvalidDocument,
    InvalidReference,
    LimitExceeded,
    NotFound,
    RateLimited,
    RegistryFailed,
    Unauthorized,
    Untrusted,
)

if TYPE_CHECKING:
    import grpc.aio

__all__ = [
    "AgentError",
    "AlreadyExists",
    "Busy",
    "Damaged",
    "DigestMismatch",
    "DiskFull",
    "Error",
    "HostTimeout",
    "InvalidArchive",
    "InvalidArgument",
    "InvalidDigest",
    "InvalidDocument",
    "InvalidReference",
    "LimitExceeded",
    "NotFound",
    "RateLimited",
    "RegistryFailed",
    "Unauthorized",
    "Unreachable",
    "UnreachableKind",
    "Untrusted",
    "UsageError",
    "VersionMismatch",
    "from_status",
]

UnreachableKind = Literal["refused", "timeout", "name", "auth", "host-key", "no-agent", "forwarding", "lost"]
"""Why a host could not be talked to.

``refused`` nothing listens, or the way is closed; ``timeout`` no answer in time; ``name`` the name has no address;
``auth`` no key was accepted; ``host-key`` unknown, changed or revoked; ``no-agent`` SSH works, the agent's socket does
not; ``forwarding`` the socket may not be reached by this user or through this SSH server; ``lost`` the connection broke
while in use.
"""

ERROR_METADATA = "jackstay-error-bin"
"""The trailing metadata in which an agent sends a serialized ``ErrorDetail``."""


class UsageError(Error):
    """The command, a file or an argument is not as it must be; nothing was done. Exit code 2."""

    reason = "USAGE"


class Unreachable(Error):
    """A host could not be talked to. ``kind`` tells why, ``reason`` is the same for machines (``HOST_KEY``)."""

    reason: str  # type: ignore[misc]  # here it belongs to the instance

    def __init__(self, message: str, *, hint: str = "", kind: UnreachableKind = "lost") -> None:
        super().__init__(message, hint=hint)
        self.kind: UnreachableKind = kind
        self.reason = kind.upper().replace("-", "_")


class AgentError(Error):
    """What an agent said about a call. ``reason`` is a name of the protocol's ``Reason``."""

    reason: str  # type: ignore[misc]  # here it belongs to the instance

    def __init__(self, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class VersionMismatch(Error):
    """Controller and agent do not speak the same protocol."""

    reason = "VERSION_MISMATCH"


class HostTimeout(Error):
    """A host was reached, but did not finish within the time allowed for its work."""

    reason = "TIMEOUT"


class Damaged(Error):
    """A check of a host's state found something that it did not put right."""

    reason = "DAMAGED"


def from_status(error: grpc.aio.AioRpcError, *, host: str) -> Error:
    """The error that a failed call stands for.

    An agent's own detail wins. Without one, ``UNAVAILABLE`` and ``CANCELLED`` mean that the connection broke
    (:class:`Unreachable`), ``DEADLINE_EXCEEDED`` is :class:`HostTimeout`, ``UNIMPLEMENTED`` an agent older than this
    controller; anything else is an :class:`AgentError` with reason ``INTERNAL``, for it comes from gRPC itself.
    """
    import grpc

    from jackstay_proto.v1 import errors_pb2

    for key, value in error.trailing_metadata() or ():
        if key == ERROR_METADATA and isinstance(value, bytes):
            try:
                detail = errors_pb2.ErrorDetail.FromString(value)
            except Exception:  # noqa: S112  # protobuf's DecodeError; the status is all we have then
                continue
            try:
                reason = errors_pb2.Reason.Name(detail.reason)
            except ValueError:  # a newer agent's reason
                reason = "INTERNAL"
            return AgentError("INTERNAL" if reason == "REASON_UNSPECIFIED" else reason, detail.message, detail.hint)
    code, text = error.code(), " ".join((error.details() or "").split())
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return Unreachable(
            f"the connection to the agent on {host} was lost",
            hint=f"try again; `jackstay host check -H {host}` tells whether the agent runs"
            + (f" ({text})" if text else ""),
            kind="lost",
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return HostTimeout(f"{host} did not answer in time", hint="allow more with --timeout")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return AgentError("UNSUPPORTED", f"the agent on {host} does not know this call", "upgrade the agent there")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return AgentError("LIMIT_EXCEEDED", f"an answer of {host} is too large: {text}")
    return AgentError("INTERNAL", f"the agent on {host} failed: {code.name}: {text}")
