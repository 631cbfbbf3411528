"""Digests: the names of bytes.

Guarantees that a ``Digest`` is canonical (``sha256:`` and 64 lower-case hex digits) before anything builds a path or an
address from it. Only sha256 is supported: it is what every engine and registry writes.
"""

from __future__ import annotations

import hashlib
import re
from typing import Protocol

from jackstay_oci.errors import DigestMismatch, InvalidDigest

_CANONICAL = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_SHOWN = 100


class Hash(Protocol):
    """What is used of a ``hashlib`` object."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take more bytes in."""

    def hexdigest(self) -> str:
        """The digest so far, as hex digits."""
        ...


class Digest(str):
    """A canonical digest, ``sha256:<64 hex>``, made by :meth:`parse`, :meth:`of` or :meth:`finish`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Digest:
        """The digest that ``text`` writes.

        Raises:
            InvalidDigest: it is not ``sha256:`` with 64 lower-case hex digits.
        """
        if not isinstance(text, str) or _CANONICAL.fullmatch(text) is None:
            raise InvalidDigest(f"invalid digest {str(text)[:_SHOWN]!r}", hint="a digest is sha256: and 64 hex digits")
        return cls(text)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Digest:
        """The digest of ``data``."""
        return cls("sha256:" + hashlib.sha256(data).hexdigest())

    @classmethod
    def finish(cls, hasher: Hash) -> Digest:
        """The digest of what a sha256 ``hasher`` has taken in; it may take more afterwards."""
        return cls("sha256:" + hasher.hexdigest())

    @property
    def algorithm(self) -> str:
        """Always ``sha256``."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The 64 hex digits."""
        return self.partition(":")[2]


def hasher() -> Hash:
    """A new sha256 hasher."""
    return hashlib.sha256()


def verify(data: bytes | bytearray | memoryview, expected: Digest, *, what: str = "content") -> None:
    """Check that ``data`` is what ``expected`` names.

    Raises:
        DigestMismatch: it is not; the message names ``what``.
    """
    actual = Digest.of(data)
    if actual != expected:
        raise DigestMismatch(f"{what} has digest {actual}, expected {expected}")
