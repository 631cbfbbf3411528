from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from jackstay_agent.errors import Ambiguous, NameTaken, NotFound
from jackstay_agent.metadata import containers as rows
from jackstay_agent.metadata.containers import ContainerRow
from jackstay_agent.metadata.database import migrate

A, B, C = "abc" + "0" * 61, "abd" + "0" * 61, "f" * 64


def row(container: str, name: str, created: int = 1) -> ContainerRow:
    return ContainerRow(
        container, name, "image", "sha256:1", "sha256:2", f"container-{container}", "{}", "created", created
    )


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.row_factory = sqlite3.Row
    migrate(made)
    for digest in ("sha256:1", "sha256:2"):
        made.execute("INSERT INTO blobs VALUES (?, 1, 1)", (digest,))
    made.execute(
        "INSERT INTO images (root, media_type, manifest, image_id, chain_id, created, stored)"
        " VALUES ('sha256:1', '', 'sha256:1', 'sha256:2', '', 0, 0)"
    )
    rows.insert(made, row(A, "web", 1))
    rows.insert(made, row(B, C[:4], 2))
    rows.insert(made, row(C, "db", 3))
    yield made
    made.close()


def test_a_text_means_an_id_a_name_or_the_start_of_an_id(connection: sqlite3.Connection) -> None:
    assert rows.find(connection, A).id == A
    assert rows.find(connection, "/web").id == A
    assert rows.find(connection, "abd").id == B
    assert rows.find(connection, "ffff").id == B  # a name goes before the start of an id
    assert rows.find(connection, "fffff").id == C
    with pytest.raises(Ambiguous, match="multiple IDs"):
        rows.find(connection, "ab")
    for text in ("", "%", "nope", "abe", "_"):
        with pytest.raises(NotFound, match="no such container"):
            rows.find(connection, text)


def test_names_are_unique(connection: sqlite3.Connection) -> None:
    with pytest.raises(NameTaken, match=A):
        rows.insert(connection, row("9" * 64, "web"))
    with pytest.raises(NameTaken, match=A):
        rows.rename(connection, B, "web", "{}")
    rows.rename(connection, A, "web", "{}")  # to its own name
    assert rows.names(connection) == {"web", "ffff", "db"}


def test_rows_change_and_go(connection: sqlite3.Connection) -> None:
    rows.change(connection, A, state="exited", exit_code=3)
    assert (rows.get(connection, A).state, rows.get(connection, A).exit_code) == ("exited", 3)
    rows.delete(connection, A)
    for call in (lambda: rows.get(connection, A), lambda: rows.change(connection, A, state="dead")):
        with pytest.raises(NotFound):
            call()
    assert [found.id for found in rows.every(connection)] == [C, B]
