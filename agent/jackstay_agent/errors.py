"""The agent's part of the error vocabulary; the root of it is `jackstay_oci.errors`.

Every class has a `reason` that is a name of the protocol's ``Reason`` enum. They are raised where the fact is known
and turned into gRPC statuses by one interceptor only.
"""

from __future__ import annotations

import errno

from jackstay_oci.errors import (
    AlreadyExists,
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

__all__ = [
    "AddressTaken",
    "AlreadyExists",
    "Ambiguous",
    "Busy",
    "CommandNotExecutable",
    "CommandNotFound",
    "DigestMismatch",
    "DiskFull",
    "Error",
    "InUse",
    "InvalidArchive",
    "InvalidArgument",
    "InvalidDigest",
    "InvalidDocument",
    "InvalidReference",
    "LimitExceeded",
    "NameTaken",
    "NotFound",
    "PolicyRefused",
    "PortTaken",
    "RateLimited",
    "RegistryFailed",
    "RuntimeFailed",
    "SourceFailed",
    "Unauthorized",
    "Unsupported",
    "Untrusted",
    "WrongState",
    "by_reason",
    "from_os_error",
]


class Ambiguous(Error):
    """A short id fits several things."""

    reason = "AMBIGUOUS"


class InUse(Error):
    """Something else needs the thing, so it cannot be removed or changed."""

    reason = "IN_USE"


class WrongState(Error):
    """The container's state forbids the operation."""

    reason = "WRONG_STATE"


class NameTaken(Error):
    """A container of that name exists."""

    reason = "NAME_TAKEN"


class PortTaken(Error):
    """A port of the host is bound by somebody else."""

    reason = "PORT_TAKEN"


class AddressTaken(Error):
    """A network has no free address, or not the one that was asked for."""

    reason = "ADDRESS_TAKEN"


class CommandNotFound(Error):
    """The container's command does not exist in the image: exit code 127."""

    reason = "COMMAND_NOT_FOUND"


class CommandNotExecutable(Error):
    """The container's command cannot be executed: exit code 126."""

    reason = "COMMAND_NOT_EXECUTABLE"


class RuntimeFailed(Error):
    """The OCI runtime, the monitor or another program failed; the message has its own words."""

    reason = "RUNTIME_FAILED"


class SourceFailed(Error):
    """No source could give the bytes."""

    reason = "SOURCE_FAILED"


class Unsupported(Error):
    """This host cannot do that."""

    reason = "UNSUPPORTED"


class PolicyRefused(Error):
    """This host's policy does not let an image be pulled, or not in this way."""

    reason = "REFUSED_BY_POLICY"


class Busy(Error):
    """Another request holds the thing; a retry may succeed."""

    reason = "BUSY"


def by_reason(reason: str) -> type[Error]:
    """The class of *reason*, or `Error` for one that is not known: how an error crosses a process border."""
    return _CLASSES.get(reason, Error)


def from_os_error(error: OSError, doing: str) -> Error:
    """The error that an `OSError` means while *doing* ("unpacking sha256:…"): `DiskFull`, or a general one."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"no space left on the disk while {doing}", hint="free space on the host (jackstay system df), then retry"
        )
    return Error(f"{doing}: {error.strerror or error}")


def _subclasses(base: type[Error]) -> dict[str, type[Error]]:
    found = {base.reason: base}
    for cls in base.__subclasses__():
        found.update(_subclasses(cls))
    return found


_CLASSES = _subclasses(Error)
