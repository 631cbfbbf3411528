"""Secrets: kept durably, shown without their values, not removed while a container gets them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent import faults
from jackstay_agent.errors import Ambiguous, Error, InUse, InvalidArgument, NameTaken, NotFound
from jackstay_agent.metadata.database import Database
from jackstay_agent.rpc.secrets import SecretsService
from jackstay_agent.secrets import names
from jackstay_agent.secrets.service import Secrets
from jackstay_proto.v1 import secrets_pb2 as pb

VALUE = b"correct horse battery staple"
DIGEST = "sha256:" + "a" * 64
CONTEXT: Any = None


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(str(tmp_path / "metadata.db"))
    yield opened
    await opened.close()


@pytest.fixture
def secrets(tmp_path: Path, database: Database) -> Secrets:
    return Secrets(str(tmp_path), database)


def kept(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}


async def test_a_secrets_life(secrets: Secrets, tmp_path: Path) -> None:
    told: list[tuple[Any, ...]] = []
    secrets.record = lambda *args: told.append(args)
    made = await secrets.create("db", VALUE, {"tier": "db"})
    assert kept(tmp_path) == {made.id: VALUE}
    modes = [stat.S_IMODE(os.stat(tmp_path / "secrets" / name).st_mode) for name in (".", made.id)]
    assert modes == [0o700, 0o600]
    assert await secrets.value("db") == VALUE
    assert await secrets.list() == [made] == [await secrets.inspect("db")] == [await secrets.inspect(made.id[:4])]
    with pytest.raises(NameTaken, match="a secret db exists already"):
        await secrets.create("db", b"other", {})
    assert await secrets.value("db") == VALUE
    again = await secrets.create("db", b"other", {}, replace=True)
    assert (again.created, again.labels) == (made.created, {})
    assert again.updated > made.updated
    assert kept(tmp_path) == {again.id: b"other"}
    await secrets.remove("db")
    assert kept(tmp_path) == {}
    with pytest.raises(NotFound, match="secret db not found"):
        await secrets.remove("db")
    await secrets.remove("db", force=True)
    with pytest.raises(NotFound):
        await secrets.value("db")
    assert told == [
        ("secret", "create", made.id, {"name": "db"}, {"tier": "db"}),
        ("secret", "update", again.id, {"name": "db"}, {}),
        ("secret", "remove", again.id, {"name": "db"}),
    ]


async def test_what_is_refused_tells_no_value(secrets: Secrets, tmp_path: Path) -> None:
    for name, value in [
        ("", VALUE),
        ("a/b", VALUE),
        ("-x", VALUE),
        ("n" * 254, VALUE),
        ("n", b""),
        ("n", b"v" * 512001),
    ]:
        with pytest.raises(InvalidArgument) as caught:
            await secrets.create(name, value, {})
        assert "horse" not in repr(caught.value)
        assert "vvv" not in repr(caught.value)
    assert not (tmp_path / "secrets").exists()
    await secrets.create("n", b"v" * 512000, {})
    with pytest.raises(InvalidArgument, match="invalid filter 'driver=file'"):
        await secrets.list(["driver=file"])


async def test_the_database_never_has_the_value(secrets: Secrets, tmp_path: Path) -> None:
    await secrets.create("db", VALUE, {"tier": "db"})
    written = [path.read_bytes() for path in tmp_path.glob("metadata.db*")]
    assert any(b'{"tier": "db"}' in part for part in written)
    assert not any(VALUE in part or VALUE.hex().encode() in part for part in written)


async def test_one_that_a_container_gets_stays(secrets: Secrets, database: Database) -> None:
    await secrets.create("db", VALUE, {})

    def create(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO blobs VALUES (?, 1, 1)", (DIGEST,))
        connection.execute(
            "INSERT INTO images (root, media_type, manifest, image_id, chain_id, created, stored)"
            " VALUES (?1, '', ?1, ?1, '', 0, 0)",
            (DIGEST,),
        )
        connection.execute(
            "INSERT INTO containers (id, name, image, image_root, image_id, snapshot, config, state, created)"
            " VALUES ('c1', 'web', '', ?, '', '', '{}', 'created', 0)",
            (DIGEST,),
        )
        secrets.add_use(connection, "c1", "db")

    await database.write("test", create)
    with pytest.raises(InUse, match="secret db is in use by web"):
        await secrets.remove("db", force=True)
    assert await secrets.value("db") == VALUE
    await secrets.create("db", b"other", {}, replace=True)
    with pytest.raises(InUse):
        await secrets.remove("db")
    with pytest.raises(NotFound, match="secret key not found"):
        await database.write("test", lambda c: secrets.add_use(c, "c1", "key"))
    await database.write("test", lambda c: c.execute("DELETE FROM containers"))
    await secrets.remove("db")


class Killed(BaseException):
    """Stands for the agent's death."""


