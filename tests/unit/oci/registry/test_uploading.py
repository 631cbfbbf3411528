"""Uploads: in one request and in chunks, resumed, begun anew, given up, against a registry in memory."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator

import pytest

from jackstay_oci.digest import Digest
from jackstay_oci.errors import DigestMismatch, DiskFull, RegistryFailed, Unauthorized
from jackstay_oci.registry import uploading
from jackstay_oci.registry.retrying import Patience
from tests.unit.oci.registry.uploads import REPOSITORY, FromBytes, Uploads, answered

MIB = 1 << 20
QUICK = Patience(first_pause=0.001, longest_pause=0.002, attempts=4)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "CHUNK", 3 * MIB)
    monkeypatch.setattr(uploading, "WHOLE", 2 * MIB)


async def send(registry: Uploads, reader: FromBytes) -> None:
    await uploading.upload(registry, REPOSITORY, reader.descriptor, reader, patience=QUICK)
    assert registry.blobs[reader.descriptor.digest] == reader.data
    assert registry.uploads == {}


@pytest.mark.parametrize("size", [0, 1, 2 * MIB])
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
async def test_a_small_blob_goes_in_one_request(size: int, absolute: bool) -> None:
    registry = Uploads(absolute=absolute)
    await send(registry, FromBytes(os.urandom(size)))
    assert [request.split()[0] for request in registry.requests] == ["POST", "PUT"]
    assert set(registry.scopes) == {("repository:team/app:pull,push",)}


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
async def test_a_large_blob_goes_in_chunks(absolute: bool) -> None:
    registry = Uploads(absolute=absolute)
    reader = FromBytes(os.urandom(7 * MIB + 5))
    await send(registry, reader)
    assert [request.split()[0] for request in registry.requests] == ["POST", "PATCH", "PATCH", "PATCH", "PUT"]
    assert reader.reads == [(0, 3 * MIB), (3 * MIB, 3 * MIB), (6 * MIB, MIB + 5)]


async def test_chunks_are_as_long_as_the_registry_wants_them_at_least() -> None:
    registry = Uploads(headers={"OCI-Chunk-Min-Length": str(5 * MIB)})
    reader = FromBytes(os.urandom(7 * MIB))
    await send(registry, reader)
    assert reader.reads == [(0, 5 * MIB), (5 * MIB, 2 * MIB)]


@pytest.mark.parametrize("tells_range", [True, False], ids=["tells", "silent"])
async def test_what_the_registry_says_that_it_took_may_be_missing(tells_range: bool) -> None:
    registry = Uploads(tells_range=tells_range)
    await send(registry, FromBytes(os.urandom(7 * MIB)))
    assert registry.received == 7 * MIB


@pytest.mark.parametrize("checks_range", [True, False], ids=["checks", "appends"])
async def test_a_broken_connection_is_gone_on_from(checks_range: bool) -> None:
    """Also with registries that append a chunk wherever they stand: nothing may be sent twice."""
    registry = Uploads(breaks=[2 * MIB, MIB, MIB], drops=1000, checks_range=checks_range)
    reader = FromBytes(os.urandom(8 * MIB))
    await send(registry, reader)
    assert registry.received == 8 * MIB + 3 * 1000
    assert reader.reads[1] == (2 * MIB - 1000, 3 * MIB)


async def test_a_blob_in_one_request_is_gone_on_from_too() -> None:
    registry = Uploads(breaks=[MIB])
    reader = FromBytes(os.urandom(2 * MIB))
    await send(registry, reader)
    assert reader.reads == [(0, 2 * MIB), (MIB, MIB)]


async def test_an_upload_that_the_registry_has_forgotten_is_begun_anew() -> None:
    registry = Uploads(breaks=[2 * MIB], forget=True)
    reader = FromBytes(os.urandom(5 * MIB))
    await send(registry, reader)
    assert reader.reads == [(0, 3 * MIB), (0, 3 * MIB), (3 * MIB, 2 * MIB)]


async def test_one_that_does_not_say_what_it_has_gets_the_blob_anew() -> None:
    registry = Uploads(breaks=[2 * MIB], tells_range=False)
    reader = FromBytes(os.urandom(5 * MIB))
    await uploading.upload(registry, REPOSITORY, reader.descriptor, reader, patience=QUICK)
    assert registry.blobs[reader.descriptor.digest] == reader.data
    assert reader.reads[1] == (0, 3 * MIB)


@pytest.mark.parametrize("size", [MIB, 5 * MIB], ids=["whole", "chunks"])
async def test_a_lost_answer_of_the_last_request_is_no_failure(size: int) -> None:
    registry = Uploads(lose_answer_of_put=True)
    reader = FromBytes(os.urandom(size))
    await send(registry, reader)
    assert registry.received == size
    assert registry.requests[-1] == f"HEAD {reader.descriptor.digest}"


async def test_a_registry_that_is_out_of_order_for_a_while_is_waited_for() -> None:
    bad = iter([500, 503, 429, 0])
    registry = Uploads()
    registry.answers.append(
        lambda method, _url: answered(status) if method == "PATCH" and (status := next(bad, 0)) else None
    )
    await send(registry, FromBytes(os.urandom(5 * MIB)))
    assert registry.received == 5 * MIB


async def test_what_never_gets_further_is_given_up() -> None:
    registry = Uploads()
    registry.answers.append(lambda method, _url: answered(500, code="BROKEN") if method == "PATCH" else None)
    with pytest.raises(RegistryFailed, match=r"registry\.test is out of order: status 500 for blob sha256:.* broken"):
        await send(registry, FromBytes(os.urandom(5 * MIB)))
    assert sum(request.startswith("PATCH") for request in registry.requests) == QUICK.attempts


async def test_as_long_as_it_gets_further_it_is_not_given_up() -> None:
    registry = Uploads(breaks=[MIB] * 12)
    await send(registry, FromBytes(os.urandom(16 * MIB)))
    assert registry.breaks == []
    assert registry.received == 16 * MIB


async def test_an_upload_that_stands_elsewhere_is_gone_on_from_there() -> None:
    """Status 416: the registry has lost a part of what it took."""
    registry = Uploads()
    reader = FromBytes(os.urandom(7 * MIB))
    patches = iter(range(10))

    def lose(method: str, _url: str) -> None:
        if method == "PATCH" and next(patches) == 1:
            del next(iter(registry.uploads.values()))[MIB:]

    registry.answers.append(lose)
    await send(registry, reader)
    assert reader.reads == [(0, 3 * MIB), (MIB, 3 * MIB), (4 * MIB, 3 * MIB)]


async def test_a_location_that_is_no_longer_good_means_an_upload_from_the_beginning() -> None:
    registry = Uploads(breaks=[2 * MIB], stale=True)
    reader = FromBytes(os.urandom(5 * MIB))
    await uploading.upload(registry, REPOSITORY, reader.descriptor, reader, patience=QUICK)
    assert reader.reads == [(0, 3 * MIB), (0, 3 * MIB), (3 * MIB, 2 * MIB)]


async def test_bytes_that_are_not_the_blob_are_told_as_such() -> None:
    blob = FromBytes(os.urandom(MIB)).descriptor
    other = FromBytes(bytes(MIB))

    class Wrong:
        def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
            return other.read(other.descriptor.digest, offset, length)

    with pytest.raises(DigestMismatch, match=f"registry.test got other bytes than those of blob {blob.digest}"):
        await uploading.upload(Uploads(), REPOSITORY, blob, Wrong(), patience=QUICK)


async def test_a_resumed_upload_with_wrong_bytes_is_tried_from_the_beginning_once() -> None:
    """A registry that says it has no byte, "0-0", when it has one."""
    registry = Uploads(breaks=[1], checks_range=False)
    reader = FromBytes(os.urandom(100), piece=1)
    await send(registry, reader)
    assert reader.reads == [(0, 100), (0, 100), (0, 100)]


async def test_what_the_reader_raises_is_raised_at_once() -> None:
    registry = Uploads()
    with pytest.raises(DiskFull, match="no room"):
        await send(registry, FromBytes(os.urandom(5 * MIB), DiskFull("no room")))
    assert sum(request.startswith("PATCH") for request in registry.requests) == 1


async def test_a_refusal_is_told_at_once() -> None:
    registry = Uploads()
    registry.answers.append(lambda _method, _url: answered(403))
    with pytest.raises(Unauthorized):
        await send(registry, FromBytes(b"data"))
    assert len(registry.requests) == 1


async def test_a_blob_that_is_too_large_is_told_with_what_to_do() -> None:
    registry = Uploads()
    registry.answers.append(lambda method, _url: answered(413) if method == "PUT" else None)
    with pytest.raises(RegistryFailed, match="takes no blob as large as") as raised:
        await send(registry, FromBytes(b"data"))
    assert "proxy" in raised.value.hint


async def test_an_upload_without_a_place_is_no_upload() -> None:
    registry = Uploads()
    registry.answers.append(lambda _method, _url: answered(202))
    with pytest.raises(RegistryFailed, match="names no place"):
        await send(registry, FromBytes(b"data"))


async def test_a_blob_is_mounted_where_the_registry_does_so() -> None:
    digest = Digest.of(b"base")
    registry = Uploads(mounts={"library/base": {digest}})
    assert await uploading.mount(registry, REPOSITORY, digest, "library/base")
    assert registry.requests == ["POST uploads/"]
    assert registry.scopes == [("repository:team/app:pull,push", "repository:library/base:pull")]


async def test_where_it_does_not_the_upload_that_it_began_is_ended() -> None:
    registry = Uploads()
    assert not await uploading.mount(registry, REPOSITORY, Digest.of(b"base"), "library/base")
    assert [request.split()[0] for request in registry.requests] == ["POST", "DELETE"]
    assert registry.uploads == {}
