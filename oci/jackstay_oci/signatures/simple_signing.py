"""The payload of a signature (containers/image, ``docs/containers-signature.5.md``, with cosign's type).

What is *critical* must be understood in whole: a field more, or another type, and the payload is refused. What is
optional (who signed, when) is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec import Struct

from jackstay_oci.digest import Digest
from jackstay_oci.errors import InvalidDigest, InvalidDocument, InvalidReference
from jackstay_oci.reference import Reference

MAX_PAYLOAD = 64 << 10
"""Largest payload in bytes; what cosign and skopeo write has some 300."""

_TYPE = "cosign container image signature"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a payload says: the image, and the reference that it was signed as, maybe with a tag."""

    digest: Digest
    reference: Reference


class _Identity(Struct, forbid_unknown_fields=True):
    docker_reference: str = msgspec.field(name="docker-reference")


class _Image(Struct, forbid_unknown_fields=True):
    docker_manifest_digest: str = msgspec.field(name="docker-manifest-digest")


class _Critical(Struct, forbid_unknown_fields=True):
    identity: _Identity
    image: _Image
    type: str


class _Payload(Struct, forbid_unknown_fields=True):
    critical: _Critical
    optional: object = None


def parse_payload(payload: bytes) -> Claim:
    """What a payload says, whose bytes a key has confirmed.

    Raises:
        InvalidDocument: it is too large, malformed, of another type, or has critical fields that are not known.
    """
    if len(payload) > MAX_PAYLOAD:
        raise InvalidDocument(f"the payload has {len(payload)} bytes, the bound is {MAX_PAYLOAD}")
    try:
        critical = msgspec.json.decode(payload, type=_Payload).critical
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidDocument(f"the payload is malformed: {error}") from None
    if critical.type != _TYPE:
        raise InvalidDocument(f"the payload is of type {critical.type[:100]!r}, expected {_TYPE!r}")
    try:
        digest = Digest.parse(critical.image.docker_manifest_digest)
        return Claim(digest, Reference.parse(critical.identity.docker_reference))
    except (InvalidDigest, InvalidReference) as error:
        raise InvalidDocument(f"the payload is malformed: {error.message}") from None
