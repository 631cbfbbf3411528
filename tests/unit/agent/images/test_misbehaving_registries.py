"""Pulls from registries that misbehave, over real HTTP: one clear error, nothing half stored, and the image from the
same registry once it behaves.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from jackstay_agent.errors import (
    DigestMismatch,
    DiskFull,
    Error,
    InvalidArchive,
    InvalidDocument,
    LimitExceeded,
    NotFound,
    RateLimited,
    RegistryFailed,
    Unauthorized,
    Unsupported,
)
from jackstay_agent.fetch.blob import ingest_of
from jackstay_agent.images.pulling import Puller
from jackstay_agent.images.receiving import LAYERS_AT_ONCE
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.rpc.pulling import pull
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import MAX_DOCUMENT
from jackstay_oci.registry.authorizing import Authorizer
from jackstay_oci.registry.client import RegistryClient, connect
from jackstay_oci.registry.settings import RegistrySettings
from jackstay_oci.registry.tokens import AnonymousAuthorizer
from jackstay_proto.v1 import images_pb2 as pb
from tests.registries.authority import Authority
from tests.unit.agent.images.image_host import ImageHost, Made, tar
from tests.unit.oci.registry.serving import QUICK, REPOSITORY, Registry, Server, refusal, serving
from tests.unit.oci.registry.test_client_tls import context

A, B = tar({"a": bytes(range(256)) * 2000}), tar({"b": b"b"})


class Shop(Registry):
    """A registry that has one image of two layers under the tag ``1``, and does all as it should."""

    def __init__(self, made: Made | None = None) -> None:
        made = made or Made([A, B])
        root = made.root
        self.ranges = True
        self.manifest_type = root.media_type
        self.blobs = made.blobs
        self.digest = root.digest
        self.manifest = made.blobs[root.digest]


Misbehaves = Callable[[web.Request, web.StreamResponse], Awaitable[web.StreamResponse]]
"""Makes something else of the right answer to a request."""


def about(kind: str, misbehaves: Misbehaves) -> Misbehaves:
    """Right but for what is asked of *kind*: ``manifests``, ``blobs``, or one blob by its digest."""

    async def answer(request: web.Request, right: web.StreamResponse) -> web.StreamResponse:
        return await misbehaves(request, right) if f"/{kind}" in request.path else right

    return answer


def changed(right: web.StreamResponse, body: bytes | None = None, **headers: str) -> web.Response:
    assert isinstance(right, web.Response)
    assert isinstance(right.body, bytes)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in right.headers.items() if name != "Content-Length"}
    return web.Response(status=right.status, body=right.body if body is None else body, headers={**kept, **headers})


def other_bytes(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


async def wrong_bytes(_: web.Request, right: web.StreamResponse) -> web.StreamResponse:
    return changed(right, other_bytes(right.body))  # type: ignore[attr-defined]


async def too_short(request: web.Request, right: web.StreamResponse) -> web.StreamResponse:
    whole = right.body[:-10]  # type: ignore[attr-defined]
    return changed(right, whole)


async def too_long(_: web.Request, right: web.StreamResponse) -> web.StreamResponse:
    return changed(right, right.body + b"more")  # type: ignore[attr-defined]


async def other_media_type(_: web.Request, right: web.StreamResponse) -> web.StreamResponse:
    return changed(right, Content_Type=media_types.OCI_INDEX)


async def also_an_index(_: web.Request, right: web.StreamResponse) -> web.StreamResponse:
    body = right.body[:-1] + b',"manifests":[]}'  # type: ignore[attr-defined]
    return changed(right, body, Docker_Content_Digest=str(Digest.of(body)))


async def huge(_: web.Request, right: web.StreamResponse) -> web.StreamResponse:
    return changed(right, right.body + b" " * MAX_DOCUMENT)  # type: ignore[attr-defined]


async def a_loop(request: web.Request, _: web.StreamResponse) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": request.path})


async def cut(request: web.Request, right: web.StreamResponse) -> web.StreamResponse:
    """Half of what it has yet to give, and then no more of it whoever asks."""
    body: bytes = right.body  # type: ignore[attr-defined]
    begun = web.StreamResponse(status=right.status, headers={**right.headers, "Content-Length": str(len(body))})
    await begun.prepare(request)
    if request.headers.get("Range", "").startswith("bytes=0-"):
        await begun.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return begun


def saying(status: int, code: str = "DENIED", **headers: str) -> Misbehaves:
    async def answer(_: web.Request, right: web.StreamResponse) -> web.StreamResponse:
        return refusal(status, code, "the registry's reason", headers)

    return answer


RESUMED = (RegistryFailed, NotFound, Unauthorized, RateLimited, DiskFull)
"""After these a next try goes on with what came whole."""

LAYER = f"blobs/{Digest.of(A)}"
CASES: dict[str, tuple[Misbehaves, type[Error], str]] = {
    "manifest of another digest": (about("manifests", wrong_bytes), DigestMismatch, "manifest"),
    "layer of another digest": (about(LAYER, wrong_bytes), DigestMismatch, Digest.of(A)),
    "config of another digest": (about("blobs", wrong_bytes), DigestMismatch, "wrong bytes"),
    "manifest too short": (about("manifests", too_short), DigestMismatch, "manifest"),
    "layer too short": (about(LAYER, too_short), RegistryFailed, "only"),
    "another media type": (about("manifests", other_media_type), InvalidDocument, "its descriptor says"),
    "a manifest that is also an index": (about("manifests", also_an_index), InvalidDocument, "two different things"),
    "a huge manifest": (about("manifests", huge), LimitExceeded, str(MAX_DOCUMENT)),
    "a redirect loop": (about("manifests", a_loop), RegistryFailed, "again and again"),
    "a redirect loop of a layer": (about(LAYER, a_loop), RegistryFailed, "again and again"),
    "a layer cut in the middle": (about(LAYER, cut), RegistryFailed, "broke"),
    **{
        f"{status} for {kind.partition('/')[0]}": (about(kind, saying(status)), error, "the registry's reason")
        for kind in ("manifests", LAYER)
        for status, error in (
            (401, Unauthorized),
            (403, Unauthorized),
            (404, NotFound),
            (429, RateLimited),
            (500, RegistryFailed),
            (503, RegistryFailed),
        )
    },
    "asked to wait too long": (about(LAYER, saying(429, Retry_After="3600")), RateLimited, "too often"),
}


@dataclass
class Pulling:
    """A host, and pulls of it from servers that are in this process."""

    host: ImageHost
    certs: tuple[str, ...] = ()

    def puller(self, mirrors: tuple[str, ...] = ()) -> Puller:
        """One over HTTP that loses patience quickly."""

        async def quick(registry: str, authorizer: Authorizer) -> RegistryClient:
            settings = RegistrySettings(certs=self.certs, mirrors={registry: mirrors})
            return await connect(registry, authorizer, settings, patience=QUICK, environ={})

        return Puller(self.host.content, self.host.receiver, quick)

    async def __call__(self, server: Server, *mirrors: Server) -> None:
        nobody = AnonymousAuthorizer(RegistrySettings(certs=self.certs), patience=QUICK, environ={})
        puller = self.puller(tuple(mirror.url for mirror in mirrors))
        await puller.pull(f"{server.name}/{REPOSITORY}:1", nobody, self.host.steps.append)

    async def fails(self, server: Server, kind: type[Error], says: str) -> Error:
        """It fails as it should, and leaves at most what the next try goes on from."""
        with pytest.raises(Error) as raised:
            await self(server)
        error = raised.value
        assert type(error) is kind, error
        assert says in error.message, error
        assert server.name in error.message, error
        assert REPOSITORY in error.message, error
        assert error.hint, error
        assert len(error.message.splitlines()) == 1
        await self.nothing_half(kept=kind in RESUMED)
        return error

    async def nothing_half(self, kept: bool) -> None:
        """No image, no name, no lease, no layer half unpacked. *kept*: blobs that came whole may wait for the next try;
        parts of blobs that nothing is wrong with always may.
        """
        host, column = self.host, self.host.column
        await host.collector.settle()
        for table in ("images", "names"):
            assert await column(f"SELECT 1 FROM {table}") == [], table
        left = [*await column("SELECT id FROM leases"), *await column("SELECT key FROM snapshots")]
        if not kept:
            left += await column("SELECT digest FROM blobs")
            left += await asyncio.to_thread(lambda: [str(digest) for digest, _ in host.content.blobs.walk()])
        assert [one for one in left if not (kept and one.startswith(("fetch-", "sha256:")))] == []
        ingests = await asyncio.to_thread(lambda: {status.ref for status in host.content.blobs.ingests()})
        assert ingests <= set(await column("SELECT ref FROM ingests"))
        assert kept or ingest_of(Digest.of(A)) not in ingests


@pytest.fixture
def pulling(host: ImageHost) -> Pulling:
    return Pulling(host)


@pytest.mark.parametrize("name", CASES)
async def test_one_clear_error_nothing_half_stored_and_later_the_image(pulling: Pulling, name: str) -> None:
    misbehaves, kind, says = CASES[name]
    shop, behaves = Shop(), False

    async def answer(request: web.Request) -> web.StreamResponse:
        right = await shop(request)
        return right if behaves else await misbehaves(request, right)

    async with serving(answer) as server:
        await pulling.fails(server, kind, says)
        behaves = True
        await pulling(server)
    await pulling.host.whole()


def broken_image(name: str) -> Made:
    """An image that whoever pushed it has made wrong; every digest is right."""
    made = Made([A, B])
    layer = made.manifest["layers"][0]
    if name == "a layer longer than it says":
        layer["size"] -= 10
    elif name == "a layer shorter than it says":
        layer["size"] += 10
    elif name == "a layer of an odd media type":
        layer["mediaType"] = "application/x-odd"
    elif name == "a layer that the config does not know":
        made.config["rootfs"]["diff_ids"].pop()
    elif name == "a layer of another diffID":
        made.config["rootfs"]["diff_ids"][0] = str(Digest.of(b"other"))
    elif name == "a layer that is no tar":
        made = Made([b"x" * 2000])
    return made


BROKEN_IMAGES: dict[str, tuple[type[Error], str]] = {
    "a layer longer than it says": (DigestMismatch, "wrong bytes"),
    "a layer of an odd media type": (Unsupported, "application/x-odd"),
    "a layer that the config does not know": (InvalidDocument, "2 layers"),
    "a layer of another diffID": (DigestMismatch, "config says"),
    "a layer that is no tar": (InvalidArchive, "layer"),
    "a layer shorter than it says": (RegistryFailed, "only"),
}


async def test_an_image_that_is_wrong_itself(pulling: Pulling) -> None:
    for name, (kind, says) in BROKEN_IMAGES.items():
        async with serving(Shop(broken_image(name))) as server:
            await pulling.fails(server, kind, says)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


async def test_an_unknown_ca_and_the_way_from_tls_to_none(
    pulling: Pulling, authority: Authority, tmp_path: Path
) -> None:
    shop, led = Shop(), True
    async with serving(shop) as storage:

        async def answer(request: web.Request) -> web.StreamResponse:
            if led and "/blobs/" in request.path:
                return web.Response(status=307, headers={"Location": f"{storage.url}{request.path}"})
            return await shop(request)

        async with serving(answer, tls=context(authority)) as server:
            pulling.certs = (str(tmp_path / "certs"),)
            (tmp_path / "certs" / server.name).mkdir(parents=True)
            await pulling.fails(server, RegistryFailed, "not trusted")
            assert not server.seen
            authority.trust(tmp_path / "certs", server.name)
            await pulling.fails(server, RegistryFailed, "without TLS")
            assert not storage.seen
            led = False
            await pulling(server)
    await pulling.host.whole()


async def test_a_registry_that_ignores_ranges(pulling: Pulling) -> None:
    """It breaks off in the middle, and gives all from the beginning to whoever wants the rest."""
    shop, breaks = Shop(), True
    shop.ranges = False

    async def answer(request: web.Request) -> web.StreamResponse:
        right = await shop(request)
        if not breaks or LAYER not in request.path:
            return right
        body: bytes = right.body  # type: ignore[attr-defined]
        half = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await half.prepare(request)
        await half.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.close()
        return half

    async with serving(answer) as server:
        await pulling.fails(server, RegistryFailed, "broke")
        breaks = False
        await pulling(server)
    await pulling.host.whole()


@pytest.fixture
def small(mounts: Mounts, tmp_path: Path) -> Path:
    """The folder of the host's content, which has room for less than an image; unmounted with all other mounts."""
    folder = tmp_path / "content"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=True)
    return folder