@pytest.mark.parametrize("point", ["secrets.write.synced", "secrets.write.renamed", "metadata.secrets.create"])
async def test_killed_between_file_and_row(
    secrets: Secrets, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    await secrets.create("db", VALUE, {})

    def die(name: str) -> None:
        if name == point:
            raise Killed

    monkeypatch.setattr(faults, "point", die)
    monkeypatch.setattr("jackstay_agent.secrets.files.remove", lambda *_: None)  # who is dead cleans nothing up
    with pytest.raises(Killed):
        await secrets.create("db", b"other", {}, replace=True)
    monkeypatch.undo()
    assert len(kept(tmp_path)) == 2
    after = Secrets(str(tmp_path), database)
    assert await after.clean() == 1
    assert list(kept(tmp_path).values()) == [VALUE]
    assert await after.value("db") == VALUE
    assert await after.clean() == 0


async def test_a_row_that_comes_after_all_has_its_file(
    secrets: Secrets, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the agent stops and cancels who waits for the transaction, which ends all the same."""
    write = database.write

    async def cut(label: str, work: Any) -> Any:
        await write(label, work)
        raise asyncio.CancelledError

    monkeypatch.setattr(database, "write", cut)
    with pytest.raises(asyncio.CancelledError):
        await secrets.create("db", VALUE, {})
    assert await secrets.value("db") == VALUE


async def test_a_value_that_cannot_be_written_leaves_nothing(
    secrets: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await secrets.create("db", VALUE, {})

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Error, match="a secret") as caught:
        await secrets.create("key", b"other", {})
    assert "other" not in str(caught.value)
    monkeypatch.undo()
    assert list(kept(tmp_path).values()) == [VALUE]


async def test_a_value_that_is_gone(secrets: Secrets, tmp_path: Path) -> None:
    made = await secrets.create("db", VALUE, {})
    (tmp_path / "secrets" / made.id).unlink()
    with pytest.raises(Error, match="the value of the secret db is gone"):
        await secrets.value("db")
    await secrets.create("db", VALUE, {}, replace=True)
    assert await secrets.value("db") == VALUE


def test_names_ids_and_filters() -> None:
    rows = [
        names.SecretRow("api", "1a", 0, 0, {"tier": "web"}),
        names.SecretRow("db", "1b", 0, 0, {"tier": "db", "x": ""}),
        names.SecretRow("1b", "2c", 0, 0, {}),
    ]
    assert [names.meant(rows, text) for text in ("db", "1b", "2", "3", "")] == [rows[1], rows[2], rows[2], None, None]
    with pytest.raises(Ambiguous, match="1 is the start of 2 secrets' ids"):
        names.meant(rows, "1")
    for filters, found in [
        (["name=b"], ["db", "1b"]),
        (["name=api", "name=db", "id=1"], ["api", "db"]),
        (["label=tier"], ["api", "db"]),
        (["label=tier=db", "label=x"], ["db"]),
        ([], ["api", "db", "1b"]),
    ]:
        assert [row.name for row in names.matching(rows, filters)] == found
    assert len({names.new_id() for _ in range(9)}) == 9
    assert len(names.new_id()) == 25


async def test_the_service(secrets: Secrets) -> None:
    service = SecretsService(secrets)
    request = pb.CreateSecretRequest(name="db", value=VALUE, labels={"tier": "db"})
    made = (await service.Create(request, CONTEXT)).secret
    assert (made.name, dict(made.labels), made.created > 10**9) == ("db", {"tier": "db"}, True)
    assert made.updated == made.created
    assert {field.name for field in made.DESCRIPTOR.fields} == {"id", "name", "created", "updated", "labels"}
    with pytest.raises(NameTaken):
        await service.Create(request, CONTEXT)
    request.replace = True
    made = (await service.Create(request, CONTEXT)).secret
    assert list((await service.List(pb.ListSecretsRequest(filters=["label=tier"]), CONTEXT)).secrets) == [made]
    assert (await service.Inspect(pb.InspectSecretRequest(secret=made.id), CONTEXT)).secret == made
    await service.Remove(pb.RemoveSecretRequest(secret="db"), CONTEXT)
    await service.Remove(pb.RemoveSecretRequest(secret="db", force=True), CONTEXT)
    with pytest.raises(NotFound):
        await service.Remove(pb.RemoveSecretRequest(secret="db"), CONTEXT)
