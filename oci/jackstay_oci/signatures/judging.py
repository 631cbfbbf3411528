"""Decides whether an image's signatures satisfy who asks for one. Values in, nothing or an error out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jackstay_oci.digest import Digest
from jackstay_oci.errors import InvalidDocument, Untrusted
from jackstay_oci.signatures.keys import PublicKey
from jackstay_oci.signatures.simple_signing import parse_payload

_SIGN = "sign it with `skopeo copy --sign-by-sigstore-private-key` or `cosign sign --key`, or leave the key away"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature as a registry gave it."""

    payload: bytes
    signature: bytes


def judge(signatures: Sequence[Signature], keys: Sequence[PublicKey], repository: str, digest: Digest) -> None:
    """Accept that one of the signatures is by one of the keys, of this image, and made for this repository.

    *repository* is in full, ``docker.io/library/app``. A payload is read only once a key has confirmed its bytes. What
    tag it was signed under is not compared: an image has several.

    Raises:
        Untrusted: there is none. The message says how near the nearest came.
    """
    image = f"{repository}@{digest}"
    if not signatures:
        raise Untrusted(f"{image} is not signed", hint=_SIGN)
    refused = []
    for signature in signatures:
        key = next((key for key in keys if key.confirms(signature.signature, signature.payload)), None)
        if key is None:
            continue
        why = _refusal(signature.payload, repository, digest)
        if not why:
            return
        refused.append(f"the signature by {key.name} {why}")
    if refused:
        raise Untrusted(f"{image} is not to be trusted: {refused[0]}", hint="have it signed where it is now")
    asked = " or ".join(key.name for key in keys)
    count = f"{len(signatures)} signature" + ("s" if len(signatures) > 1 else "")
    raise Untrusted(f"{image} has {count}, but none by {asked}", hint="check the key, and who signed the image")


def _refusal(payload: bytes, repository: str, digest: Digest) -> str:
    """Why a signature that a key has confirmed does not count; empty when it does."""
    try:
        claim = parse_payload(payload)
    except InvalidDocument as error:
        return f"cannot be understood: {error.message}"
    if claim.digest != digest:
        return f"is for another image, {claim.digest}"
    if claim.reference.name != repository:
        return f"is for another repository, {claim.reference.name}"
    return ""