async def test_a_full_disk(small: Path, host: ImageHost) -> None:
    pulling = Pulling(host)
    async with serving(Shop()) as server:
        await pulling.fails(server, DiskFull, "no space left")
        came = sum(status.offset for status in await host.content.ingests())
        await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,size=16m", str(small)], check=True)
        server.seen.clear()
        await pulling(server)
    [seen] = [seen for seen in server.seen if LAYER in seen.path]
    assert came > 0
    assert seen.range == f"bytes={came}-{len(A) - 1}"  # it goes on with what had come
    await host.whole()


async def test_a_token_that_ends_in_the_middle_is_asked_for_anew_on_the_call(pulling: Pulling) -> None:
    """Six layers, three at once; one question, whichever of them is refused first."""
    shop = Shop(Made([tar({str(number): bytes(100_000)}) for number in range(6)]))
    served, good = 0, 1

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal served, good
        if request.headers.get("Authorization") != f"Bearer token-{good}":
            challenge = 'Bearer realm="https://auth.test/token",service="here"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        served += 1
        if served == 4:  # the manifest, the config, two layers
            good += 1
        return await shop(request)

    asked: list[pb.AuthorizationWanted] = []
    requests: asyncio.Queue[pb.PullRequest] = asyncio.Queue()

    async def stream() -> AsyncIterator[pb.PullRequest]:
        while True:
            yield await requests.get()

    async with serving(answer) as server:
        requests.put_nowait(pb.PullRequest(start=pb.PullStart(reference=f"{server.name}/{REPOSITORY}:1")))
        async with aclosing(pull(pulling.puller(), stream())) as replies:
            async for reply in replies:
                if reply.HasField("authorization"):
                    asked.append(reply.authorization)
                    header = f"Bearer token-{len(asked)}"
                    given = pb.AuthorizationGiven(request=reply.authorization.request, header=header, seconds=300)
                    requests.put_nowait(pb.PullRequest(authorization=given))
    assert reply.HasField("done")
    assert [(one.registry, list(one.scopes), one.refused) for one in asked] == [
        (server.name, [f"repository:{REPOSITORY}:pull"], refused) for refused in (False, True)
    ]
    await pulling.host.whole()


