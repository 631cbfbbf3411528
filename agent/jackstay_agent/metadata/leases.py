"""The rows of leases: what keeps blobs and snapshots from collection while work is under way.

A fetch's lease is named after its root. When the fetch breaks off, it is *suspended*: what came whole is kept for some
time, so that the next try goes on from there, and is let go at once when the disk is full. So is the lease of a blob
that somebody has uploaded, one a blob, which waits for the image that the blob belongs to.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterable

from jackstay_oci.digest import Digest

NEVER = (1 << 63) - 1

_FETCH = "fetch-"
_UPLOADED = f"{_FETCH}upload-"


def create(connection: sqlite3.Connection, *, fetch: str = "") -> str:
    """A new lease; its id. *fetch* is the root that it fetches, if it does.

    It ends with the work it is for, or with the agent's process: work that takes days, or sees the clock set, keeps
    what it holds.
    """
    lease = f"{_FETCH}{fetch}-{secrets.token_hex(8)}" if fetch else secrets.token_hex(8)
    connection.execute("INSERT INTO leases (id, expires) VALUES (?, ?)", (lease, NEVER))
    return lease


def suspend(connection: sqlite3.Connection, lease: str, duration: int) -> None:
    """The work of *lease* broke off; keep what it holds for *duration* nanoseconds more."""
    connection.execute("UPDATE leases SET expires = ? WHERE id = ?", (time.time_ns() + duration, lease))


def end_suspended(connection: sqlite3.Connection, *, fetch: str = "") -> list[str]:
    """End the suspended leases of the root *fetch*, or every one; which they were."""
    prefix = f"{_FETCH}{fetch}"
    ended = connection.execute(
        "DELETE FROM leases WHERE expires != ? AND substr(id, 1, ?) = ? RETURNING id", (NEVER, len(prefix), prefix)
    )
    return [row["id"] for row in ended]


def end_other_suspended(connection: sqlite3.Connection, fetch: str) -> None:
    """End the suspended leases of every root but *fetch* ("" for none)."""
    prefix = f"{_FETCH}{fetch or '-'}"
    connection.execute("DELETE FROM leases WHERE expires != ? AND substr(id, 1, ?) != ?", (NEVER, len(prefix), prefix))


def hold_uploaded(connection: sqlite3.Connection, digest: Digest, duration: int) -> str:
    """Keep the blob *digest*, here or about to be, for *duration* nanoseconds at least; the lease that does."""
    lease = f"{_UPLOADED}{digest}"
    connection.execute(
        "INSERT INTO leases (id, expires) VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET expires = max(expires, excluded.expires)",
        (lease, time.time_ns() + duration),
    )
    keep_blob(connection, lease, digest)
    return lease


def end_uploaded(connection: sqlite3.Connection, digests: Iterable[Digest]) -> list[str]:
    """End the leases of uploaded blobs; which they were."""
    found = []
    for digest in digests:
        row = connection.execute("DELETE FROM leases WHERE id = ? RETURNING id", (f"{_UPLOADED}{digest}",)).fetchone()
        found += [row["id"]] if row else []
    return found


def keep_blob(connection: sqlite3.Connection, lease: str, digest: Digest) -> None:
    """*lease* holds the blob, whether it is here already or on its way."""
    connection.execute(
        "INSERT INTO lease_items (lease, kind, key) VALUES (?, 'blob', ?) ON CONFLICT DO NOTHING", (lease, str(digest))
    )


def keep_snapshot(connection: sqlite3.Connection, lease: str, key: str) -> None:
    """*lease* holds the snapshot *key* and all below it."""
    connection.execute(
        "INSERT INTO lease_items (lease, kind, key) VALUES (?, 'snapshot', ?) ON CONFLICT DO NOTHING", (lease, key)
    )


def end(connection: sqlite3.Connection, lease: str) -> None:
    """The lease is over. Ending it twice is no error."""
    connection.execute("DELETE FROM leases WHERE id = ?", (lease,))


def end_all(connection: sqlite3.Connection, duration: int) -> None:
    """At the agent's start: the work of every lease is over. Those of fetches are suspended for *duration*."""
    connection.execute("DELETE FROM leases WHERE substr(id, 1, ?) != ?", (len(_FETCH), _FETCH))
    connection.execute("UPDATE leases SET expires = ? WHERE expires = ?", (time.time_ns() + duration, NEVER))
