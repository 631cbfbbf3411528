"""Pushing: images become images under their names, others become artifacts, and nothing is kept that nothing needs."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import msgspec
import pytest

from jackstay_agent.metadata import artifacts
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from tests.unit.agent.images.image_host import Made, descriptor, platform, tar
from tests.unit.agent.registry_server.registry_host import RegistryHost

A, B, C = tar({"a": b"a" * 200_000}), tar({"b": b"b"}), tar({"c": b"c"})


def manifest(made: Made, **more: Any) -> dict[str, Any]:
    """The descriptor of *made*'s manifest, for an index."""
    root = made.root
    return {"mediaType": root.media_type, "digest": str(root.digest), "size": root.size, **more}


async def test_a_pushed_image_is_here_under_its_name(registry: RegistryHost) -> None:
    made = Made([A, B], compress=True)
    root = await registry.push("app", "1", made)
    image = await registry.host.images.find("app:1")
    assert (str(image.image_id), image.root) == (made.image_id, root.digest)
    assert await registry.host.column("SELECT COUNT(*) FROM snapshots") == [2]
    await registry.host.collector.collect()
    await registry.host.whole()
    assert registry.most_busy == 1
    assert registry.busy == 0


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("app", "docker.io/library/app:1"),
        ("team/app", "docker.io/team/app:1"),
        ("ghcr.io/foo/app", "ghcr.io/foo/app:1"),
        ("localhost:5000/app", "localhost:5000/app:1"),
        ("a/blobs/uploads/manifests", "docker.io/a/blobs/uploads/manifests:1"),
    ],
)
async def test_a_path_means_what_a_name_means(registry: RegistryHost, path: str, name: str) -> None:
    await registry.push(path, "1", Made([B]))
    assert await registry.host.column("SELECT name FROM names") == [name]
    assert (await registry.ask("GET", f"/v2/{path}/tags/list")).ok(200).json == {"name": path, "tags": ["1"]}
    assert (await registry.ask("GET", "/v2/_catalog")).ok(200).json["repositories"] == [path]


async def test_a_second_push_of_a_changed_image_sends_the_new_layer_alone(registry: RegistryHost) -> None:
    await registry.push("app", "1", Made([A, B]))
    changed = Made([A, B, C])
    root = changed.root
    asked = [digest for digest in changed.blobs if digest != root.digest]
    here = [(await registry.ask("HEAD", f"/v2/app/blobs/{digest}")).status for digest in asked]
    assert sorted(here) == [200, 200, 404, 404]  # the new layer, and the config
    await registry.push("app", "1", changed)
    await registry.host.collector.collect()
    await registry.host.whole()


async def test_an_index_comes_after_its_manifests(registry: RegistryHost) -> None:
    mine, other = Made([A]), Made([B], config={"os": "plan9", "architecture": "mips"})
    attestation = Made([], config={"os": "unknown", "architecture": "unknown"})
    attestation.manifest["layers"] = [descriptor("application/vnd.in-toto+json", b"{}")]
    attestation.blobs[Digest.of(b"{}")] = b"{}"
    for made in (mine, other, attestation):
        await registry.push("app", str(made.root.digest), made)
    assert await registry.host.column("SELECT image_id FROM images") == [mine.image_id]
    index = mine.index(
        manifest(mine, platform=platform()),
        manifest(other, platform={"os": "plan9", "architecture": "mips"}),
        manifest(attestation, platform={"os": "unknown", "architecture": "unknown"}),
    )
    (await registry.manifest("app", "1", index, mine.blobs[index.digest])).ok(201)
    image = await registry.host.images.find("app:1")
    assert (image.root, image.manifest) == (index.digest, mine.root.digest)
    assert await registry.host.column("SELECT root FROM images") == [index.digest]  # and not the manifest's alone
    assert await registry.host.column("SELECT COUNT(*) FROM snapshots") == [1]
    await registry.host.collector.collect()
    for made in (mine, other, attestation):
        for digest, data in made.blobs.items():
            assert (await registry.ask("GET", f"/v2/app/blobs/{digest}")).ok(200).body == data
    await registry.host.whole()