async def test_a_registry_that_asks_to_wait_a_moment_is_waited_for(pulling: Pulling) -> None:
    shop, refused = Shop(), set[str]()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path not in refused:
            refused.add(request.path)
            return refusal(429, "TOOMANYREQUESTS", "slowly", {"Retry-After": "0"})
        return await shop(request)

    async with serving(answer) as server:
        await pulling(server)
    paths = [seen.path for seen in server.seen]
    assert {path for path in paths if paths.count(path) == 2} == refused == set(paths)
    await pulling.host.whole()


@pytest.mark.parametrize("also_the_config", [True, False])
async def test_of_wrong_bytes_from_a_mirror_the_next_place_is_asked_and_the_mirror_no_more(
    pulling: Pulling, also_the_config: bool
) -> None:
    made = Made([tar({str(number): bytes(100_000)}) for number in range(8)])
    shop = Shop(made)

    async def lying(request: web.Request) -> web.StreamResponse:
        right = await shop(request)
        lies = "/blobs/" in request.path and (also_the_config or made.image_id not in request.path)
        return await wrong_bytes(request, right) if lies else right

    async with serving(lying) as first, serving(lying) as second, serving(shop) as server:
        await pulling(server, first, second)
    blobs = [[seen.path for seen in each.seen if "/blobs/" in seen.path] for each in (first, second, server)]
    if also_the_config:  # which comes alone
        assert [len(paths) for paths in blobs] == [1, 1, 9]
    else:
        assert len(blobs[0]) <= 1 + LAYERS_AT_ONCE
        assert 1 <= len(blobs[1]) <= LAYERS_AT_ONCE
        assert len(blobs[2]) == 8
    await pulling.host.whole()
