"""The root of the error vocabulary: what agent, controller and OCI library all raise.

An error has a *reason* (machine-readable, a name of the protocol's ``Reason`` enum), a *message* (one line that names
the thing) and a *hint* (what to do about it, or empty). It is raised where the fact is known and translated only at
the borders: to a gRPC status in the agent's interceptor, back in the controller's client, to text and an exit code in
the command line.
"""

from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """Anything that went wrong in a way somebody can be told about; never a programming mistake."""

    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotFound(Error):
    """The named thing does not exist."""

    reason = "NOT_FOUND"


class AlreadyExists(Error):
    """The named thing exists and must not."""

    reason = "ALREADY_EXISTS"


class InvalidArgument(Error):
    """A value is malformed or out of bounds."""

    reason = "INVALID_ARGUMENT"


class InvalidReference(InvalidArgument):
    """An image reference is malformed."""

    reason = "INVALID_REFERENCE"


class InvalidDigest(InvalidArgument):
    """A digest is malformed or of an algorithm that is not supported."""

    reason = "INVALID_DIGEST"


class InvalidDocument(Error):
    """A manifest, index or config is malformed, or is not what its media type says."""

    reason = "INVALID_DOCUMENT"


class InvalidArchive(Error):
    """An archive is truncated, corrupted, hostile, or of no known format."""

    reason = "INVALID_ARCHIVE"


class DigestMismatch(Error):
    """Bytes do not have the digest or the size that names them."""

    reason = "DIGEST_MISMATCH"


class LimitExceeded(Error):
    """A bound was passed: entries, name length, total size, compression ratio. The message names the bound."""

    reason = "LIMIT_EXCEEDED"


class DiskFull(Error):
    """No space or no inodes are left where the bytes must go."""

    reason = "DISK_FULL"


class Unauthorized(Error):
    """A registry wants other credentials than it was given, or grants them nothing here."""

    reason = "UNAUTHORIZED"


class RateLimited(Error):
    """A registry was asked too often."""

    reason = "RATE_LIMITED"


class RegistryFailed(Error):
    """A registry cannot be reached, cannot be trusted, or answers what no registry may answer."""

    reason = "REGISTRY_FAILED"


class Untrusted(Error):
    """An image bears no signature by a key that was asked for."""

    reason = "UNTRUSTED"


class Busy(Error):
    """Somebody else is at work on the same thing; later it may succeed."""

    reason = "BUSY"
