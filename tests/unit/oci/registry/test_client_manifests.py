"""Manifests from registries that lie, refuse, or are out of order: each an error that says what to do."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from aiohttp import web

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import MAX_DOCUMENT
from jackstay_oci.errors import (
    DigestMismatch,
    InvalidDocument,
    LimitExceeded,
    NotFound,
    RateLimited,
    RegistryFailed,
    Unauthorized,
)
from tests.unit.oci.registry.serving import QUICK, REPOSITORY, Registry, Server, client, refusal, serving


def manifest(body: bytes, media_type: str = media_types.OCI_MANIFEST, digest: str = "") -> web.Response:
    headers = {"Content-Type": media_type} | ({"Docker-Content-Digest": digest} if digest else {})
    return web.Response(body=body, headers=headers)


async def asked(answer: object, reference: str = "1") -> tuple[object, Server]:
    """What comes of asking for a manifest, and the server that was asked."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(request) if callable(answer) else answer  # type: ignore[no-any-return, return-value]

    async with serving(handle) as server, client(server) as registry:
        try:
            return await registry.manifest(REPOSITORY, reference), server
        except Exception as error:
            return error, server


async def test_a_manifest_by_tag_and_by_digest() -> None:
    image = Registry()
    async with serving(image) as server, client(server) as registry:
        for reference in ("1", image.digest):
            document = await registry.manifest(REPOSITORY, reference)
            assert (document.descriptor, document.data) == (image.descriptor, image.manifest)
            assert await registry.resolve(REPOSITORY, reference) == image.descriptor
    assert [seen.method for seen in server.seen] == ["GET", "HEAD", "GET", "HEAD"]


async def test_a_registry_that_says_too_little_to_head_is_asked_for_the_whole() -> None:
    image = Registry(manifest_type="application/json")
    async with serving(image) as server, client(server) as registry:
        assert await registry.resolve(REPOSITORY, "1") == image.descriptor
    assert [seen.method for seen in server.seen] == ["HEAD", "GET"]


@pytest.mark.parametrize("reference", ["1", Registry().digest])
async def test_another_digest_is_refused(reference: str) -> None:
    other = Registry().manifest + b" "
    said = "" if ":" in reference else Registry().digest
    error, server = await asked(lambda _: manifest(other, digest=said), reference)
    assert isinstance(error, DigestMismatch)
    assert server.name in error.message
    assert REPOSITORY in error.message


async def test_head_that_names_another_digest_than_asked_is_refused() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return manifest(Registry().manifest, digest=Digest.of(b"another"))

    async with serving(answer) as server, client(server) as registry:
        with pytest.raises(RegistryFailed):
            await registry.resolve(REPOSITORY, Registry().digest)


async def test_a_manifest_that_is_also_an_index_is_refused() -> None:
    both = json.dumps(json.loads(Registry().manifest) | {"manifests": []}).encode()
    error, server = await asked(lambda _: manifest(both))
    assert isinstance(error, InvalidDocument)
    assert server.name in error.message
    assert "two different things" in error.message


@pytest.mark.parametrize("media_type", [media_types.OCI_INDEX, media_types.DOCKER_MANIFEST, "text/html", "image/png"])
async def test_another_media_type_than_the_document_has_is_refused(media_type: str) -> None:
    error, _ = await asked(lambda _: manifest(Registry().manifest, media_type))
    assert isinstance(error, InvalidDocument)


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "application/octet-stream"])
async def test_a_server_that_knows_nothing_of_manifests_is_helped(media_type: str) -> None:
    document, _ = await asked(lambda _: manifest(Registry().manifest, f"{media_type}; charset=utf-8"))
    assert getattr(document, "descriptor", None) == Registry().descriptor


async def test_a_huge_manifest_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": media_types.OCI_MANIFEST})
        await response.prepare(request)
        while True:
            await response.write(b" " * (1 << 16))
            sent += 1 << 16

    async with serving(endless) as server, client(server) as registry:
        with pytest.raises(LimitExceeded, match=str(MAX_DOCUMENT)):
            await registry.manifest(REPOSITORY, "1")
    assert sent < 8 * MAX_DOCUMENT


