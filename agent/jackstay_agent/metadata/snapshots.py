"""Rows of snapshots: SQL as functions of a connection, so that one transaction can be made of several of them.

Guarantees: a key names one snapshot; a parent is committed and outlives its children. Leaves to others: the files.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

from jackstay_agent.errors import AlreadyExists, InUse, NotFound, WrongState

_SELECT = (
    "SELECT s.id, s.key, s.kind, p.key AS parent, s.diff_id, s.size, s.inodes"
    " FROM snapshots s LEFT JOIN snapshots p ON p.id = s.parent"
)

EXTRACTION = "extract-"
"""How the key of a snapshot begins that a layer is being unpacked into; it does not outlive the agent's process."""

_EXTRACTIONS = (len(EXTRACTION), EXTRACTION)


def add(connection: sqlite3.Connection, key: str, kind: str, parent: str | None) -> int:
    """Add a row and return its id. Raises `AlreadyExists` for a key that is taken, `NotFound` for no such parent."""
    above = None if parent is None else committed(connection, parent)
    try:
        added = connection.execute(
            "INSERT INTO snapshots (key, kind, parent, created) VALUES (?, ?, ?, ?)",
            (key, kind, above, time.time_ns()),
        )
    except sqlite3.IntegrityError as error:
        raise AlreadyExists(f"snapshot {key} exists already") from error
    assert added.lastrowid is not None
    return added.lastrowid


def find(connection: sqlite3.Connection, key: str) -> sqlite3.Row | None:
    """The row of the snapshot *key* (id, key, kind, parent's key, diff_id, size, inodes), or None."""
    row: sqlite3.Row | None = connection.execute(f"{_SELECT} WHERE s.key = ?", (key,)).fetchone()
    return row


def get(connection: sqlite3.Connection, key: str) -> sqlite3.Row:
    """The row of the snapshot *key*, as `find` gives it. Raises `NotFound`."""
    found = find(connection, key)
    if found is None:
        raise NotFound(f"no snapshot {key}")
    return found


def ancestors(connection: sqlite3.Connection, key: str) -> list[int]:
    """The ids of everything that *key* rests on, nearest first; without *key* itself."""
    rows = connection.execute(
        "WITH RECURSIVE stack (depth, id) AS ("
        " SELECT 1, parent FROM snapshots WHERE key = ? AND parent IS NOT NULL"
        " UNION ALL SELECT depth + 1, s.parent FROM snapshots s JOIN stack USING (id) WHERE s.parent IS NOT NULL"
        ") SELECT id FROM stack ORDER BY depth",
        (key,),
    )
    return [row["id"] for row in rows]


def commit(
    connection: sqlite3.Connection, key: str, name: str, diff_id: str, size: int, inodes: int, boot: str
) -> sqlite3.Row:
    """Make the active snapshot *key*, unpacked in *boot*, the committed one *name*.

    When a committed *name* is there already, *key*'s row goes and the existing one is returned. Raises `NotFound` for
    no *key*, `WrongState` when it is not active or *name* belongs to a snapshot that is not committed.
    """
    own = get(connection, key)
    if own["kind"] != "active":
        raise WrongState(f"snapshot {key} is {own['kind']}, only an active one can be committed")
    existing = find(connection, name)
    if existing is not None:
        if existing["kind"] != "committed":
            raise WrongState(f"snapshot {name} is {existing['kind']}, not committed")
        connection.execute("DELETE FROM snapshots WHERE id = ?", (own["id"],))
        return existing
    connection.execute(
        "UPDATE snapshots SET key = ?, kind = 'committed', diff_id = ?, size = ?, inodes = ?, unsynced = ?"
        " WHERE id = ?",
        (name, diff_id, size, inodes, boot, own["id"]),
    )
    return get(connection, name)


def fill(connection: sqlite3.Connection, key: str, diff_id: str, size: int, inodes: int) -> None:
    """The detached snapshot *key* is unpacked whole; until then it cannot be attached."""
    connection.execute(
        "UPDATE snapshots SET diff_id = ?, size = ?, inodes = ? WHERE key = ? AND kind = 'detached'",
        (diff_id, size, inodes, key),
    )


def attach(connection: sqlite3.Connection, detached: str, key: str, parent: str | None) -> sqlite3.Row:
    """Make the snapshot *detached* the active one *key* on top of *parent*.

    Raises `AlreadyExists` for a key that is taken, `NotFound`, `WrongState` when it is not detached or not filled.
    """
    own = get(connection, detached)
    if own["kind"] != "detached":
        raise WrongState(f"snapshot {detached} is {own['kind']}, not detached")
    if own["diff_id"] is None:
        raise WrongState(f"snapshot {detached} is not unpacked yet")
    above = None if parent is None else committed(connection, parent)
    if find(connection, key) is not None:
        raise AlreadyExists(f"snapshot {key} exists already")
    connection.execute(
        "UPDATE snapshots SET key = ?, parent = ?, kind = 'active' WHERE id = ?", (key, above, own["id"])
    )
    return get(connection, key)


