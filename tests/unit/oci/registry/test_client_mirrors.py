"""Mirrors come first, the registry itself behind them, and only the registry is written to."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.errors import InvalidArgument, NotFound
from jackstay_oci.registry.client import RegistryClient, connect
from jackstay_oci.registry.settings import RegistrySettings
from jackstay_oci.registry.tokens import AnonymousAuthorizer
from tests.unit.oci.registry.serving import REPOSITORY, Registry, Server, client, refusal, serving


def mirrored(server: Server, *mirrors: str) -> RegistrySettings:
    return RegistrySettings(certs=(), mirrors={server.name: mirrors})


async def test_a_mirror_gives_all_that_it_has() -> None:
    image = Registry()
    async with serving(image) as mirror, serving(image) as server:
        async with client(server, settings=mirrored(server, mirror.url)) as registry:
            assert (await registry.manifest(REPOSITORY, "1")).descriptor == image.descriptor
            pieces = registry.read(REPOSITORY, image.layer_digest, 0, 10)
            assert b"".join([piece async for piece in pieces]) == image.layer[:10]
    assert not server.seen
    assert mirror.seen[0].path == f"/v2/{REPOSITORY}/manifests/1?ns={server.name.replace(':', '%3A')}"


async def test_a_mirror_below_a_path() -> None:
    image = Registry()

    async def below(request: web.Request) -> web.StreamResponse:
        assert request.path == f"/v2/hub/{REPOSITORY}/manifests/1"
        return web.Response(body=image.manifest, headers={"Content-Type": image.manifest_type})

    async with serving(below) as mirror, serving(image) as server:
        async with client(server, settings=mirrored(server, f"{mirror.url}/v2/hub")) as registry:
            await registry.manifest(REPOSITORY, "1")
    assert not server.seen


@pytest.mark.parametrize("status", [401, 403, 429, 500])
async def test_a_mirror_that_fails_is_left_out_from_then_on(status: int) -> None:
    async def failing(_: web.Request) -> web.StreamResponse:
        return refusal(status, "NO", "no")

    image = Registry()
    async with serving(failing) as mirror, serving(image) as server:
        async with client(server, settings=mirrored(server, mirror.url)) as registry:
            await registry.manifest(REPOSITORY, "1")
            asked = len(mirror.seen)
            await registry.manifest(REPOSITORY, "1")
    assert len(mirror.seen) == asked
    assert len(server.seen) == 2


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_a_mirror_that_knows_no_referrers_gives_the_rest(status: int) -> None:
    image = Registry()
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}
    entry = {"mediaType": media_types.OCI_MANIFEST, "digest": Digest.of(b"signature"), "size": 1}

    async def knows_none(request: web.Request) -> web.StreamResponse:
        return refusal(status, "NO", "no") if "/referrers/" in request.path else await image(request)

    async def knows(request: web.Request) -> web.StreamResponse:
        if "/referrers/" in request.path:
            headers = {"Content-Type": media_types.OCI_INDEX}
            return web.Response(body=json.dumps({**index, "manifests": [entry]}).encode(), headers=headers)
        return await image(request)

    async with serving(knows_none) as mirror, serving(knows) as server:
        async with client(server, settings=mirrored(server, mirror.url)) as registry:
            (found,) = await registry.referrers(REPOSITORY, image.digest)
            assert found.digest == Digest.of(b"signature")
            await registry.manifest(REPOSITORY, "1")
    assert [seen.path.partition("?")[0] for seen in server.seen] == [f"/v2/{REPOSITORY}/referrers/{image.digest}"]


async def test_a_mirror_that_only_lacks_something_is_asked_again() -> None:
    async def empty(_: web.Request) -> web.StreamResponse:
        return refusal(404, "MANIFEST_UNKNOWN", "no")

    async with serving(empty) as mirror, serving(Registry()) as server:
        async with client(server, settings=mirrored(server, mirror.url)) as registry:
            for _ in range(2):
                await registry.manifest(REPOSITORY, "1")
            with pytest.raises(NotFound):
                await registry.manifest(REPOSITORY, "2")
    assert len(mirror.seen) == 3


async def test_a_mirror_that_lies_is_not_believed() -> None:
    image = Registry()

    async def lying(_: web.Request) -> web.StreamResponse:
        return web.Response(body=image.manifest + b" ", headers={"Content-Type": image.manifest_type})

    async with serving(lying) as mirror, serving(image) as server:
        async with client(server, settings=mirrored(server, mirror.url)) as registry:
            assert (await registry.manifest(REPOSITORY, image.digest)).data == image.manifest


async def test_the_next_server_goes_on_where_a_mirror_broke_off() -> None:
    image = Registry()

    async def broken(request: web.Request) -> web.StreamResponse:
        if request.headers["Range"] != f"bytes=0-{len(image.layer) - 1}":
            return refusal(500, "NO", "no")
        response = web.StreamResponse(headers={"Content-Length": str(len(image.layer))})
        await response.prepare(request)
        await response.write(image.layer[:1000])
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(broken) as mirror, serving(image) as server:
        async with client(server, settings=mirrored(server, mirror.url)) as registry:
            pieces = registry.read(REPOSITORY, image.layer_digest, 0, len(image.layer))
            assert b"".join([piece async for piece in pieces]) == image.layer
    assert [seen.range for seen in server.seen] == [f"bytes=1000-{len(image.layer) - 1}"]


async def test_mirrors_whose_bytes_proved_wrong_are_left_out() -> None:
    image, other = Registry(), Registry(bytes(200_000))
    other.blobs[image.layer_digest] = bytes(200_000)

    async def all_of_it(registry: RegistryClient) -> bytes:
        pieces = registry.read(REPOSITORY, image.layer_digest, 0, len(image.layer))
        return b"".join([piece async for piece in pieces])

    async with serving(other) as wrong, serving(image) as good, serving(image) as server:
        async with client(server, settings=mirrored(server, wrong.url, good.url)) as registry:
            assert await all_of_it(registry) == bytes(200_000)
            assert not registry.distrust(Digest.of(b"another"))
            assert registry.distrust(image.layer_digest)
            assert await all_of_it(registry) == image.layer
            assert registry.distrust(image.layer_digest)
            assert await all_of_it(registry) == image.layer
            assert not registry.distrust(image.layer_digest)  # it was the registry itself
    assert [len(each.seen) for each in (wrong, good, server)] == [1, 1, 1]


async def test_a_mirror_that_is_not_there_hinders_nobody() -> None:
    async with serving(Registry()) as gone:
        url = gone.url
    async with serving(Registry()) as server:
        async with client(server, settings=mirrored(server, url)) as registry:
            await registry.manifest(REPOSITORY, "1")


async def test_writing_goes_to_the_registry_itself() -> None:
    async with serving(Registry()) as mirror, serving(Registry()) as server:
        async with client(server, settings=mirrored(server, mirror.url)) as registry:
            assert not await registry.has_blob(REPOSITORY, Digest.of(b"missing"))
    assert not mirror.seen


async def test_a_mirror_that_cannot_be_is_told_before_anything_is_asked() -> None:
    settings = RegistrySettings(certs=(), mirrors={"registry.test": ("http://127.0.0.1:1", "http://mirror.example")})
    with pytest.raises(InvalidArgument, match="not encrypted"):
        await connect("registry.test", AnonymousAuthorizer(), settings)