async def test_a_body_shorter_than_it_says_is_asked_for_again() -> None:
    image, tries = Registry(), 0

    async def cut(request: web.Request) -> web.StreamResponse:
        nonlocal tries
        tries += 1
        if tries > 1:
            return await image(request)
        response = web.StreamResponse(headers={"Content-Length": str(len(image.manifest))})
        await response.prepare(request)
        await response.write(image.manifest[:10])
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(cut) as server, client(server) as registry:
        assert (await registry.manifest(REPOSITORY, "1")).data == image.manifest
    assert tries == 2


REFUSALS = [(401, Unauthorized, 1), (403, Unauthorized, 1), (404, NotFound, 1), (418, RegistryFailed, 1)]
BROKEN = [(status, RegistryFailed, QUICK.attempts) for status in (500, 502, 503, 504)]


@pytest.mark.parametrize(("status", "kind", "requests"), [*REFUSALS, *BROKEN])
async def test_refusals_name_the_registry_the_repository_and_what_to_do(
    status: int, kind: type[Exception], requests: int
) -> None:
    error, server = await asked(lambda _: refusal(status, "DENIED", "because\x1b[2J of\nthis" + "!" * 1000))
    assert type(error) is kind
    assert server.name in error.message  # type: ignore[attr-defined]
    assert f"{REPOSITORY}:1" in error.message  # type: ignore[attr-defined]
    assert "because [2J of this!!!" in error.message  # type: ignore[attr-defined]
    assert len(error.message) < 500  # type: ignore[attr-defined]
    assert error.hint  # type: ignore[attr-defined]
    assert len(server.seen) == requests


async def test_too_often_is_told_as_such_and_docker_hubs_limit_is_not_waited_for() -> None:
    error, server = await asked(lambda _: refusal(429, "TOOMANYREQUESTS", "You have reached your pull rate limit"))
    assert isinstance(error, RateLimited)
    assert "You have reached your pull rate limit" in error.message
    assert "log in" in error.hint
    assert len(server.seen) == 1


@pytest.mark.parametrize(("asks", "requests"), [("0", 3), ("3600", 1)])
async def test_a_short_wait_that_is_asked_for_is_waited_a_long_one_is_not(asks: str, requests: int) -> None:
    error, server = await asked(lambda _: refusal(429, "TOOMANYREQUESTS", "slowly", {"Retry-After": asks}))
    assert isinstance(error, RateLimited)
    assert len(server.seen) == requests


async def test_what_comes_right_later_is_no_error() -> None:
    image, answers = Registry(), [503, 429, 200]

    async def answer(request: web.Request) -> web.StreamResponse:
        status = answers.pop(0)
        return await image(request) if status == 200 else refusal(status, "X", "later", {"Retry-After": "0"})

    async with serving(answer) as server, client(server) as registry:
        assert (await registry.manifest(REPOSITORY, "1")).data == image.manifest


async def test_where_nothing_listens() -> None:
    async with serving(Registry()) as server:
        name = server.name
    async with client(name) as registry:
        with pytest.raises(RegistryFailed, match=f"nothing listens at {name}") as raised:
            await registry.manifest(REPOSITORY, "1")
    assert raised.value.hint


async def test_a_server_that_never_answers_is_given_up() -> None:
    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(silent) as server, client(server, patience=replace(QUICK, idle=0.05)) as registry:
        with pytest.raises(RegistryFailed, match="does not answer"):
            await registry.manifest(REPOSITORY, "1")
    assert len(server.seen) == QUICK.attempts


async def test_a_document_that_trickles_is_given_up() -> None:
    async def trickling(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    async with serving(trickling) as server, client(server, patience=replace(QUICK, document=0.1)) as registry:
        with pytest.raises(RegistryFailed, match="does not answer"):
            await registry.manifest(REPOSITORY, "1")