def remove(connection: sqlite3.Connection, key: str) -> sqlite3.Row | None:
    """Remove the row of *key* and return what it was, or None. Raises `InUse` when another rests on it."""
    own = find(connection, key)
    if own is None:
        return None
    child = connection.execute("SELECT key FROM snapshots WHERE parent = ? LIMIT 1", (own["id"],)).fetchone()
    if child is not None:
        raise InUse(f"snapshot {key} is needed by {child['key']}")
    connection.execute("DELETE FROM snapshots WHERE id = ?", (own["id"],))
    return own


def remove_extractions(connection: sqlite3.Connection) -> int:
    """Remove the rows of every extraction that was under way; how many. For the start of the agent."""
    return connection.execute(
        "DELETE FROM snapshots WHERE (kind IN ('active', 'detached') AND substr(key, 1, ?) = ?)"
        " OR (kind = 'detached' AND diff_id IS NULL)",
        _EXTRACTIONS,
    ).rowcount


def unsynced(connection: sqlite3.Connection, boot: str) -> list[int]:
    """The ids of committed snapshots that were unpacked in this *boot* and may not be on the disk yet."""
    found = connection.execute("SELECT id FROM snapshots WHERE kind = 'committed' AND unsynced = ?", (boot,))
    return [row["id"] for row in found]


def doubtful(connection: sqlite3.Connection, boot: str) -> list[str]:
    """The keys of committed snapshots that were not on the disk for certain when an earlier boot than *boot* ended."""
    found = connection.execute(
        "SELECT key FROM snapshots WHERE kind = 'committed' AND unsynced NOT IN ('', ?) ORDER BY id", (boot,)
    )
    return [row["key"] for row in found]


def mark_unsynced(connection: sqlite3.Connection, numbers: Iterable[int], boot: str) -> None:
    """The snapshots with these ids may not be on the disk, being unpacked in *boot*; with "": they are on the disk."""
    connection.executemany("UPDATE snapshots SET unsynced = ? WHERE id = ?", [(boot, number) for number in numbers])


def ids(connection: sqlite3.Connection) -> set[int]:
    """The ids of all snapshots."""
    return {row["id"] for row in connection.execute("SELECT id FROM snapshots")}


def any_kept(connection: sqlite3.Connection) -> bool:
    """Whether there is a snapshot that outlives the agent's process."""
    found = connection.execute("SELECT 1 FROM snapshots WHERE substr(key, 1, ?) <> ? LIMIT 1", _EXTRACTIONS)
    return found.fetchone() is not None


def keys(connection: sqlite3.Connection) -> dict[int, str]:
    """The keys of all snapshots by id."""
    return {row["id"]: row["key"] for row in connection.execute("SELECT id, key FROM snapshots ORDER BY id")}


def replace(
    connection: sqlite3.Connection, key: str, fresh: str, diff_id: str, size: int, inodes: int, boot: str
) -> tuple[int, sqlite3.Row]:
    """Make the active snapshot *fresh* the committed *key* in place of what is that; the id of the old, the new row.

    What rests on the old one rests on the new one then. Raises `NotFound`, `WrongState`.
    """
    old, new = get(connection, key), get(connection, fresh)
    if (old["kind"], new["kind"]) != ("committed", "active"):
        raise WrongState(f"snapshot {key} is {old['kind']}, {fresh} is {new['kind']}: neither can be the other")
    connection.execute("UPDATE snapshots SET parent = ? WHERE parent = ?", (new["id"], old["id"]))
    connection.execute("DELETE FROM snapshots WHERE id = ?", (old["id"],))
    connection.execute(
        "UPDATE snapshots SET key = ?, kind = 'committed', diff_id = ?, size = ?, inodes = ?, unsynced = ?"
        " WHERE id = ?",
        (key, diff_id, size, inodes, boot, new["id"]),
    )
    return old["id"], get(connection, key)


def committed(connection: sqlite3.Connection, key: str) -> int:
    """The id of the committed snapshot *key*. Raises `NotFound`."""
    row = connection.execute("SELECT id FROM snapshots WHERE key = ? AND kind = 'committed'", (key,)).fetchone()
    if row is None:
        raise NotFound(f"no committed snapshot {key}")
    return int(row["id"])
