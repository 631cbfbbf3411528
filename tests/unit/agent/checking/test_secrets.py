"""Secrets that are not as they were made: told, put right where that is possible, and never shown."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import AsyncGenerator
from dataclasses import astuple, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jackstay_agent.checking import check
from jackstay_agent.checking.findings import Done, Event, Finding
from jackstay_agent.checking.parts import Parts
from jackstay_agent.checking.secrets import SecretCheck
from jackstay_agent.containers.engine import Engine
from jackstay_agent.metadata.database import Database
from jackstay_agent.secrets import files
from jackstay_agent.secrets.service import Secrets

VALUE = b"correct horse battery staple"
REPAIR = "run system check --repair"
IMAGE = "sha256:" + "a" * 64


@pytest.fixture
def secrets(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Secrets:
    def read(*_: Any) -> bytes:
        raise AssertionError("a check reads a value")

    monkeypatch.setattr(files, "read", read)
    return Secrets(str(tmp_path), database)


@pytest.fixture
def parts(secrets: Secrets, database: Database) -> Parts:
    none = cast(Any, None)
    return Parts(database, none, none, none, none, cast(Engine, SimpleNamespace(secrets=secrets)))


async def found(parts: Parts, *, repair: bool = False) -> list[Finding]:
    findings = [finding async for finding in SecretCheck(parts, repair=repair).run()]
    assert not any("horse" in str(part) for finding in findings for part in astuple(finding))
    return findings


def use(connection: sqlite3.Connection, secrets: Secrets, name: str) -> None:
    """Two containers that get the secret."""
    connection.execute("INSERT INTO blobs VALUES (?, 1, 1)", (IMAGE,))
    connection.execute(
        "INSERT INTO images (root, media_type, manifest, image_id, chain_id, created, stored)"
        " VALUES (?1, '', ?1, ?1, '', 0, 0)",
        (IMAGE,),
    )
    for container in ("web", "api"):
        connection.execute(
            "INSERT INTO containers (id, name, image, image_root, image_id, snapshot, config, state, created)"
            " VALUES (?1, ?1, '', ?2, '', ?1, '{}', 'created', 0)",
            (container, IMAGE),
        )
        secrets.add_use(connection, container, name)


async def test_what_is_as_it_was_made(parts: Parts, secrets: Secrets) -> None:
    assert await found(parts) == []
    await secrets.create("db", VALUE, {})
    assert await found(parts, repair=True) == []


@pytest.mark.parametrize("repair", [False, True])
async def test_a_value_that_is_gone(
    parts: Parts, secrets: Secrets, database: Database, tmp_path: Path, repair: bool
) -> None:
    for name in ("db", "key"):
        made = await secrets.create(name, VALUE, {})
        (tmp_path / "secrets" / made.id).unlink()
    await database.write("test", lambda c: use(c, secrets, "key"))
    again = "give it again with jackstay secret create --replace"
    missing = [
        Finding(
            "missing", "secret", "db", "its file is gone; nothing needs it",
            hint=f"{again} db, or remove it with jackstay secret rm db",
        ),
        Finding("missing", "secret", "key", "its file is gone; container api, web need it", hint=f"{again} key"),
    ]  # fmt: skip
    assert await found(parts, repair=repair) == missing
    await secrets.create("key", VALUE, {}, replace=True)
    await secrets.remove("db")
    assert await found(parts, repair=repair) == []


async def test_a_file_that_belongs_to_nothing(parts: Parts, secrets: Secrets, tmp_path: Path) -> None:
    made = await secrets.create("db", VALUE, {})
    stray = tmp_path / "secrets" / ".new-1"
    stray.write_bytes(VALUE)
    detail = f"{stray} belongs to nothing"
    assert await found(parts) == [Finding("orphaned", "secret", ".new-1", detail, hint=REPAIR)]
    assert stray.exists()
    assert await found(parts, repair=True) == [Finding("orphaned", "secret", ".new-1", detail, repaired=True)]
    assert os.listdir(tmp_path / "secrets") == [made.id]
    assert await found(parts) == []


async def test_a_file_that_others_may_open(parts: Parts, secrets: Secrets, tmp_path: Path) -> None:
    made = await secrets.create("db", VALUE, {})
    folder, file = tmp_path / "secrets", tmp_path / "secrets" / made.id
    folder.chmod(0o711)
    file.chmod(0o644)
    os.chown(file, 5, 0)
    wrong = [
        Finding("wrong", "secret", str(folder), f"{folder} has mode 0711 instead of 0700"),
        Finding("wrong", "secret", "db", f"{file} has mode 0644 instead of 0600 and belongs to 5:0 instead of 0:0"),
    ]
    assert await found(parts) == [replace(finding, hint=REPAIR) for finding in wrong]
    assert await found(parts, repair=True) == [replace(finding, repaired=True) for finding in wrong]
    assert (stat.S_IMODE(file.stat().st_mode), file.stat().st_uid) == (0o600, 0)
    assert file.read_bytes() == VALUE
    assert await found(parts) == []


async def test_what_cannot_be_repaired(parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stray = tmp_path / "secrets" / "stray"
    stray.parent.mkdir(mode=0o700)
    stray.touch()

    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.unlink", refuse)
    (finding,) = await found(parts, repair=True)
    assert not finding.repaired
    assert finding.detail.startswith(f"{stray} belongs to nothing, and cannot be repaired: ")
    assert finding.hint == f"look at {stray} on the host"


class Sound:
    """A check of other things, with which all is well."""

    count = bytes = 0
    layers: tuple[()] = ()

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    async def run(self) -> AsyncGenerator[Event, None]:
        for event in ():
            yield event


async def test_the_whole_check_looks_at_secrets(
    parts: Parts, secrets: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("Blob", "Container", "Database", "Image", "Layer", "Leftover"):
        monkeypatch.setattr(check, f"{other}Check", Sound)
    await secrets.create("db", VALUE, {})
    (tmp_path / "secrets" / "stray").touch()
    events = [event async for event in check.Checker(parts).check(repair=True)]
    assert [event.name for event in events if isinstance(event, Finding)] == ["stray"]
    assert events[-1] == Done(0, 0, 0, 0, 1, 1)
