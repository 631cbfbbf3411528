"""What is attached to an image, told by the host that has it and taken by the one that gets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.errors import InvalidDigest, InvalidDocument
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.metadata.database import Database
from jackstay_agent.rpc.content import ContentService
from jackstay_agent.rpc.fetching import fetch
from jackstay_oci.digest import Digest
from jackstay_proto.v1 import content_pb2
from jackstay_proto.v1 import images_pb2 as pb
from tests.unit.agent.images.attachments import refer, rows, tag
from tests.unit.agent.images.image_host import ImageHost, Made, tar
from tests.unit.agent.images.test_pulling import NAME, given, pull

A = tar({"a": b"a" * 20_000})
OTHER = "docker.io/library/other:1"


@pytest.fixture
async def host(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> ImageHost:
    return await asyncio.to_thread(ImageHost, tmp_path, database, jobs, mounts, Limits())


async def resolved(host: ImageHost, name: str = NAME) -> content_pb2.ResolveReply:
    service = ContentService(host.content, host.images)
    async with aclosing(service.Resolve(content_pb2.ResolveRequest(image=name), None)) as replies:  # type: ignore[arg-type]
        return await anext(replies)


class Laptop:
    """Offers what *reply* tells, under *name*, and gives *blobs*."""

    def __init__(self, reply: content_pb2.ResolveReply, blobs: dict[Digest, bytes], name: str) -> None:
        self.target = pb.ImageTarget(root=reply.root, names=[name], attached=reply.attached)
        self.blobs = blobs
        self.asked: list[Digest] = []

    async def drive(self, host: ImageHost) -> pb.FetchDone:
        requests: asyncio.Queue[pb.FetchRequest] = asyncio.Queue()
        requests.put_nowait(pb.FetchRequest(start=pb.FetchStart(images=[self.target], source="web1")))

        async def stream() -> AsyncIterator[pb.FetchRequest]:
            while True:
                yield await requests.get()

        async with aclosing(fetch(host.receiver, stream())) as replies:
            async for reply in replies:
                if reply.HasField("wanted"):
                    requests.put_nowait(self.answer(reply.wanted))
                elif reply.HasField("done"):
                    return reply.done
        raise AssertionError("no end")

    def answer(self, wanted: pb.RangeWanted) -> pb.FetchRequest:
        digest = Digest.parse(wanted.digest)
        self.asked.append(digest)
        if digest not in self.blobs:
            return pb.FetchRequest(
                failed=pb.RangeFailed(request=wanted.request, reason="NOT_FOUND", message=f"no blob {digest}")
            )
        data = self.blobs[digest][wanted.offset : wanted.offset + wanted.length]
        return pb.FetchRequest(data=pb.RangeData(request=wanted.request, data=data))


async def laptop(host: ImageHost, name: str = NAME) -> tuple[Laptop, Made, list[str]]:
    """An image with a signature and a list of parts that was here, as a copy offers it; and their digests."""
    made = Made([A])
    registry = given(host, made)
    signature = tag(registry, made.root.digest, b"signature")
    sbom = refer(registry, made.root, b"list of parts")
    deeper = refer(registry, sbom, b"about the list")
    await pull(host)
    reply = await resolved(host)
    assert [one.kind for one in reply.attached] == ["", "sig", ""]
    blobs = {**made.blobs, **registry.blobs}
    blobs |= {document.descriptor.digest: document.data for document in registry.manifests.values()}
    digests = sorted(str(each.digest) for each in (signature, sbom, deeper))
    assert sorted(one.document.digest for one in reply.attached) == digests
    held = {blob.digest for one in reply.attached for blob in one.blobs}
    assert held == {Digest.of(data) for data in (b"{}", b"signature", b"list of parts", b"about the list")}
    await host.forget()
    await host.collector.collect()
    assert await host.column("SELECT digest FROM blobs") == []
    return Laptop(reply, blobs, name), made, digests


async def test_it_comes_with_a_copy_under_the_name_that_the_image_gets(host: ImageHost) -> None:
    copy, made, digests = await laptop(host, OTHER)
    done = await copy.drive(host)
    assert not done.warnings
    assert await rows(host) == (digests, [f"docker.io/library/other:sha256-{made.root.digest.hex}.sig"])
    copy.asked.clear()
    again = await copy.drive(host)
    assert (copy.asked, again.bytes_sent) == ([], 0)
    await host.whole()


async def test_what_the_source_has_no_more_is_told_and_the_image_is_here(host: ImageHost) -> None:
    copy, _, digests = await laptop(host)
    del copy.blobs[Digest.of(b"signature")]
    done = await copy.drive(host)
    assert len(done.warnings) == 1
    assert len((await rows(host))[0]) == len(digests) - 1
    assert done.images[0].changed


async def test_what_is_about_manifests_that_do_not_come_is_not_asked_for(host: ImageHost) -> None:
    copy, _, _ = await laptop(host)
    other = str(Digest.of(b"a manifest of another platform"))
    for one in copy.target.attached:
        one.about = other
    assert not (await copy.drive(host)).warnings
    assert await rows(host) == ([], [])
    assert not {one.document.digest for one in copy.target.attached} & set(copy.asked)


async def test_what_it_is_about_is_not_believed(host: ImageHost) -> None:
    """A list of parts that is about another image, said to be about this one."""
    copy, made, _ = await laptop(host)
    for one in copy.target.attached:
        one.about, one.kind = str(made.root.digest), ""
    done = await copy.drive(host)
    assert len((await rows(host))[0]) == 1
    assert all("is not about" in warning for warning in done.warnings)


@pytest.mark.parametrize("kind", ["../sig", "SIG", "x" * 17, "sig\n"])
async def test_a_tag_that_is_none_is_refused(host: ImageHost, kind: str) -> None:
    copy, _, _ = await laptop(host)
    copy.target.attached[1].kind = kind
    with pytest.raises(InvalidDocument, match="a tag that is none"):
        await copy.drive(host)


async def test_so_is_what_is_no_digest(host: ImageHost) -> None:
    copy, _, _ = await laptop(host)
    copy.target.attached[1].about = "sha256:../../x"
    with pytest.raises(InvalidDigest):
        await copy.drive(host)
    other: Any = await rows(host)
    assert other == ([], [])