async def test_everything_that_a_manifest_names_must_be_here(registry: RegistryHost) -> None:
    made = Made([A, B])
    root = made.root
    await registry.blob("app", A)
    refused = await registry.manifest("app", "1", root, made.blobs[root.digest])
    refused.refused(404, "MANIFEST_BLOB_UNKNOWN")
    assert refused.json["errors"][0]["detail"]["digest"] in made.blobs
    assert (await registry.ask("GET", f"/v2/app/manifests/{root.digest}")).status == 404
    shorter = Made([A])
    shorter.manifest["layers"][0]["size"] -= 1
    await registry.blob("app", shorter.config_bytes)
    (await registry.manifest("app", "1", shorter.root, shorter.blobs[shorter.root.digest])).refused(
        404, "MANIFEST_BLOB_UNKNOWN"
    )
    assert await registry.host.column("SELECT name FROM names") == []


async def test_an_image_that_promises_another_layer_is_refused_and_leaves_no_image(registry: RegistryHost) -> None:
    made = Made([A])
    made.config["rootfs"]["diff_ids"] = [str(Digest.of(B))]
    root = made.root
    for digest, data in made.blobs.items():
        if digest != root.digest:
            await registry.blob("app", data)
    (await registry.manifest("app", "1", root, made.blobs[root.digest])).refused(400, "MANIFEST_INVALID")
    assert await registry.host.column("SELECT root FROM images") == []
    assert await registry.host.column("SELECT key FROM snapshots") == []


@pytest.mark.parametrize(
    ("media_type", "data", "status", "code"),
    [
        (media_types.OCI_MANIFEST, b"{", 400, "MANIFEST_INVALID"),
        (media_types.OCI_MANIFEST, b'{"schemaVersion":2,"manifests":[]}', 400, "MANIFEST_INVALID"),
        (media_types.OCI_INDEX, b'{"schemaVersion":2,"layers":[]}', 400, "MANIFEST_INVALID"),
        ("text/html", b'{"schemaVersion":2}', 400, "MANIFEST_INVALID"),
        (media_types.OCI_INDEX, b'{"schemaVersion":2,"manifests":[]}', 415, "UNSUPPORTED"),
        (media_types.OCI_MANIFEST, b"[" * 100_000, 400, "MANIFEST_INVALID"),
        (media_types.OCI_MANIFEST, b" " * ((4 << 20) + 1), 413, "SIZE_INVALID"),
    ],
    ids=["cut", "an index", "a manifest", "a page", "empty", "deep", "huge"],
)
async def test_what_is_no_manifest_is_refused(
    registry: RegistryHost, media_type: str, data: bytes, status: int, code: str
) -> None:
    (await registry.ask("PUT", "/v2/app/manifests/1", data, Content_Type=media_type)).refused(status, code)
    await registry.host.collector.collect()
    assert await registry.host.column("SELECT digest FROM blobs") == []


async def test_a_manifest_under_another_digest_is_refused(registry: RegistryHost) -> None:
    made = Made([B])
    root = made.root
    wrong = await registry.manifest("app", str(Digest.of(b"another")), root, made.blobs[root.digest])
    wrong.refused(400, "DIGEST_INVALID")
    (await registry.manifest("app", "sha256:zz", root, made.blobs[root.digest])).refused(400, "DIGEST_INVALID")
    (await registry.manifest("app", "a" * 200, root, made.blobs[root.digest])).refused(400, "MANIFEST_INVALID")


async def test_what_is_uploaded_is_held_for_its_image_and_not_for_ever(registry: RegistryHost) -> None:
    digest = await registry.blob("app", A)
    await registry.host.collector.collect()
    await registry.restart()
    (await registry.ask("HEAD", f"/v2/app/blobs/{digest}")).ok(200)
    await registry.host.database.write("test", lambda c: c.execute("UPDATE leases SET expires = 1").rowcount)
    await registry.host.collector.collect()
    (await registry.ask("HEAD", f"/v2/app/blobs/{digest}")).ok(404)
    await registry.host.whole()


