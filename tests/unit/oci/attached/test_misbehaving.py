"""Registries over HTTP that know nothing of what is attached, or refuse to say it, each in its own way."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from jackstay_oci import media_types
from jackstay_oci.attached.asking import ask_registry
from jackstay_oci.attached.gathering import Answer, gather
from jackstay_oci.attached.offer import Offer
from jackstay_oci.digest import Digest
from tests.unit.oci.attached.attachments import IMAGE, manifest
from tests.unit.oci.registry.serving import REPOSITORY, client, refusal, serving
from tests.unit.oci.registry.serving import Answer as Reply

SIGNATURE = manifest(b"signature", None)
TAG = f"/v2/{REPOSITORY}/manifests/sha256-{IMAGE.hex}.sig"


def with_signature(referrers: Reply) -> Reply:
    """Has a signature under its tag, and answers by *referrers* what refers to the image."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == TAG:
            headers = {"Content-Type": media_types.OCI_MANIFEST, "Docker-Content-Digest": Digest.of(SIGNATURE)}
            return web.Response(body=SIGNATURE, headers=headers)
        if "/referrers/" in request.path:
            return await referrers(request)
        return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")

    return answer


async def asked(answer: Reply) -> Answer:
    async with serving(answer) as server, client(server) as registry:
        return await ask_registry(registry, REPOSITORY, IMAGE)


@pytest.mark.parametrize("status", [404, 405])
async def test_one_that_knows_no_referrers_is_no_failure(status: int) -> None:
    async def none(_: web.Request) -> web.StreamResponse:
        return refusal(status, "UNSUPPORTED", "no")

    found = await asked(with_signature(none))
    assert ([offer.kind for offer in found.offers], found.failures) == (["sig"], [])


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
async def test_one_that_refuses_gives_what_it_gives_and_is_named(status: int) -> None:
    async def refused(_: web.Request) -> web.StreamResponse:
        return refusal(status, "NO", "no")

    found = await asked(with_signature(refused))
    assert [offer.kind for offer in found.offers] == ["sig"]
    (failure,) = found.failures
    assert "127.0.0.1" in failure.message
    assert REPOSITORY in failure.message


@pytest.mark.parametrize("body", [b"<html>", b'{"manifests": 1}', b'{"schemaVersion": 2, "config": {}}', b""])
async def test_a_list_that_is_none_is_a_failure(body: bytes) -> None:
    async def nonsense(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Type": media_types.OCI_INDEX})

    found = await asked(with_signature(nonsense))
    assert [offer.kind for offer in found.offers] == ["sig"]
    assert len(found.failures) == 1


async def test_one_that_closes_every_connection() -> None:
    async def closes(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        await asyncio.sleep(0)
        return web.Response()

    found = await asked(closes)
    assert found.offers == []
    assert len(found.failures) == 2


async def test_thousands_of_referrers_are_not_asked_for() -> None:
    """Each named one is of the largest size, and gives other bytes than it was named for."""
    entries = [
        {"mediaType": media_types.OCI_MANIFEST, "digest": Digest.of(b"%d" % number), "size": 1 << 10}
        for number in range(5000)
    ]
    index = json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}).encode()
    given: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if "/referrers/" in request.path:
            return web.Response(body=index, headers={"Content-Type": media_types.OCI_INDEX})
        if "/manifests/sha256:" in request.path:
            given.append(request.path)
            return web.Response(body=SIGNATURE, headers={"Content-Type": media_types.OCI_MANIFEST})
        return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")

    async with serving(answer) as server, client(server) as registry:

        async def ask(about: Digest) -> Answer:
            return await ask_registry(registry, REPOSITORY, about)

        async def read(offer: Offer) -> bytes:
            return (await registry.manifest(REPOSITORY, offer.document.digest)).data

        found = await gather([IMAGE], ask, read)
    assert found.found == ()
    assert len(set(given)) == 64
    assert any("more than 64 manifests" in warning for warning in found.warnings)
