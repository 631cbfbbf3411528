"""Signatures in registries that misbehave, over real HTTP: the image is refused in one clear line, nothing is stored,
and it is pulled from the same registry once that behaves.
"""

from __future__ import annotations

import pytest
from aiohttp import web

from jackstay_agent.errors import Error, RateLimited, RegistryFailed, Unauthorized, Untrusted
from jackstay_agent.images.pulling import Puller
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.registry.authorizing import Authorizer
from jackstay_oci.registry.client import RegistryClient, connect
from jackstay_oci.registry.settings import RegistrySettings
from jackstay_oci.registry.tokens import AnonymousAuthorizer
from jackstay_oci.signatures.finding import tag
from jackstay_oci.signatures.judging import Signature
from tests.unit.agent.images.image_host import ImageHost
from tests.unit.agent.images.test_misbehaving_registries import (
    Misbehaves,
    Shop,
    a_loop,
    cut,
    huge,
    saying,
    too_long,
    too_short,
    wrong_bytes,
)
from tests.unit.oci.registry.serving import QUICK, REPOSITORY, Server, serving
from tests.unit.oci.signatures.signed import Signer, manifest, payload

OURS = Signer()


class SignedShop(Shop):
    """A registry whose image is signed."""

    def sign(self, registry: str) -> Signature:
        signature = OURS.sign(payload(self.digest, f"{registry}/{REPOSITORY}"))
        self.signatures = manifest([signature])
        self.blobs |= {Digest.of(data): data for data in (signature.payload, b"{}")}
        return signature

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        signatures = Digest.of(self.signatures)
        if request.path.rpartition("/")[2] in (tag(self.digest), signatures):
            headers = {"Content-Type": media_types.OCI_MANIFEST, "Docker-Content-Digest": signatures}
            return web.Response(body=self.signatures, headers=headers)
        return await super().__call__(request)


CASES: dict[str, tuple[str, Misbehaves, type[Error], str]] = {
    "other signatures than their digest says": ("manifests", wrong_bytes, Untrusted, "is not signed"),
    "another payload than its digest says": ("blobs", wrong_bytes, Untrusted, "is not signed"),
    "a huge list of signatures": ("manifests", huge, Untrusted, "is not signed"),
    "no list of signatures": ("manifests", saying(404), Untrusted, "is not signed"),
    "no payload": ("blobs", saying(404), Untrusted, "is not signed"),
    "a payload that is too short": ("blobs", too_short, RegistryFailed, "only"),
    "a payload that is cut": ("blobs", cut, RegistryFailed, "broke"),
    "a redirect loop": ("manifests", a_loop, RegistryFailed, "again and again"),
    **{
        f"{status} for {kind}": (kind, saying(status), error, "the registry's reason")
        for kind in ("manifests", "blobs")
        for status, error in (
            (401, Unauthorized),
            (403, Unauthorized),
            (429, RateLimited),
            (500, RegistryFailed),
        )
    },
}


async def pull(host: ImageHost, server: Server) -> None:
    async def quick(registry: str, authorizer: Authorizer) -> RegistryClient:
        return await connect(registry, authorizer, RegistrySettings(certs=()), patience=QUICK, environ={})

    nobody = AnonymousAuthorizer(RegistrySettings(certs=()), patience=QUICK, environ={})
    puller = Puller(host.content, host.receiver, quick)
    await puller.pull(f"{server.name}/{REPOSITORY}:1", nobody, host.steps.append, verify_keys=[OURS.pem])


@pytest.mark.parametrize("name", CASES)
async def test_nothing_is_stored_and_later_the_image(host: ImageHost, name: str) -> None:
    about, misbehaves, kind, says = CASES[name]
    shop, behaves = SignedShop(), False

    async def answer(request: web.Request) -> web.StreamResponse:
        right = await shop(request)
        what = tag(shop.digest) if about == "manifests" else Digest.of(signature.payload)
        return right if behaves or not request.path.endswith(what) else await misbehaves(request, right)

    async with serving(answer) as server:
        signature = shop.sign(server.name)
        with pytest.raises(Error) as raised:
            await pull(host, server)
        error = raised.value
        assert type(error) is kind, error
        assert says in error.message
        assert server.name in error.message
        assert error.hint
        assert len(error.message.splitlines()) == 1
        for table in ("images", "names", "blobs", "leases", "ingests"):
            assert await host.column(f"SELECT 1 FROM {table}") == [], table
        behaves = True
        await pull(host, server)
    await host.whole()


async def test_what_comes_behind_a_payload_is_not_read(host: ImageHost) -> None:
    shop = SignedShop()

    async def answer(request: web.Request) -> web.StreamResponse:
        right = await shop(request)
        return await too_long(request, right) if request.path.endswith(Digest.of(signature.payload)) else right

    async with serving(answer) as server:
        signature = shop.sign(server.name)
        await pull(host, server)
    await host.whole()
