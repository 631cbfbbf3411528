"""Every bound of the agent's configuration, set small in its file: an image that passes it is refused and it is named.

An image just inside is received. Root needed.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from jackstay_agent.config import Limits, load
from jackstay_agent.errors import LimitExceeded
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.metadata.database import Database
from tests.unit.agent.images.image_host import ImageHost, Made, tar

NAME = "docker.io/library/web:1"


def with_header(size: int) -> bytes:
    """A layer of one file, whose PAX header is *size* bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"comment": "c" * (size - len("999 comment=\n"))}
        archive.addfile(info)
    return out.getvalue()


def of_config(size: int) -> Made:
    """An image whose config is *size* bytes, and larger than its manifest."""
    made = Made([tar({"a": b""})], config={"author": ""})
    made.config["author"] = "x" * (size - len(made.config_bytes))
    return made


BOUNDS: dict[str, tuple[int, Callable[[int], Made]]] = {
    # What is allowed, and an image that needs as much.
    "layer_entries": (5, lambda count: Made([tar({f"f{number}": b"" for number in range(count)})])),
    "name_bytes": (300, lambda size: Made([tar({"d/" * (size // 2 - 1) + "f" * (2 + size % 2): b""})])),
    "header_bytes": (900, lambda size: Made([with_header(size)])),
    "document_bytes": (2000, of_config),
    "layers": (3, lambda count: Made([tar({f"f{number}": b""}) for number in range(count)])),
}


@pytest.fixture
def host_with(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> Callable[[str, int], ImageHost]:
    def make(name: str, value: int) -> ImageHost:
        (tmp_path / "jackstayd.toml").write_text(f"[limits]\n{name} = {value}\n")
        return ImageHost(tmp_path, database, jobs, mounts, load(str(tmp_path / "jackstayd.toml")).limits)

    return make


@pytest.mark.parametrize("name", BOUNDS)
async def test_a_bound_of_the_configuration(host_with: Callable[[str, int], ImageHost], name: str) -> None:
    most, needing = BOUNDS[name]
    host = await asyncio.to_thread(host_with, name, most)
    with pytest.raises(LimitExceeded, match=name):
        await host.load(needing(most + 1), NAME)
    assert await host.column("SELECT root FROM images") == []
    await host.load(needing(most), NAME)
    assert (await host.images.find("web:1")).names == (NAME,)


@pytest.mark.parametrize("compress", [False, True])
async def test_the_bytes_of_a_layer(host_with: Callable[[str, int], ImageHost], compress: bool) -> None:
    """Those that a descriptor promises, and those that come out of what is compressed."""
    layer = tar({"a": bytes(50_000)})
    host = await asyncio.to_thread(host_with, "layer_bytes", len(layer) - 1)
    with pytest.raises(LimitExceeded, match="layer_bytes") as caught:
        await host.load(Made([layer], compress=compress), NAME)
    assert not compress or "jackstayd.toml" in caught.value.hint
    host = await asyncio.to_thread(host_with, "layer_bytes", len(layer))
    await host.load(Made([layer], compress=compress), NAME)


def test_every_bound_is_tested() -> None:
    """The ratio, which counts from 256 MiB on, in `tests/unit/agent/layers/test_defences.py`."""
    assert {*BOUNDS, "layer_bytes", "compression_ratio"} == {field.name for field in msgspec.structs.fields(Limits)}
