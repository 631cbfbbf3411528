"""What came attached to a pulled image is served with it, as what was pushed is; what was pushed goes on with it."""

from __future__ import annotations

import pytest

from jackstay_agent.registry_server import manifests
from jackstay_oci import media_types
from tests.unit.agent.images.attachments import refer, tag
from tests.unit.agent.images.image_host import Made, descriptor, tar
from tests.unit.agent.images.memory_registry import MemoryRegistry
from tests.unit.agent.images.test_pulling import NAME, given, pull
from tests.unit.agent.images.test_pushing import push
from tests.unit.agent.registry_server.registry_host import RegistryHost

A = tar({"a": b"a" * 20_000})


async def test_what_was_pulled_is_served(registry: RegistryHost) -> None:
    made = Made([A])
    source = given(registry.host, made)
    signature = tag(source, made.root.digest, b"signature")
    sbom = refer(source, made.root, b"list of parts")
    await pull(registry.host)
    path = "/v2/registry.example/app"
    got = (await registry.ask("GET", f"{path}/manifests/sha256-{made.root.digest.hex}.sig")).ok(200)
    assert got.headers["Docker-Content-Digest"] == signature.digest
    (listed,) = (await registry.ask("GET", f"{path}/referrers/{made.root.digest}")).ok(200).json["manifests"]
    assert (listed["digest"], listed["artifactType"]) == (sbom.digest, "application/spdx+json")
    assert (await registry.ask("GET", f"{path}/blobs/{descriptor('', b'signature')['digest']}")).body == b"signature"


async def test_under_another_name_of_the_image_too(registry: RegistryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made([A])
    source = given(registry.host, made)
    signature = tag(source, made.root.digest, b"signature")
    await pull(registry.host)
    path = f"/v2/mine/manifests/sha256-{made.root.digest.hex}.sig"
    (await registry.ask("GET", path)).refused(404, "NAME_UNKNOWN")
    await registry.host.images.tag(NAME, "mine:1")
    assert (await registry.ask("GET", path)).ok(200).headers["Docker-Content-Digest"] == signature.digest
    (await registry.ask("GET", path.replace(".sig", ".att"))).refused(404, "MANIFEST_UNKNOWN")
    monkeypatch.setattr(manifests, "_named_elsewhere", lambda connection, name: None)
    (await registry.ask("GET", path)).refused(404, "MANIFEST_UNKNOWN")


async def test_what_was_pushed_here_goes_on_to_a_registry(registry: RegistryHost) -> None:
    """A signature that a client attached on this host."""
    made = Made([A], compress=True)
    root = await registry.push("app", "1", made)
    layer = descriptor("application/vnd.dev.cosign.simplesigning.v1+json", b"signature")
    await registry.blob("app", b"signature")
    await registry.blob("app", b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor(media_types.OCI_CONFIG, b"{}"),
        "layers": [layer],
    }
    signature = made.add(media_types.OCI_MANIFEST, manifest)
    name = f"sha256-{root.digest.hex}.sig"
    (await registry.manifest("app", name, signature, made.blobs[signature.digest])).ok(201)
    other = registry.host.registries["other.example"] = MemoryRegistry("other.example")
    pushed, _ = await push(registry.host, "app:1", "other.example/app:1")
    assert pushed.warnings == ()
    assert other.manifests[f"app:{name}"].descriptor.digest == signature.digest
