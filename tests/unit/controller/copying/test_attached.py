"""What is attached to an image is offered with it, planned, and readable; and nothing of what is attached to others."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest

from jackstay.client import messages
from jackstay.copying.host_source import HostSource
from jackstay.copying.plan import closure, plan_images
from jackstay.copying.serve import start_request
from jackstay.copying.shared_source import SharedSource
from jackstay.copying.sources import AttachedDocument, Blob, SourceImage
from jackstay.errors import NotFound

ROOT, LAYER, SIGNATURE, PAYLOAD, SBOM, ABOUT_SBOM = (
    Blob(f"sha256:{name * 64}", size, "m") for name, size in zip("abcdef", (1, 20, 300, 4000, 5, 6), strict=True)
)
OTHER = f"sha256:{'9' * 64}"
ATTACHED = (
    AttachedDocument(SIGNATURE, ROOT.digest, "sig", (PAYLOAD,)),
    AttachedDocument(SBOM, ROOT.digest, "", (PAYLOAD,)),
    AttachedDocument(ABOUT_SBOM, SBOM.digest, "", ()),
)
IMAGE = SourceImage(ROOT, ("docker.io/library/app:1",), (ROOT, LAYER), attached=ATTACHED)


def test_it_is_planned_and_asked_for_with_the_image() -> None:
    assert closure([IMAGE]) == [blob.digest for blob in (ROOT, LAYER, SIGNATURE, PAYLOAD, SBOM, ABOUT_SBOM)]
    (plan,) = plan_images([IMAGE], [SIGNATURE.digest, PAYLOAD.digest], "web1", "relay")
    assert (plan.bytes_sent, plan.bytes_spared) == (4300, 32)


def test_it_is_offered_to_the_agent() -> None:
    (target,) = start_request("web1", [IMAGE]).images
    assert [(one.document.digest, one.document.size, one.about, one.kind) for one in target.attached] == [
        (SIGNATURE.digest, 300, ROOT.digest, "sig"),
        (SBOM.digest, 5, ROOT.digest, ""),
        (ABOUT_SBOM.digest, 6, SBOM.digest, ""),
    ]
    assert [blob.digest for blob in target.attached[0].blobs] == [PAYLOAD.digest]


def test_what_is_attached_to_what_does_not_come_does_not_come() -> None:
    about_other = AttachedDocument(SBOM, OTHER, "", ())
    image = SourceImage(ROOT, (), (ROOT, LAYER), attached=(ATTACHED[0], about_other, ATTACHED[2]))
    assert image.without_strangers().attached == ATTACHED[:1]
    assert IMAGE.without_strangers() == IMAGE


class Agent:
    """A host that has `IMAGE`."""

    host = SimpleNamespace(name="web1")

    def __init__(self) -> None:
        self.content = self

    async def resolve(self, _: messages.ResolveRequest) -> AsyncGenerator[messages.ResolveReply, None]:
        (target,) = start_request("", [IMAGE]).images
        blobs = [messages.Descriptor(digest=blob.digest, size=blob.size, media_type="m") for blob in IMAGE.blobs]
        yield messages.ResolveReply(name=IMAGE.names[0], root=target.root, blobs=blobs, attached=target.attached)

    async def read(self, request: messages.ReadRequest) -> AsyncGenerator[Any, None]:
        yield SimpleNamespace(data=b"x" * request.length)

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_host_tells_it_and_gives_it_and_nothing_else() -> None:
    source = HostSource(Agent())  # type: ignore[arg-type]
    (image,) = await source.images(["app:1"])
    assert image.attached == ATTACHED
    shared = SharedSource(source, [image])
    for one in (source, shared):
        assert [piece async for piece in one.read(PAYLOAD.digest, 10, 5)] == [b"xxxxx"]
        with pytest.raises(NotFound):
            _ = [piece async for piece in one.read(OTHER, 0, 5)]
    await shared.close()
    await source.close()
