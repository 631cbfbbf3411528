"""The rows of containers. Functions of a connection, to be composed in one transaction; what a state allows is decided
in `jackstay_agent.containers.state`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, fields
from typing import Any

from jackstay_agent.errors import Ambiguous, NameTaken, NotFound


@dataclass(frozen=True, slots=True)
class ContainerRow:
    """One container. Times are nanoseconds since 1970, 0 for never; `config` is its `Settings` as JSON."""

    id: str
    name: str
    image: str  # as the user gave it
    image_root: str
    image_id: str
    snapshot: str
    config: str
    state: str
    created: int
    pid: int = 0
    pid_start: int = 0
    monitor_pid: int = 0
    monitor_start: int = 0
    exit_code: int | None = None
    error: str = ""
    oom: int = 0
    started: int = 0
    finished: int = 0
    restart_at: int = 0  # it is to be started again then; 0 for not
    restart_count: int = 0  # how often it was, by its policy
    stopped: int = 0  # by a user
    health: str = ""


@dataclass(frozen=True, slots=True)
class Outline:
    """As much of a container as is asked for again and again. As in `ContainerRow`."""

    id: str
    name: str
    state: str
    pid: int
    started: int


_COLUMNS = tuple(field.name for field in fields(ContainerRow))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM containers"  # noqa: S608 - the names are this file's


def insert(connection: sqlite3.Connection, row: ContainerRow) -> None:
    """Add *row*. Raises `NameTaken` naming the container that has the name."""
    reserve(connection, row.name)
    marks = ", ".join("?" * len(_COLUMNS))
    connection.execute(
        f"INSERT INTO containers ({', '.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608 - the names are this file's
        [getattr(row, column) for column in _COLUMNS],
    )


def reserve(connection: sqlite3.Connection, name: str, holder: str = "") -> None:
    """Raise `NameTaken` when a container other than *holder* (an id) is called *name*."""
    taken = connection.execute("SELECT id FROM containers WHERE name = ? AND id <> ?", (name, holder)).fetchone()
    if taken is not None:
        raise NameTaken(
            f'the container name "{name}" is already in use by container "{taken[0]}"',
            hint="remove or rename that container, or use --replace",
        )


def change(connection: sqlite3.Connection, container: str, **values: Any) -> None:
    """Set columns of the container with the id *container*. Raises `NotFound` when it is gone."""
    assert values.keys() <= set(_COLUMNS), f"no such columns: {values.keys()}"
    done = connection.execute(
        f"UPDATE containers SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?",  # noqa: S608 - as above
        [*values.values(), container],
    )
    if done.rowcount == 0:
        raise no_such(container)


def rename(connection: sqlite3.Connection, container: str, name: str, config: str) -> None:
    """Give *container* another name (and *config*, which holds it). Raises `NameTaken`, `NotFound`."""
    reserve(connection, name, container)
    change(connection, container, name=name, config=config)


def delete(connection: sqlite3.Connection, container: str) -> None:
    """Remove the row, and by cascade its endpoints, ports and uses of volumes."""
    connection.execute("DELETE FROM containers WHERE id = ?", (container,))


def get(connection: sqlite3.Connection, container: str) -> ContainerRow:
    """The container with exactly the id *container*. Raises `NotFound`."""
    found = connection.execute(f"{_SELECT} WHERE id = ?", (container,)).fetchone()
    if found is None:
        raise no_such(container)
    return ContainerRow(*found)


def by_name(connection: sqlite3.Connection, name: str) -> ContainerRow:
    """The container called *name*. Raises `NotFound`."""
    found = connection.execute(f"{_SELECT} WHERE name = ?", (name,)).fetchone()
    if found is None:
        raise no_such(name)
    return ContainerRow(*found)


def find(connection: sqlite3.Connection, text: str) -> ContainerRow:
    """The container that *text* means: a full id, a name, or the start of an id, in that order, as docker does.

    Raises `NotFound`, or `Ambiguous` for a start that fits several.
    """
    name = text.removeprefix("/")
    exact = connection.execute(
        f"{_SELECT} WHERE id = ? OR name = ? ORDER BY id = ? DESC LIMIT 1", (text, name, text)
    ).fetchone()
    if exact is not None:
        return ContainerRow(*exact)
    if not text or not set(text) <= set("0123456789abcdef"):
        raise no_such(text)
    fitting = connection.execute(f"{_SELECT} WHERE substr(id, 1, ?) = ? LIMIT 2", (len(text), text)).fetchall()
    if not fitting:
        raise no_such(text)
    if len(fitting) > 1:
        raise Ambiguous(f"multiple IDs found with provided prefix: {text}", hint="give more characters of the id")
    return ContainerRow(*fitting[0])


def every(connection: sqlite3.Connection) -> list[ContainerRow]:
    """All containers, newest first."""
    return [ContainerRow(*found) for found in connection.execute(f"{_SELECT} ORDER BY created DESC, rowid DESC")]


def outlines(connection: sqlite3.Connection) -> list[Outline]:
    """All containers, newest first."""
    found = connection.execute("SELECT id, name, state, pid, started FROM containers ORDER BY created DESC, rowid DESC")
    return [Outline(*values) for values in found]


def names(connection: sqlite3.Connection) -> set[str]:
    """The names that are taken."""
    return {found[0] for found in connection.execute("SELECT name FROM containers")}


def no_such(text: str) -> NotFound:
    """The error for a container that does not exist, in docker's words."""
    return NotFound(f"no such container: {text}", hint="jackstay ps -a lists the containers of a host")
