"""Lists in pages, referrers by both ways, deletion, and connections that are used again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.errors import InvalidDocument, LimitExceeded, NotFound, RegistryFailed
from jackstay_oci.registry import listing, referring
from jackstay_oci.registry.registry import Document
from tests.unit.oci.registry.serving import REPOSITORY, Answer, Registry, client, refusal, serving


async def listed(names: AsyncIterator[str]) -> list[str]:
    return [name async for name in names]


def paged(key: str, pages: dict[str, tuple[list[str], str]]) -> Answer:
    """Answers by the ``last`` of the query: names, and the ``Link`` header."""

    async def answer(request: web.Request) -> web.StreamResponse:
        names, link = pages[request.query.get("last", "")]
        return web.json_response({key: names}, headers={"Link": link} if link else {})

    return answer


async def test_tags_page_after_page() -> None:
    link = f'</v2/{REPOSITORY}/tags/list?n=2&last=b>; rel="next"'
    pages = {"": (["a", "b"], link), "b": (["c"], "")}
    async with serving(paged("tags", pages)) as server, client(server) as registry:
        assert await listed(registry.tags(REPOSITORY)) == ["a", "b", "c"]
    assert server.seen[0].path == f"/v2/{REPOSITORY}/tags/list?n=1000"


async def test_repositories_page_after_page() -> None:
    pages = {"": (["a/b"], "<?last=x>; rel=next"), "x": (["c"], "")}
    async with serving(paged("repositories", pages)) as server, client(server) as registry:
        assert await listed(registry.repositories()) == ["a/b", "c"]
    assert [seen.path for seen in server.seen] == ["/v2/_catalog?n=1000", "/v2/_catalog?last=x"]


async def test_a_repository_without_tags() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"name": REPOSITORY, "tags": None})

    async with serving(answer) as server, client(server) as registry:
        assert await listed(registry.tags(REPOSITORY)) == []


async def test_pages_on_another_server_are_not_asked_for() -> None:
    async with serving(Registry()) as other:
        pages = {"": (["a"], f"<{other.url}/v2/x>; rel=next")}
        async with serving(paged("tags", pages)) as server, client(server) as registry:
            assert await listed(registry.tags(REPOSITORY)) == ["a"]
    assert not other.seen


async def test_pages_in_a_circle_are_given_up() -> None:
    pages = {"": (["a"], "<?last=x>; rel=next"), "x": (["b"], "<?last=x>; rel=next")}
    async with serving(paged("tags", pages)) as server, client(server) as registry:
        with pytest.raises(RegistryFailed, match="in a circle"):
            await listed(registry.tags(REPOSITORY))


async def test_pages_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_PAGES", 5)

    async def answer(request: web.Request) -> web.StreamResponse:
        number = int(request.query.get("last", "0")) + 1
        return web.json_response({"tags": ["a"]}, headers={"Link": f"<?last={number}>; rel=next"})

    async with serving(answer) as server, client(server) as registry:
        with pytest.raises(LimitExceeded, match="5 pages"):
            await listed(registry.tags(REPOSITORY))


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"tags": 1}', b'{"tags": ["a\\u001b[2J"]}', b'{"tags": ["../x"]}'])
async def test_what_is_no_list_is_refused(body: bytes) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    async with serving(answer) as server, client(server) as registry:
        with pytest.raises(RegistryFailed, match=server.name) as raised:
            await listed(registry.tags(REPOSITORY))
    assert raised.value.message.isprintable()


async def test_no_catalogue() -> None:
    async with serving(Registry()) as server, client(server) as registry:
        with pytest.raises(NotFound, match="catalogue"):
            await listed(registry.repositories())


def index(*digests: str) -> bytes:
    manifests = [{"mediaType": media_types.OCI_MANIFEST, "digest": digest, "size": 1} for digest in digests]
    return json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": manifests}).encode()


SUBJECT, ONE, TWO = (Digest.of(name) for name in (b"subject", b"one", b"two"))


async def test_referrers_by_the_api() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.path == f"/v2/{REPOSITORY}/referrers/{SUBJECT}"
        if "page" in request.query:
            return web.Response(body=index(TWO), headers={"Content-Type": media_types.OCI_INDEX})
        headers = {"Content-Type": media_types.OCI_INDEX, "Link": "<?page=2>; rel=next"}
        return web.Response(body=index(ONE), headers=headers)

    async with serving(answer) as server, client(server) as registry:
        assert [found.digest for found in await registry.referrers(REPOSITORY, SUBJECT)] == [ONE, TWO]


@pytest.mark.parametrize("page", [True, False])
async def test_referrers_by_their_tag_where_there_is_no_api(page: bool) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if "/referrers/" in request.path:
            return web.Response(text="a page for people") if page else refusal(404, "NO", "no")
        assert request.path == f"/v2/{REPOSITORY}/manifests/sha256-{SUBJECT.hex}"
        return web.Response(body=index(ONE), headers={"Content-Type": media_types.OCI_INDEX})

    async with serving(answer) as server, client(server) as registry:
        assert [found.digest for found in await registry.referrers(REPOSITORY, SUBJECT)] == [ONE]


async def test_referrers_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(referring, "MAX_FOUND", 4)

    async def answer(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": media_types.OCI_INDEX, "Link": f"<?page={request.query.get('page', '')}1>; rel=next"}
        return web.Response(body=index(ONE, TWO), headers=headers)

    async with serving(answer) as server, client(server) as registry:
        assert len(await registry.referrers(REPOSITORY, SUBJECT)) == 4
    assert len(server.seen) == 2


@pytest.mark.parametrize("lists", [True, False])
async def test_a_registry_says_whether_it_lists_a_referrer(lists: bool) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=201, headers={"OCI-Subject": SUBJECT} if lists else {})

    document = Document(Registry().descriptor, Registry().manifest)
    async with serving(answer) as server, client(server) as registry:
        assert await registry.put_manifest(REPOSITORY, "1", document) is lists


async def test_no_referrers() -> None:
    async with serving(Registry()) as server, client(server) as registry:
        assert await registry.referrers(REPOSITORY, SUBJECT) == []


async def test_referrers_that_are_no_index_are_refused() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=Registry().manifest, headers={"Content-Type": media_types.OCI_INDEX})

    async with serving(answer) as server, client(server) as registry:
        with pytest.raises(InvalidDocument):
            await registry.referrers(REPOSITORY, SUBJECT)


async def test_deletion() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/1"):
            return refusal(400, "DIGEST_INVALID", "digests only")
        return web.Response(status=202 if request.path.endswith(ONE) else 404)

    async with serving(answer) as server, client(server) as registry:
        await registry.delete(REPOSITORY, ONE)
        with pytest.raises(NotFound):
            await registry.delete(REPOSITORY, TWO)
        with pytest.raises(RegistryFailed, match="deletes no tags") as raised:
            await registry.delete(REPOSITORY, "1")
    assert "by its digest" in raised.value.hint


async def test_one_connection_serves_one_request_after_the_other() -> None:
    """Also when the registry refuses or redirects: a TLS handshake for each would take long."""
    image, connections = Registry(), set()

    async def answer(request: web.Request) -> web.StreamResponse:
        connections.add(request.transport)
        if "/blobs/" in request.path and "moved" not in request.query:
            return web.Response(status=307, text="elsewhere", headers={"Location": f"{request.path}?moved"})
        return await image(request)

    async with serving(answer) as server, client(server) as registry:
        await registry.manifest(REPOSITORY, "1")
        for offset in range(0, 30_000, 10_000):
            pieces = registry.read(REPOSITORY, image.layer_digest, offset, 10_000)
            assert b"".join([piece async for piece in pieces]) == image.layer[offset : offset + 10_000]
        with pytest.raises(NotFound):
            await registry.manifest(REPOSITORY, "2")
        assert await registry.has_blob(REPOSITORY, image.layer_digest)
    assert len(connections) == 1
