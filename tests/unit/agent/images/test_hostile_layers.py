"""A layer under another's name: each attack succeeds when the test switches its defence off. Root needed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, InvalidDocument
from jackstay_oci import documents
from jackstay_oci.digest import Digest
from jackstay_oci.identity import chain_ids
from jackstay_oci.store.ingest import Ingest
from tests.unit.agent.images.image_host import ImageHost, Made, tar

TRUSTED, EVIL = tar({"bin/sh": b"honest"}), tar({"bin/sh": b"hostile"})


async def shell_of_the_base(host: ImageHost, folder: Path) -> bytes:
    """``/bin/sh`` of what lies under the ChainID of the trusted base."""
    folder.mkdir()
    await host.layers.view(f"view-{folder.name}", str(chain_ids([Digest.of(TRUSTED)])[0]))
    await host.layers.mount(f"view-{folder.name}", str(folder))
    return (folder / "bin/sh").read_bytes()


async def test_a_layer_that_claims_the_diff_id_of_another(
    host: ImageHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snapshots are shared by ChainID: a config that lies about its layers would poison every image on that base."""
    lying = Made([EVIL])
    lying.config["rootfs"]["diff_ids"] = [str(Digest.of(TRUSTED))]
    with pytest.raises(DigestMismatch, match="unpacks to") as caught:
        await host.load(lying, "docker.io/library/lying:1")
    assert caught.value.message.startswith("image lying:1: layer sha256:")
    await host.load(Made([TRUSTED]), "docker.io/library/base:1")
    assert await shell_of_the_base(host, tmp_path / "one") == b"honest"
    await host.layers.remove("view-one")
    await host.forget()
    await host.room.collect()
    apply = host.layers.apply

    async def believing(*arguments: Any, **options: Any) -> Any:
        return replace(await apply(*arguments, **options), diff_id=Digest.of(TRUSTED))

    monkeypatch.setattr(host.layers, "apply", believing)
    await host.load(lying, "docker.io/library/lying:1")
    monkeypatch.undo()
    await host.load(Made([TRUSTED]), "docker.io/library/base:1")
    assert await shell_of_the_base(host, tmp_path / "two") == b"hostile"


async def test_a_config_that_was_swapped_on_its_way(host: ImageHost, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made([TRUSTED], config={"config": {"Cmd": ["/honest"]}})
    root = made.root
    made.blobs[Digest.parse(made.image_id)] = made.config_bytes.replace(b"/honest", b"/h0stil")
    with pytest.raises(DigestMismatch):
        await host.load(made, "docker.io/library/base:1", root=root)
    monkeypatch.setattr(Ingest, "_verified", lambda _self, _size, digest: digest)
    with pytest.raises(DigestMismatch, match="damaged"):  # what is read is hashed again
        await host.load(made, "docker.io/library/base:1", root=root)

    async def unhashed(_self: object, digest: Digest, limit: int = 0) -> bytes:
        return await asyncio.to_thread(host.content.blobs.read, digest)

    monkeypatch.setattr(ContentStore, "read_document", unhashed)
    await host.load(made, "docker.io/library/base:1", root=root)
    image = await host.images.find("base:1")
    assert str(image.image_id) == made.image_id
    assert (await host.images.config(image)).config.cmd == ("/h0stil",)


async def test_an_index_in_the_place_of_a_manifest(host: ImageHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2021-41190: who looks at the index in it, which has nothing to run, and who runs the manifest disagree."""
    made = Made([TRUSTED])
    made.manifest["manifests"] = []
    root = made.root
    with pytest.raises(InvalidDocument, match="must not carry"):
        await host.load(made, "docker.io/library/both:1", root=root)
    monkeypatch.setattr(documents, "_absent", lambda *_: None)
    await host.load(made, "docker.io/library/both:1", root=root)
    assert (await host.images.find("both:1")).root == root.digest
