"""The rows of leases: what keeps blobs and snapshots from collection while work is under way."""

from __future__ import annotations

import secrets
import sqlite3
import time

from jackstay_oci.digest import Digest

NEVER = (1 << 63) - 1


def create(connection: sqlite3.Connection, *, duration: int | None = None) -> str:
    """A new lease; its id. It ends by itself after *duration* nanoseconds, without one only with the agent's process:
    work that takes days, or sees the clock set, keeps what it holds.
    """
    lease = secrets.token_hex(8)
    expires = NEVER if duration is None else time.time_ns() + duration
    connection.execute("INSERT INTO leases (id, expires) VALUES (?, ?)", (lease, expires))
    return lease


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


def end_all(connection: sqlite3.Connection) -> None:
    """No lease outlives the agent: the work it was for is over."""
    connection.execute("DELETE FROM leases")
