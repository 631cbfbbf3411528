"""What refers to a manifest: signatures, bills of materials (distribution-spec, listing referrers)."""

from __future__ import annotations

from urllib.parse import quote

from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, parse_manifest
from jackstay_oci.errors import InvalidDocument, LimitExceeded, NotFound, RegistryFailed
from jackstay_oci.media_types import OCI_INDEX
from jackstay_oci.registry import manifests, scopes
from jackstay_oci.registry.listing import next_page
from jackstay_oci.registry.sending import Sender

MAX_PAGES = 100
MAX_FOUND = 1000
"""Referrers after which no further page is asked for."""


def fallback_tag(digest: Digest) -> str:
    """The tag under which an index of referrers lies where a registry does not offer the API."""
    return f"{digest.algorithm}-{digest.hex}"


async def referrers(sender: Sender, repository: str, digest: Digest) -> list[Descriptor]:
    """The descriptors of what refers to *digest*, at least the first `MAX_FOUND`; none when nothing does.

    Raises:
        InvalidDocument: the registry's answer, or what lies under the tag, is no index.
    """
    what = f"referrers of {repository}@{digest}"
    target, found = f"{repository}/referrers/{quote(digest, safe=':')}", list[Descriptor]()
    for page in range(MAX_PAGES):
        reply = await sender.send(
            "GET",
            target,
            what=what,
            scopes=(scopes.pull(repository),),
            headers={"Accept": OCI_INDEX},
            ok=(200, 404, 405),
        )
        # Some registries that know nothing of the API answer any path with a page for people.
        if reply.status != 200 or not reply.headers.get("Content-Type", "").startswith(OCI_INDEX):
            if page:
                raise RegistryFailed(f"{sender.registry} breaks off the list of {what}", hint="try again")
            return await _tagged(sender, repository, digest)
        found += _manifests(reply.body, OCI_INDEX)
        target = next_page(reply)
        if not target or len(found) >= MAX_FOUND:
            return found
    raise LimitExceeded(f"{what} are more than {MAX_PAGES} pages at {sender.registry}")


async def _tagged(sender: Sender, repository: str, digest: Digest) -> list[Descriptor]:
    try:
        document = await manifests.manifest(sender, repository, fallback_tag(digest))
    except NotFound:
        return []
    return _manifests(document.data, document.descriptor.media_type)


def _manifests(data: bytes, media_type: str) -> list[Descriptor]:
    index = parse_manifest(data, media_type)
    if not isinstance(index, Index):
        raise InvalidDocument("the list of referrers is a manifest, expected an index")
    return list(index.manifests)
