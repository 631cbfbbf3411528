"""``/v2/<name>/manifests/<reference>`` and the lists: tags, repositories, referrers."""

from __future__ import annotations

from aiohttp import web

from jackstay_agent.config import Limits
from jackstay_agent.registry_server import answers, pages
from jackstay_agent.registry_server.body import document
from jackstay_agent.registry_server.deleting import Deleter
from jackstay_agent.registry_server.endpoints import Endpoint
from jackstay_agent.registry_server.listing import Listing, names
from jackstay_agent.registry_server.manifests import Manifests, parsed_digest
from jackstay_agent.registry_server.pushing import Pusher
from jackstay_oci import media_types


class ManifestRequests:
    """Answers requests for manifests, and for lists of them."""

    def __init__(
        self, manifests: Manifests, pusher: Pusher, deleter: Deleter, listing: Listing, limits: Limits
    ) -> None:
        self._manifests = manifests
        self._pusher = pusher
        self._deleter = deleter
        self._listing = listing
        self._limits = limits

    async def get(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """The bytes of a manifest; for HEAD without them."""
        found = await self._manifests.get(endpoint.repository, endpoint.argument, request.headers.getall("Accept", ()))
        headers = {"Docker-Content-Digest": str(found.digest), "ETag": f'"{found.digest}"'}
        return answers.document(found.data, headers, media_type=found.media_type)

    async def put(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """Take a manifest."""
        data = await document(request.content, self._limits.document_bytes)
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip()
        put = await self._pusher.put(endpoint.repository, endpoint.argument, kind, data)
        headers = {
            "Location": f"/v2/{endpoint.path}/manifests/{put.digest}",
            "Docker-Content-Digest": str(put.digest),
        }
        if put.subject is not None:
            headers["OCI-Subject"] = str(put.subject)
        return web.Response(status=201, headers=headers)

    async def delete(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """Untag a tag, or delete a manifest with its tags in the repository."""
        await self._deleter.manifest(endpoint.repository, endpoint.argument)
        return answers.empty(202)

    async def tags(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """The tags of a repository."""
        found = await self._listing.tags(endpoint.repository)
        shown, headers = pages.page(found, request.query, f"/v2/{endpoint.path}/tags/list")
        return answers.document(names("tags", shown, name=endpoint.path), headers)

    async def catalogue(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """The repositories."""
        shown, headers = pages.page(await self._listing.repositories(), request.query, "/v2/_catalog")
        return answers.document(names("repositories", shown), headers)

    async def referrers(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """What is about a manifest, which need not be here."""
        subject, kind = parsed_digest(endpoint.argument), request.query.get("artifactType", "")
        body, after = await self._listing.referrers(subject, kind, request.query.get("last", ""))
        headers = {"OCI-Filters-Applied": "artifactType"} if kind else {}
        if after:
            query = {"last": after, **({"artifactType": kind} if kind else {})}
            headers |= pages.link(f"/v2/{endpoint.path}/referrers/{subject}", query)
        return answers.document(body, headers, media_type=media_types.OCI_INDEX)
