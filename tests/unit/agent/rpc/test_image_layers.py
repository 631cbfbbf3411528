"""What images are made of is told however many there are: no message grows with their number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jackstay_agent.images.description import CREATED_BY, ImageLayer
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.rpc.images import ImagesService
from jackstay_oci.digest import Digest
from jackstay_proto.v1 import images_pb2 as pb
from tests.unit.agent.rpc import served

IMAGES, LAYERS = 400, 127
ROOT = Digest.of(b"root")


class Many:
    """As many images as fit no message, of as many layers as an image may have."""

    async def layers(self, _names: Sequence[str]) -> list[tuple[StoredImage, list[ImageLayer]]]:
        image = StoredImage(ROOT, "", ROOT, ROOT, str(ROOT), ("docker.io/library/app:1",), 0, 0, {})
        return [(image, [ImageLayer(str(ROOT), str(ROOT), 1, "x" * CREATED_BY)] * LAYERS)] * IMAGES


async def test_many_images_of_many_layers(tmp_path: Path) -> None:
    rest: list[Any] = [None] * 8
    service = ImagesService(rest[0], Many(), *rest)  # type: ignore[arg-type]
    async with served.images(tmp_path, service) as stub:
        told = [image async for image in stub.Layers(pb.LayersRequest())]
    assert (len(told), {len(image.layers) for image in told}) == (IMAGES, {LAYERS})
    assert sum(image.ByteSize() for image in told) > 16 << 20
