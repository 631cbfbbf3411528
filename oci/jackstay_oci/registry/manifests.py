"""Manifests as registries give them: what they are is found out and checked before anybody believes it."""

from __future__ import annotations

from collections.abc import Mapping

from jackstay_oci import media_types
from jackstay_oci.digest import Digest, verify
from jackstay_oci.documents import Descriptor, parse_manifest, sniff_media_type
from jackstay_oci.errors import DigestMismatch, InvalidDigest, InvalidDocument, RegistryFailed
from jackstay_oci.registry import scopes
from jackstay_oci.registry.registry import Document
from jackstay_oci.registry.sending import Sender

KNOWN = media_types.MANIFESTS | media_types.INDEXES
ACCEPT = ", ".join(sorted(KNOWN))
"""Every media type that is understood; Docker's schema 1 is not among them."""

_BROKEN = "a proxy before the registry may be at fault; else push it again"

_VAGUE = frozenset({"", "application/json", "text/plain", "application/octet-stream"})
"""What servers that know nothing of manifests call them."""


async def resolve(sender: Sender, repository: str, reference: str) -> Descriptor:
    """As `Registry.resolve`, by HEAD where the answer says enough: that counts against no rate limit."""
    reply = await sender.send(
        "HEAD",
        f"{repository}/manifests/{reference}",
        what=f"manifest {shown(repository, reference)}",
        scopes=(scopes.pull(repository),),
        headers={"Accept": ACCEPT},
        ok=(200, 405),
    )
    found = described(reply.headers, reference, sender.registry, repository) if reply.status == 200 else None
    return found or (await manifest(sender, repository, reference)).descriptor


async def manifest(sender: Sender, repository: str, reference: str) -> Document:
    """As `Registry.manifest`."""
    what = f"manifest {shown(repository, reference)}"
    reply = await sender.send(
        "GET",
        f"{repository}/manifests/{reference}",
        what=what,
        scopes=(scopes.pull(repository),),
        headers={"Accept": ACCEPT},
    )
    whence = f"{what} of {sender.registry}"
    try:
        return checked(reply.body, reply.headers, reference, whence)
    except DigestMismatch as error:
        raise DigestMismatch(error.message, hint=_BROKEN) from None
    except InvalidDocument as error:
        raise InvalidDocument(f"{whence}: {error.message}", hint=error.hint or _BROKEN) from None


async def put(sender: Sender, repository: str, reference: str, document: Document) -> bool:
    """As `Registry.put_manifest`: registries with a list of referrers say so by ``OCI-Subject`` (distribution-spec,
    pushing manifests with subject).

    Raises:
        RegistryFailed: the registry has stored something else, or does not take it; the message has its reason.
    """
    what = f"manifest {shown(repository, reference)}"
    reply = await sender.send(
        "PUT",
        f"{repository}/manifests/{reference}",
        what=what,
        scopes=(scopes.push(repository),),
        headers={"Content-Type": document.descriptor.media_type},
        body=document.data,
        ok=(200, 201, 202, 204),
    )
    stored = _header_digest(reply.headers)
    if stored is not None and stored != document.descriptor.digest:
        raise RegistryFailed(
            f"{sender.registry} has stored {what} with digest {stored}, it is another one", hint=_BROKEN
        )
    return "OCI-Subject" in reply.headers


def shown(repository: str, reference: str) -> str:
    """Both, as a reference writes them."""
    return f"{repository}{'@' if ':' in reference else ':'}{reference}"


def named(reference: str) -> Digest | None:
    """The digest that a reference is, or ``None`` for a tag."""
    return Digest.parse(reference) if ":" in reference else None


def described(headers: Mapping[str, str], reference: str, registry: str, repository: str) -> Descriptor | None:
    """The descriptor that the headers of an answer to HEAD are, ``None`` when they say too little.

    Raises:
        RegistryFailed: they name another digest than the one that was asked for.
    """
    digest = _header_digest(headers)
    asked = named(reference)
    if asked is not None and digest is not None and digest != asked:
        raise RegistryFailed(
            f"{registry} says that manifest {shown(repository, reference)} has digest {digest}", hint=_BROKEN
        )
    digest = asked or digest
    media_type, size = _media_type(headers), headers.get("Content-Length", "")
    if digest is None or media_type not in KNOWN or not (size.isascii() and size.isdigit()):
        return None
    return Descriptor(media_type=media_type, digest=digest, size=int(size[:19]))


def checked(data: bytes, headers: Mapping[str, str], reference: str, what: str) -> Document:
    """The document that an answer to GET is.

    Raises:
        DigestMismatch: it is not what *reference*, or the header ``Docker-Content-Digest``, says.
        InvalidDocument: it is malformed, of no known media type, or of another than it says itself.
    """
    expected = named(reference) or _header_digest(headers)
    if expected is not None:
        verify(data, expected, what=what)
    media_type = _media_type(headers)
    if media_type in _VAGUE:
        media_type = sniff_media_type(data)
    parse_manifest(data, media_type)
    return Document(Descriptor(media_type=media_type, digest=expected or Digest.of(data), size=len(data)), data)


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _header_digest(headers: Mapping[str, str]) -> Digest | None:
    try:
        return Digest.parse(headers["Docker-Content-Digest"].strip())
    except (KeyError, InvalidDigest):
        return None
