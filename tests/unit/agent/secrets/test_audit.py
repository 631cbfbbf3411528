"""What is told of the folder of secrets, and how it is put right."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jackstay_agent.errors import Error
from jackstay_agent.metadata.database import Database
from jackstay_agent.metadata.secrets import SecretRow
from jackstay_agent.secrets import files
from jackstay_agent.secrets.audit import FOLDER, Audit, compare
from jackstay_agent.secrets.service import Secrets

DB, KEY = SecretRow("db", "1a", 0, 0, {}), SecretRow("key", "2b", 0, 0, {})


def look(mode: int, uid: int = 0, gid: int = 0) -> os.stat_result:
    return os.stat_result((mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


GOOD = {FOLDER: look(stat.S_IFDIR | 0o700), "1a": look(stat.S_IFREG | 0o600), "2b": look(stat.S_IFREG | 0o600)}


def test_what_fits_is_nothing() -> None:
    assert compare([DB, KEY], GOOD, 0, 0) == Audit((), (), ())
    assert compare([], {}, 0, 0) == Audit((), (), ())


def test_what_lies_in_place_of_a_file_is_none() -> None:
    for kind in (stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO):
        assert compare([DB, KEY], GOOD | {"1a": look(kind | 0o600)}, 0, 0) == Audit((DB,), (), ())
    assert compare([DB, KEY], {}, 0, 0) == Audit((DB, KEY), (), ())


def test_what_has_no_row_is_orphaned_however_it_looks() -> None:
    assert compare([DB], GOOD | {".new-3": look(stat.S_IFREG)}, 0, 0) == Audit((), (".new-3", "2b"), ())


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "what"),
    [
        (0o644, 0, 0, "has mode 0644 instead of 0600"),
        (0o4600, 0, 0, "has mode 4600 instead of 0600"),
        (0o400, 0, 7, "has mode 0400 instead of 0600 and belongs to 0:7 instead of 0:0"),
        (0o600, 5, 0, "belongs to 5:0 instead of 0:0"),
    ],
)
def test_mode_and_owner(mode: int, uid: int, gid: int, what: str) -> None:
    assert compare([DB, KEY], GOOD | {"2b": look(stat.S_IFREG | mode, uid, gid)}, 0, 0).wrong == (("key", "2b", what),)


def test_the_folders_mode_and_owner() -> None:
    (wrong,) = compare([DB, KEY], GOOD | {FOLDER: look(stat.S_IFDIR | 0o755)}, 0, 0).wrong
    assert wrong == ("", FOLDER, "has mode 0755 instead of 0700")
    assert [name for name, *_ in compare([DB, KEY], GOOD, 5, 0).wrong] == ["", "db", "key"]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(str(tmp_path / "metadata.db"))
    yield opened
    await opened.close()


@pytest.fixture
def secrets(tmp_path: Path, database: Database) -> Secrets:
    return Secrets(str(tmp_path), database)


async def test_what_is_made_fits(secrets: Secrets) -> None:
    assert await secrets.audit() == Audit((), (), ())
    await secrets.create("db", b"value", {})
    assert await secrets.audit() == Audit((), (), ())


async def test_a_secret_that_is_replaced_fits_at_every_moment(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new file has no row for a moment, and its old one none from then on: nobody looks meanwhile."""
    await secrets.create("db", b"value", {})
    write, remove = files.write, files.remove
    audits: list[asyncio.Future[Audit]] = []
    loop = asyncio.get_running_loop()

    def begin() -> None:
        audits.append(loop.create_task(secrets.audit()))

    async def pause() -> None:
        begin()
        await asyncio.sleep(0.05)

    def write_slowly(root: str, entry: str, value: bytes) -> None:
        write(root, entry, value)
        asyncio.run_coroutine_threadsafe(pause(), loop).result()

    def remove_slowly(root: str, entry: str) -> None:
        asyncio.run_coroutine_threadsafe(pause(), loop).result()
        remove(root, entry)

    monkeypatch.setattr(files, "write", write_slowly)
    monkeypatch.setattr(files, "remove", remove_slowly)
    await secrets.create("db", b"other", {}, replace=True)
    assert await asyncio.gather(*audits) == [Audit((), (), ())] * 2


async def test_only_what_is_no_secrets_is_discarded(secrets: Secrets, tmp_path: Path) -> None:
    made = await secrets.create("db", b"value", {})
    (tmp_path / "secrets" / "stray").write_bytes(b"stray")
    (tmp_path / "secrets" / "folder" / "inner").mkdir(parents=True)
    for entry in ("stray", "folder", made.id, "gone"):
        await secrets.discard(entry)
    assert os.listdir(tmp_path / "secrets") == [made.id]


async def test_put_right(secrets: Secrets, tmp_path: Path) -> None:
    made = await secrets.create("db", b"value", {})
    folder, file, other = tmp_path / "secrets", tmp_path / "secrets" / made.id, tmp_path / "other"
    file.chmod(0o4)
    os.chown(file, 5, 6)
    folder.chmod(0o755)
    for entry in (FOLDER, made.id, "gone"):
        await secrets.put_right(entry)
    assert await secrets.audit() == Audit((), (), ())
    assert await secrets.value("db") == b"value"
    other.touch(mode=0o644)
    (folder / "link").symlink_to(other)
    with pytest.raises(Error):
        await secrets.put_right("link")
    assert stat.S_IMODE(other.stat().st_mode) == 0o644