async def test_what_a_client_was_told_is_here_stays_though_its_image_goes(registry: RegistryHost) -> None:
    made = Made([A])
    await registry.push("app", "1", made)
    (await registry.ask("HEAD", f"/v2/other/blobs/{Digest.of(A)}")).ok(200)
    (await registry.ask("DELETE", "/v2/app/manifests/1")).ok(202)
    await registry.push("other", "1", Made([A, B]))
    await registry.host.collector.collect()
    await registry.host.whole()


async def test_a_layer_that_the_disk_has_damaged_is_pushed_again(registry: RegistryHost) -> None:
    made = Made([A])
    root = made.root
    digest = await registry.blob("app", A)
    path = registry.host.content.blobs.path(digest)
    path.chmod(0o600)
    path.write_bytes(A[:-1] + b"x")
    await registry.blob("app", made.config_bytes)
    (await registry.manifest("app", "1", root, made.blobs[root.digest])).refused(404, "MANIFEST_BLOB_UNKNOWN")
    await registry.push("app", "1", made)
    assert (await registry.host.images.find("app:1")).root == root.digest


async def test_many_at_once(registry: RegistryHost) -> None:
    images = {f"app{number}": Made([A, tar({"n": str(number).encode()})]) for number in range(8)}
    await asyncio.gather(*(registry.push(name, "1", made) for name, made in images.items()))
    for name, made in images.items():
        assert str((await registry.host.images.find(f"{name}:1")).image_id) == made.image_id
    await registry.host.collector.collect()
    await registry.host.whole()


async def test_a_push_is_told(registry: RegistryHost) -> None:
    told: list[tuple[str, str]] = []
    registry.host.receiver.record = lambda kind, action, subject, attributes=None, labels=None: told.append(
        (action, (attributes or {})["name"])
    )
    await registry.push("app", "1", Made([B]))
    assert told == [("pull", "app:1")]


# --- artifacts ---------------------------------------------------------------------------------------------------


async def attach(registry: RegistryHost, subject: Descriptor | None, kind: str, tag: str = "", **more: Any) -> Digest:
    """Push an artifact about *subject*."""
    payload = kind.encode()
    for data in (b"{}", payload):
        await registry.blob("app", data)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "artifactType": kind,
        "config": descriptor(media_types.OCI_EMPTY, b"{}"),
        "layers": [descriptor("application/x-note", payload)],
        **more,
    }
    if subject is not None:
        document["subject"] = {
            "mediaType": subject.media_type, "digest": str(subject.digest), "size": subject.size,
        }  # fmt: skip
    data = msgspec.json.encode(document)
    answer = await registry.ask(
        "PUT", f"/v2/app/manifests/{tag or Digest.of(data)}", data, Content_Type=media_types.OCI_MANIFEST
    )
    assert answer.ok(201).headers.get("OCI-Subject") == (None if subject is None else str(subject.digest))
    return Digest.of(data)


async def test_what_is_attached_is_listed_and_goes_with_its_image(registry: RegistryHost) -> None:
    root = await registry.push("app", "1", Made([B]))
    note = await attach(registry, root, "application/x-note", annotations={"by": "me"})
    signature = await attach(registry, root, "application/x-signature")
    about_the_note = await attach(
        registry, Descriptor(media_type=media_types.OCI_MANIFEST, digest=note, size=1), "application/x-signature"
    )
    listed = (await registry.ask("GET", f"/v2/app/referrers/{root.digest}")).ok(200)
    assert listed.headers["Content-Type"] == media_types.OCI_INDEX
    assert {one["digest"] for one in listed.json["manifests"]} == {note, signature}
    filtered = (await registry.ask("GET", f"/v2/app/referrers/{root.digest}?artifactType=application%2Fx-note")).ok(200)
    assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
    assert filtered.json["manifests"] == [
        {
            "mediaType": media_types.OCI_MANIFEST,
            "digest": note,
            "size": len((await registry.ask("GET", f"/v2/app/manifests/{note}")).ok(200).body),
            "artifactType": "application/x-note",
            "annotations": {"by": "me"},
        }
    ]
    await registry.restart()
    for digest in (note, signature, about_the_note):
        (await registry.ask("GET", f"/v2/app/manifests/{digest}")).ok(200)
    (await registry.ask("DELETE", "/v2/app/manifests/1")).ok(202)
    for digest in (note, signature, about_the_note):
        (await registry.ask("GET", f"/v2/app/manifests/{digest}")).ok(404)
    await registry.host.whole()


