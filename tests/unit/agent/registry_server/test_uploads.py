"""Uploads: whole, streamed, in chunks; across broken connections and restarts; wrong, too large, on a full disk."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jackstay_agent.metadata import usage
from jackstay_agent.registry_server import body, uploads
from jackstay_oci.digest import Digest
from jackstay_oci.errors import Busy, DiskFull
from jackstay_oci.store.ingest import Ingest
from tests.unit.agent.images.image_host import Made, tar
from tests.unit.agent.registry_server.registry_host import Answer, RegistryHost

DATA = os.urandom((3 << 20) + 17)
DIGEST = Digest.of(DATA)


async def begun(registry: RegistryHost, name: str = "app") -> str:
    """The path of a new upload."""
    answer = (await registry.ask("POST", f"/v2/{name}/blobs/uploads/")).ok(202)
    assert answer.headers["Range"] == "0-0"
    assert answer.headers["Location"].endswith(answer.headers["Docker-Upload-UUID"])
    return answer.headers["Location"]


async def chunk(registry: RegistryHost, path: str, start: int, end: int, **headers: str) -> Answer:
    return await registry.ask("PATCH", path, DATA[start:end], Content_Range=f"{start}-{end - 1}", **headers)


async def nothing_is_left(registry: RegistryHost) -> None:
    await registry.host.collector.collect()
    await registry.host.whole()
    assert await registry.host.column("SELECT digest FROM blobs") == []


async def broken(registry: RegistryHost, path: str, start: int, end: int) -> None:
    """Send bytes of an upload that is announced as longer, and go away."""
    _, writer = await asyncio.open_unix_connection(str(registry.path))
    writer.write(f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(DATA)}\r\n\r\n".encode())
    writer.write(DATA[start:end])
    await writer.drain()
    while not registry.busy:
        await asyncio.sleep(0.01)
    writer.close()
    await writer.wait_closed()
    while registry.busy:
        await asyncio.sleep(0.01)


async def test_a_blob_in_one_request(registry: RegistryHost) -> None:
    answer = (await registry.ask("POST", f"/v2/app/blobs/uploads/?digest={DIGEST}", DATA)).ok(201)
    assert answer.headers["Location"] == f"/v2/app/blobs/{DIGEST}"
    assert (await registry.ask("GET", answer.headers["Location"])).ok(200).body == DATA
    assert await registry.host.column("SELECT ref FROM ingests") == []


async def test_a_blob_in_one_request_that_is_another_leaves_nothing(registry: RegistryHost) -> None:
    (await registry.ask("POST", f"/v2/app/blobs/uploads/?digest={Digest.of(b'x')}", DATA)).refused(
        400, "DIGEST_INVALID"
    )
    (await registry.ask("POST", "/v2/app/blobs/uploads/?digest=md5:x", DATA)).refused(400, "DIGEST_INVALID")
    await nothing_is_left(registry)


async def test_an_empty_blob(registry: RegistryHost) -> None:
    digest = Digest.of(b"")
    (await registry.ask("POST", f"/v2/app/blobs/uploads/?digest={digest}")).ok(201)
    assert (await registry.ask("GET", f"/v2/app/blobs/{digest}")).ok(200).body == b""
    assert (await registry.ask("HEAD", f"/v2/app/blobs/{digest}")).ok(200).headers["Content-Length"] == "0"


async def test_chunks_in_their_order(registry: RegistryHost) -> None:
    path = await begun(registry)
    first = (await chunk(registry, path, 0, 1000)).ok(202)
    assert (first.headers["Range"], first.headers["Location"]) == ("0-999", path)
    again = (await chunk(registry, path, 0, 1000)).refused(416, "BLOB_UPLOAD_INVALID")
    assert (again.headers["Range"], again.headers["Location"]) == ("0-999", path)
    (await chunk(registry, path, 2000, 3000)).refused(416, "BLOB_UPLOAD_INVALID")
    status = (await registry.ask("GET", path)).ok(204)
    assert (status.headers["Range"], status.headers["Location"]) == ("0-999", path)
    last = await registry.ask("PUT", f"{path}?digest={DIGEST}", DATA[1000:], Content_Range=f"1000-{len(DATA) - 1}")
    last.ok(201)
    assert (await registry.ask("GET", f"/v2/app/blobs/{DIGEST}")).ok(200).body == DATA
    (await registry.ask("GET", path)).refused(404, "BLOB_UPLOAD_UNKNOWN")


async def test_a_chunk_is_as_long_as_it_says(registry: RegistryHost) -> None:
    path = await begun(registry)
    (await registry.ask("PATCH", path, b"12345", Content_Range="0-9")).refused(400, "SIZE_INVALID")

    async def stream() -> AsyncIterator[bytes]:
        yield b"12345"

    (await registry.ask("PATCH", path, stream(), Content_Range="0-9")).refused(400, "SIZE_INVALID")
    for wrong in ("5-1", "x", "0", "-1-2"):
        (await registry.ask("PATCH", path, b"1", Content_Range=wrong)).refused(400, "BLOB_UPLOAD_INVALID")


async def test_a_broken_upload_goes_on_where_it_broke(registry: RegistryHost) -> None:
    path = await begun(registry)
    await broken(registry, path, 0, 1_500_000)
    status = (await registry.ask("GET", path)).ok(204)
    came = int(status.headers["Range"].partition("-")[2]) + 1
    assert 0 < came <= 1_500_000
    (await chunk(registry, path, came, len(DATA))).ok(202)
    (await registry.ask("PUT", f"{path}?digest={DIGEST}")).ok(201)


async def test_an_upload_goes_on_after_a_restart(registry: RegistryHost) -> None:
    path = await begun(registry)
    (await chunk(registry, path, 0, 2_000_000)).ok(202)
    await registry.restart()
    assert (await registry.ask("GET", path)).ok(204).headers["Range"] == "0-1999999"
    (await chunk(registry, path, 2_000_000, len(DATA))).ok(202)
    (await registry.ask("PUT", f"{path}?digest={DIGEST}")).ok(201)
    assert (await registry.ask("GET", f"/v2/app/blobs/{DIGEST}")).ok(200).body == DATA


async def test_an_idle_upload_is_closed_and_goes_on(registry: RegistryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "IDLE", 0.01)
    path = await begun(registry)
    (await chunk(registry, path, 0, 1000)).ok(202)
    ref = (await registry.host.column("SELECT ref FROM ingests"))[0]
    for _ in range(500):
        try:
            ingest = await registry.host.content.ingest(ref)
        except Busy:
            await asyncio.sleep(0.01)
            continue
        await asyncio.to_thread(ingest.close)
        break
    else:
        pytest.fail("the upload stays open")
    (await chunk(registry, path, 1000, len(DATA))).ok(202)
    (await registry.ask("PUT", f"{path}?digest={DIGEST}")).ok(201)


async def test_two_requests_for_one_upload_come_one_after_the_other(registry: RegistryHost) -> None:
    path = await begun(registry)
    answers = await asyncio.gather(*(chunk(registry, path, 0, 1 << 20) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [202, 416, 416]


async def test_an_upload_is_its_repositorys_and_its_id_cannot_be_guessed(registry: RegistryHost) -> None:
    path = await begun(registry)
    assert len(path.rpartition("/")[2]) >= 32
    for other in (path.replace("/app/", "/other/"), f"{path}0", f"/v2/app/blobs/uploads/{secrets.token_hex(16)}"):
        (await registry.ask("GET", other)).refused(404, "BLOB_UPLOAD_UNKNOWN")
        (await registry.ask("PATCH", other, b"x")).refused(404, "BLOB_UPLOAD_UNKNOWN")
        (await registry.ask("PUT", f"{other}?digest={DIGEST}")).refused(404, "BLOB_UPLOAD_UNKNOWN")
        (await registry.ask("DELETE", other)).refused(404, "BLOB_UPLOAD_UNKNOWN")
    assert len(await registry.host.column("SELECT ref FROM ingests")) == 1


async def test_an_upload_can_be_given_up_to_make_room(registry: RegistryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "IDLE", 0.0)
    path = await begun(registry)
    (await chunk(registry, path, 0, 1000)).ok(202)
    (found,) = await registry.host.database.read(usage.ingests)
    assert not found.active
    while not await registry.host.room.make():
        await asyncio.sleep(0.01)
    (await registry.ask("GET", path)).refused(404, "BLOB_UPLOAD_UNKNOWN")
    await nothing_is_left(registry)


async def test_a_cancelled_upload_is_gone(registry: RegistryHost) -> None:
    path = await begun(registry)
    (await chunk(registry, path, 0, 1000)).ok(202)
    (await registry.ask("DELETE", path)).ok(204)
    (await registry.ask("GET", path)).refused(404, "BLOB_UPLOAD_UNKNOWN")
    await nothing_is_left(registry)


async def test_wrong_bytes_are_refused_and_deleted(registry: RegistryHost) -> None:
    path = await begun(registry)
    (await chunk(registry, path, 0, 1000)).ok(202)
    (await registry.ask("PUT", f"{path}?digest={DIGEST}")).refused(400, "DIGEST_INVALID")
    (await registry.ask("GET", path)).refused(404, "BLOB_UPLOAD_UNKNOWN")
    await nothing_is_left(registry)


async def test_without_a_digest_an_upload_does_not_end(registry: RegistryHost) -> None:
    path = await begun(registry)
    (await registry.ask("PUT", path, b"x")).refused(400, "DIGEST_INVALID")
    (await registry.ask("GET", path)).ok(204)


async def test_an_upload_is_bounded(registry: RegistryHost) -> None:
    path = await begun(registry)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    with_end = asyncio.create_task(registry.ask("PATCH", path, endless()))
    try:
        (await with_end).refused(413, "SIZE_INVALID")
    except OSError:  # the answer came while bytes were still on their way
        pass
    (await registry.ask("GET", path)).refused(404, "BLOB_UPLOAD_UNKNOWN")
    await nothing_is_left(registry)


async def test_a_full_disk_is_said_and_the_upload_goes_on(
    registry: RegistryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await begun(registry)
    (await chunk(registry, path, 0, 1000)).ok(202)

    def full(*_: Any) -> int:
        raise DiskFull("no space left", hint="make room")

    with monkeypatch.context() as patched:
        patched.setattr(Ingest, "write", full)
        answer = (await chunk(registry, path, 1000, len(DATA))).refused(507, "UNKNOWN")
        assert "no space left; make room" in answer.json["errors"][0]["message"]
    with monkeypatch.context() as patched:
        patched.setattr(Ingest, "commit", full)
        (await registry.ask("PUT", f"{path}?digest={DIGEST}", DATA[1000:])).refused(507, "UNKNOWN")
    (await registry.ask("PUT", f"{path}?digest={DIGEST}")).ok(201)


async def test_a_broken_disk_is_said(registry: RegistryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await begun(registry)

    def broken_disk(*_: Any) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Ingest, "write", broken_disk)
    (await registry.ask("PATCH", path, b"x")).refused(500, "UNKNOWN")


async def test_a_silent_client_is_given_up_and_what_it_sent_is_kept(
    registry: RegistryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "PATIENCE", 0.1)
    path = await begun(registry)
    reader, writer = await asyncio.open_unix_connection(str(registry.path))
    writer.write(f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()
    await writer.wait_closed()
    assert (await registry.ask("GET", path)).ok(204).headers["Range"] == "0-4"


async def test_a_body_that_breaks_off_is_refused(registry: RegistryHost) -> None:
    path = await begun(registry)
    reader, writer = await asyncio.open_unix_connection(str(registry.path))
    writer.write(f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    writer.write(b"5\r\n12345\r\nno number\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    (await registry.ask("GET", path)).ok(204)  # nobody has it any more


async def test_a_blob_that_is_here_is_mounted(registry: RegistryHost) -> None:
    await registry.push("app", "1", made := Made([tar({"a": b"a"})]))
    layer = made.manifest["layers"][0]["digest"]
    answer = (await registry.ask("POST", f"/v2/other/blobs/uploads/?mount={layer}&from=app")).ok(201)
    assert answer.headers["Location"] == f"/v2/other/blobs/{layer}"
    missing = await registry.ask("POST", f"/v2/other/blobs/uploads/?mount={DIGEST}&from=app")
    assert "/blobs/uploads/" in missing.ok(202).headers["Location"]


async def test_memory_does_not_grow_with_what_is_sent(registry: RegistryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    held = 0
    written = asyncio.Event()
    loop = asyncio.get_running_loop()
    go_on = asyncio.Event()

    async def slow(self: uploads.Upload, piece: bytearray) -> None:
        nonlocal held
        held = max(held, len(piece))
        loop.call_soon(written.set)
        await go_on.wait()

    monkeypatch.setattr(uploads.Upload, "write", slow)
    path = await begun(registry)
    given = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(64):
            given += 1 << 20
            yield bytes(1 << 20)

    sending = asyncio.create_task(registry.ask("PATCH", path, stream()))
    await written.wait()
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert held < body.PIECE + (1 << 20)
    assert given < 8 << 20
    go_on.set()
    (await sending).ok(202)
