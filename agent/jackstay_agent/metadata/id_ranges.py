"""The ranges of host ids that containers with user namespaces of their own have, from create to rm.

Functions of a connection, to be composed in one transaction. A container's row takes its range along.
"""

from __future__ import annotations

import sqlite3

from jackstay_agent.errors import LimitExceeded


def take(connection: sqlite3.Connection, container: str, size: int, pool: range) -> int:
    """The first id of the lowest free range of *size* ids in *pool*, which *container* has from now on.

    Raises `LimitExceeded` when none is left.
    """
    first = pool.start
    for start, taken in connection.execute("SELECT first, size FROM id_ranges ORDER BY first"):
        if start + taken <= first:
            continue
        if start - first >= size:
            break
        first = start + taken
    if first + size > pool.stop:
        raise LimitExceeded(
            f"no {size} ids of the host are left for a user namespace, of {len(pool)}",
            hint="remove containers that have some, or give the user jackstay more in /etc/subuid and /etc/subgid",
        )
    connection.execute("INSERT INTO id_ranges (container, first, size) VALUES (?, ?, ?)", (container, first, size))
    return first


def of(connection: sqlite3.Connection, container: str) -> tuple[int, int] | None:
    """First id and size of *container*'s range; None when it has none."""
    found = connection.execute("SELECT first, size FROM id_ranges WHERE container = ?", (container,)).fetchone()
    return None if found is None else (found[0], found[1])
