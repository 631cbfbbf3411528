"""Reading: manifests by tag and digest, blobs and their ranges, lists; what is deleted; who may not ask."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest
from structlog.testing import capture_logs

from jackstay_agent.metadata import images as image_rows
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from tests.unit.agent.images.image_host import Made, descriptor, platform, tar
from tests.unit.agent.registry_server.registry_host import RegistryHost

A = tar({"a": os.urandom(3 << 20)})


async def test_a_registry_answers(registry: RegistryHost) -> None:
    for path in ("/v2/", "/v2"):
        answer = (await registry.ask("GET", path)).ok(200)
        assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"
        assert answer.json == {}
    (await registry.ask("HEAD", "/v2/")).ok(200)


async def test_a_manifest_by_tag_and_by_digest(registry: RegistryHost) -> None:
    made = Made([A])
    root = await registry.push("app", "1", made)
    for reference in ("1", root.digest):
        got = (await registry.ask("GET", f"/v2/app/manifests/{reference}")).ok(200)
        assert got.body == made.blobs[root.digest]
        head = (await registry.ask("HEAD", f"/v2/app/manifests/{reference}")).ok(200)
        assert head.body == b""
        for answer in (got, head):
            assert answer.headers["Content-Type"] == media_types.OCI_MANIFEST
            assert answer.headers["Docker-Content-Digest"] == root.digest
            assert answer.headers["Content-Length"] == str(root.size)


async def test_a_manifest_that_is_not_here(registry: RegistryHost) -> None:
    (await registry.ask("GET", "/v2/app/manifests/1")).refused(404, "NAME_UNKNOWN")
    (await registry.ask("GET", "/v2/app/tags/list")).refused(404, "NAME_UNKNOWN")
    made = Made([A])
    await registry.push("app", "1", made)
    (await registry.ask("GET", "/v2/app/manifests/2")).refused(404, "MANIFEST_UNKNOWN")
    (await registry.ask("GET", f"/v2/app/manifests/{Digest.of(b'')}")).refused(404, "MANIFEST_UNKNOWN")
    (await registry.ask("GET", f"/v2/app/manifests/{made.image_id}")).refused(404, "MANIFEST_UNKNOWN")  # a config
    (await registry.ask("GET", f"/v2/app/manifests/{Digest.of(A)}")).refused(404, "MANIFEST_UNKNOWN")  # a layer
    (await registry.ask("GET", "/v2/app/manifests/sha256:1")).refused(400, "DIGEST_INVALID")


async def test_what_a_client_accepts_is_respected(registry: RegistryHost) -> None:
    made = Made([A])
    root = await registry.push("app", str(made.root.digest), made)
    inner = {"mediaType": root.media_type, "digest": str(root.digest), "size": root.size, "platform": platform()}
    index = made.index(inner)
    (await registry.manifest("app", "1", index, made.blobs[index.digest])).ok(201)
    for accept, expected in (
        ("*/*", index.digest),
        ("application/*;q=0.5", index.digest),
        (f"{media_types.OCI_MANIFEST}, {media_types.OCI_INDEX}", index.digest),
        (media_types.OCI_MANIFEST, root.digest),
    ):
        got = (await registry.ask("GET", "/v2/app/manifests/1", Accept=accept)).ok(200)
        assert got.headers["Docker-Content-Digest"] == expected
    (await registry.ask("GET", "/v2/app/manifests/1", Accept="text/html")).refused(404, "MANIFEST_UNKNOWN")
    wrong = await registry.ask("GET", f"/v2/app/manifests/{root.digest}", Accept=media_types.OCI_INDEX)
    wrong.refused(404, "MANIFEST_UNKNOWN")


async def test_ranges_of_a_blob(registry: RegistryHost) -> None:
    digest = await registry.blob("app", A)
    path = f"/v2/app/blobs/{digest}"
    whole = (await registry.ask("GET", path)).ok(200)
    assert (whole.body, whole.headers["Accept-Ranges"]) == (A, "bytes")
    head = (await registry.ask("HEAD", path)).ok(200)
    assert (head.headers["Content-Length"], head.headers["Docker-Content-Digest"]) == (str(len(A)), digest)
    for asked, begin, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-", 10, len(A)),
        (f"bytes=2000000-{1 << 40}", 2_000_000, len(A)),
        ("bytes=-5", len(A) - 5, len(A)),
        (f"bytes=-{1 << 40}", 0, len(A)),
    ):
        part = (await registry.ask("GET", path, Range=asked)).ok(206)
        assert part.body == A[begin:end]
        assert part.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(A)}"
    for odd in ("bytes=1-2,4-5", "lines=1-2", "bytes=5-1", "bytes=-", "bytes=x-"):
        assert (await registry.ask("GET", path, Range=odd)).ok(200).body == A
    for beyond in (f"bytes={len(A)}-", "bytes=-0"):
        refused = (await registry.ask("GET", path, Range=beyond)).refused(416, "SIZE_INVALID")
        assert refused.headers["Content-Range"] == f"bytes */{len(A)}"


async def test_a_blob_that_is_not_here(registry: RegistryHost) -> None:
    for method in ("GET", "DELETE"):
        (await registry.ask(method, f"/v2/app/blobs/{Digest.of(b'')}")).refused(404, "BLOB_UNKNOWN")
        (await registry.ask(method, "/v2/app/blobs/sha256:../../etc/passwd")).refused(404, "UNSUPPORTED")
        (await registry.ask(method, "/v2/app/blobs/sha256:..%2Fpasswd")).refused(404, "UNSUPPORTED")
        (await registry.ask(method, "/v2/app/blobs/md5:00")).refused(400, "DIGEST_INVALID")
    assert (await registry.ask("HEAD", f"/v2/app/blobs/{Digest.of(b'')}")).status == 404


async def test_a_slow_reader_is_waited_for_and_then_given_up(
    registry: RegistryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = os.urandom(6 << 20)
    digest = await registry.blob("app", large)
    monkeypatch.setattr("jackstay_agent.registry_server.blob_requests.PATIENCE", 0.2)
    reader, writer = await asyncio.open_unix_connection(str(registry.path), limit=1 << 12)
    writer.write(f"GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    while not registry.busy:
        await asyncio.sleep(0.01)
    while registry.busy:
        await asyncio.sleep(0.01)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await reader.readexactly(len(large))
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_lists_come_page_by_page(registry: RegistryHost) -> None:
    root = await registry.push("app", "b", Made([tar({"a": b"a"})]))
    for name in ("app:a", "app:c", "app:B", "ghcr.io/x/y:1", "zed:1"):
        await registry.host.images.tag("app:b", name)
    assert (await registry.ask("GET", "/v2/app/tags/list")).json == {"name": "app", "tags": ["B", "a", "b", "c"]}
    first = (await registry.ask("GET", "/v2/app/tags/list?n=3")).ok(200)
    assert first.json["tags"] == ["B", "a", "b"]
    assert first.headers["Link"] == '</v2/app/tags/list?last=b&n=3>; rel="next"'
    second = (await registry.ask("GET", "/v2/app/tags/list?last=b&n=3")).ok(200)
    assert second.json["tags"] == ["c"]
    assert "Link" not in second.headers
    assert (await registry.ask("GET", "/v2/app/tags/list?n=0")).ok(200).json["tags"] == []
    assert (await registry.ask("GET", "/v2/_catalog")).json == {"repositories": ["app", "ghcr.io/x/y", "zed"]}
    page = (await registry.ask("GET", "/v2/_catalog?n=1&last=app")).ok(200)
    assert page.json == {"repositories": ["ghcr.io/x/y"]}
    assert page.headers["Link"] == '</v2/_catalog?last=ghcr.io%2Fx%2Fy&n=1>; rel="next"'
    (await registry.ask("GET", "/v2/_catalog?n=-1")).refused(400, "PAGINATION_NUMBER_INVALID")
    assert root.digest


# --- deleting ----------------------------------------------------------------------------------------------------


async def test_a_tag_is_untagged_and_the_last_takes_the_image(registry: RegistryHost) -> None:
    root = await registry.push("app", "1", Made([A]))
    await registry.host.images.tag("app:1", "app:2")
    (await registry.ask("DELETE", "/v2/app/manifests/1")).ok(202)
    (await registry.ask("DELETE", "/v2/app/manifests/1")).refused(404, "MANIFEST_UNKNOWN")
    (await registry.ask("GET", "/v2/app/manifests/2")).ok(200)
    assert [event.action for event in registry.events] == ["untag"]
    (await registry.ask("DELETE", "/v2/app/manifests/2")).ok(202)
    assert [event.action for event in registry.events] == ["untag", "untag", "delete"]
    (await registry.ask("GET", f"/v2/app/manifests/{root.digest}")).refused(404, "MANIFEST_UNKNOWN")
    await registry.host.whole()


async def test_a_manifest_goes_with_its_tags_in_the_repository(registry: RegistryHost) -> None:
    root = await registry.push("app", "1", Made([A]))
    for name in ("app:2", "other:1"):
        await registry.host.images.tag("app:1", name)
    (await registry.ask("DELETE", f"/v2/app/manifests/{root.digest}")).ok(202)
    (await registry.ask("DELETE", f"/v2/app/manifests/{root.digest}")).refused(404, "MANIFEST_UNKNOWN")
    assert await registry.host.column("SELECT name FROM names") == ["docker.io/library/other:1"]
    (await registry.ask("DELETE", f"/v2/other/manifests/{root.digest}")).ok(202)
    (await registry.ask("DELETE", f"/v2/other/manifests/{root.digest}")).refused(404, "MANIFEST_UNKNOWN")
    assert await registry.host.column("SELECT digest FROM blobs") == []


async def test_what_a_container_uses_is_not_deleted(registry: RegistryHost) -> None:
    root = await registry.push("app", "1", Made([A]))
    await registry.host.images.tag("app:1", "app:2")
    await registry.host.container("standing", root.digest)
    (await registry.ask("DELETE", f"/v2/app/manifests/{root.digest}")).refused(409, "DENIED")
    (await registry.ask("DELETE", "/v2/app/manifests/1")).ok(202)
    (await registry.ask("DELETE", "/v2/app/manifests/2")).refused(409, "DENIED")
    assert await registry.host.column("SELECT name FROM names") == ["docker.io/library/app:2"]
    image = await registry.host.database.read(lambda c: image_rows.by_root(c, str(root.digest)))
    assert image is not None


async def test_an_image_without_a_name_is_deleted_by_its_digest(registry: RegistryHost) -> None:
    made = Made([A])
    await registry.push("app", str(made.root.digest), made)
    (await registry.ask("DELETE", f"/v2/app/manifests/{made.root.digest}")).ok(202)
    assert await registry.host.column("SELECT digest FROM blobs") == []


async def test_a_manifest_that_is_only_held_is_deleted_by_its_digest(registry: RegistryHost) -> None:
    made = Made([A], config={"os": "plan9", "architecture": "mips"})
    await registry.push("app", str(made.root.digest), made)
    assert await registry.host.column("SELECT root FROM images") == []
    (await registry.ask("DELETE", f"/v2/app/manifests/{made.root.digest}")).ok(202)


async def test_a_blob_goes_when_nothing_needs_it(registry: RegistryHost) -> None:
    await registry.push("app", "1", Made([A]))
    (await registry.ask("DELETE", f"/v2/app/blobs/{Digest.of(A)}")).refused(405, "UNSUPPORTED")
    alone = await registry.blob("app", b"alone")
    (await registry.ask("DELETE", f"/v2/app/blobs/{alone}")).ok(202)
    (await registry.ask("GET", f"/v2/app/blobs/{alone}")).refused(404, "BLOB_UNKNOWN")


# --- hostile requests --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "UNSUPPORTED"),
        ("GET", "/v2x/", 404, "UNSUPPORTED"),
        ("GET", "/v1/_ping", 404, "UNSUPPORTED"),
        ("GET", "/v2/manifests/1", 404, "UNSUPPORTED"),
        ("GET", "/v2/app", 404, "UNSUPPORTED"),
        ("GET", "/v2/App/manifests/1", 400, "NAME_INVALID"),
        ("GET", "/v2/app:1/manifests/1", 400, "NAME_INVALID"),
        ("GET", "/v2/a//b/manifests/1", 400, "NAME_INVALID"),
        ("GET", "/v2/a%2F..%2Fb/manifests/1", 400, "NAME_INVALID"),
        ("GET", "/v2/a%00b/manifests/1", 400, "NAME_INVALID"),
        ("GET", "/v2/sha256/manifests/1", 400, "NAME_INVALID"),
        ("PUT", f"/v2/{'a' * 300}/manifests/1", 400, "NAME_INVALID"),
        ("PUT", f"/v2/{'a' * 64}/manifests/1", 400, "NAME_INVALID"),
        ("GET", "/v2/app/manifests/.hidden", 400, "MANIFEST_INVALID"),
        ("POST", "/v2/", 405, "UNSUPPORTED"),
        ("TRACE", "/v2/app/manifests/1", 405, "UNSUPPORTED"),
        ("PATCH", "/v2/app/blobs/uploads/", 405, "UNSUPPORTED"),
    ],
)
async def test_paths_that_mean_nothing(registry: RegistryHost, method: str, path: str, status: int, code: str) -> None:
    answer = (await registry.ask(method, path)).refused(status, code)
    assert ("Allow" in answer.headers) == (status == 405)


async def test_pages_of_a_browser_are_refused(registry: RegistryHost) -> None:
    (await registry.ask("GET", "/v2/", Origin="http://evil.example")).refused(403, "DENIED")
    (await registry.ask("GET", "/v2/", host="rebound.example:5000")).refused(403, "DENIED")
    for host in ("127.0.0.1:5000", "localhost:5000", "[::1]:5000", "10.0.0.1", "host.docker.internal:5000"):
        (await registry.ask("GET", "/v2/", host=host)).ok(200)


async def test_a_mistake_of_the_agent_is_told_without_details(
    registry: RegistryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(*_: object) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(image_rows, "names_in", mistake)
    with capture_logs() as logs:
        answer = (await registry.ask("GET", "/v2/app/tags/list")).refused(500, "UNKNOWN")
    assert any(isinstance(line.get("exc_info"), RuntimeError) for line in logs)
    assert b"the inside" not in answer.body


async def test_headers_are_bounded(registry: RegistryHost) -> None:
    reader, writer = await asyncio.open_unix_connection(str(registry.path))
    writer.write(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_body_is_not_unpacked(registry: RegistryHost) -> None:
    begun = (await registry.ask("POST", "/v2/app/blobs/uploads/")).headers["Location"]
    data = descriptor("a/b", b"")["digest"].encode()
    (await registry.ask("PATCH", begun, data, Content_Encoding="gzip")).ok(202)
    (await registry.ask("PUT", f"{begun}?digest={Digest.of(data)}")).ok(201)