async def test_of_nothing_nothing_is_listed(registry: RegistryHost) -> None:
    listed = (await registry.ask("GET", f"/v2/app/referrers/{Digest.of(b'')}")).ok(200)
    assert listed.json == {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}


async def test_a_signature_by_tag_goes_with_its_image(registry: RegistryHost) -> None:
    root = await registry.push("app", "1", Made([B]))
    tag = f"{root.digest.replace(':', '-')}.sig"
    cosign = Made([], manifest={"layers": [descriptor("application/vnd.dev.cosign.simplesigning.v1+json", b"[]")]})
    cosign.blobs[Digest.of(b"[]")] = b"[]"
    await registry.push("app", tag, cosign)
    assert await registry.host.column("SELECT root FROM images") == [root.digest]
    await registry.host.collector.collect()
    assert (await registry.ask("GET", f"/v2/app/manifests/{tag}")).ok(200).body == cosign.blobs[cosign.root.digest]
    assert set((await registry.ask("GET", "/v2/app/tags/list")).json["tags"]) == {"1", tag}
    (await registry.ask("DELETE", "/v2/app/manifests/1")).ok(202)
    (await registry.ask("GET", f"/v2/app/manifests/{tag}")).ok(404)
    await registry.host.whole()


async def test_a_chart_stays_for_its_name_until_that_is_deleted(registry: RegistryHost) -> None:
    digest = await attach(registry, None, "application/vnd.cncf.helm.config.v1+json", "chart")
    await registry.restart()
    assert (await registry.ask("GET", "/v2/app/manifests/chart")).ok(200).headers["Docker-Content-Digest"] == digest
    (await registry.ask("DELETE", "/v2/app/manifests/chart")).ok(202)
    assert await registry.host.column("SELECT digest FROM blobs") == []
    await registry.host.whole()


async def test_a_tag_means_what_was_pushed_last(registry: RegistryHost) -> None:
    root = await registry.push("app", "1", Made([B]))
    chart = await attach(registry, None, "application/x-chart", "1")
    assert (await registry.ask("GET", "/v2/app/manifests/1")).headers["Docker-Content-Digest"] == chart
    await registry.push("app", "1", Made([B]))
    assert (await registry.ask("GET", "/v2/app/manifests/1")).headers["Docker-Content-Digest"] == root.digest
    await registry.host.collector.collect()
    (await registry.ask("GET", f"/v2/app/manifests/{chart}")).ok(404)


async def test_many_referrers_come_page_by_page(registry: RegistryHost) -> None:
    root = await registry.push("app", "1", Made([B]))
    long = "x" * 300_000

    def work(connection: Any) -> None:
        for number in range(10):
            digest = Digest.of(str(number).encode())
            connection.execute("INSERT INTO blobs VALUES (?, 1, 1)", (digest,))
            artifacts.insert(
                connection,
                artifacts.Artifact(digest, media_types.OCI_MANIFEST, "a/b", 1, root.digest, {"long": long}),
            )

    await registry.host.database.write("test", work)
    found: list[str] = []
    path: str | None = f"/v2/app/referrers/{root.digest}?artifactType=a%2Fb"
    pages = 0
    while path:
        answer = (await registry.ask("GET", path)).ok(200)
        assert len(answer.body) < 2 << 20
        found += [one["digest"] for one in answer.json["manifests"]]
        link = answer.headers.get("Link")
        path = link[1 : link.index(">")] if link else None
        pages += 1
    assert found == sorted(Digest.of(str(number).encode()) for number in range(10))
    assert pages > 1


async def test_an_image_that_is_loaded_can_be_pulled(registry: RegistryHost) -> None:
    made = Made([A], compress=True)
    await registry.host.load(made, "docker.io/library/web:1")
    got = (await registry.ask("GET", "/v2/web/manifests/1")).ok(200)
    assert (got.body, got.headers["Content-Type"]) == (made.blobs[made.root.digest], media_types.OCI_MANIFEST)
    layer = got.json["layers"][0]["digest"]
    assert gzip.decompress((await registry.ask("GET", f"/v2/web/blobs/{layer}")).ok(200).body) == A
