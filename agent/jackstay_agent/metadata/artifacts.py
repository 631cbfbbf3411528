"""The rows of manifests that are no images to run: signatures, attestations, charts; and of what is about an image.

`gc.mark` decides by them what is kept: what is about something that is kept, and what has a name of its own.
"""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass, field

from jackstay_oci.digest import Digest

AT_ONCE = 1000
"""Rows about one thing that are taken together."""

_ABOUT = re.compile(r"sha256-([0-9a-f]{64})(?:\.[a-z0-9]{1,16})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One row; `subject` is None for what is about nothing. `size` is the manifest's own, in bytes."""

    digest: Digest
    media_type: str
    artifact_type: str
    size: int
    subject: Digest | None = None
    annotations: dict[str, str] = field(default_factory=dict)


def about(tag: str) -> Digest | None:
    """What a tag of the form ``sha256-HEX`` or ``sha256-HEX.sig`` is about: how clients attach things to an image by
    tags (distribution-spec, referrers tag schema; cosign). None for any other."""
    found = _ABOUT.fullmatch(tag)
    return None if found is None else Digest(f"sha256:{found[1]}")


def insert(connection: sqlite3.Connection, artifact: Artifact) -> None:
    """The artifact's manifest is here. Saying it twice is no error."""
    connection.execute(
        "INSERT INTO artifacts (digest, media_type, artifact_type, size, subject, annotations)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            str(artifact.digest), artifact.media_type, artifact.artifact_type, artifact.size,
            str(artifact.subject or ""), json.dumps(artifact.annotations),
        ),
    )  # fmt: skip


def name(connection: sqlite3.Connection, canonical: str, digest: Digest, subject: Digest | None) -> None:
    """*canonical* means the artifact from now on; what its tag is about is *subject*."""
    connection.execute(
        "INSERT INTO artifact_names (name, digest, about) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET digest = excluded.digest, about = excluded.about",
        (canonical, str(digest), str(subject or "")),
    )


def unname(connection: sqlite3.Connection, canonical: str) -> bool:
    """*canonical* means no artifact any more; whether it did."""
    return connection.execute("DELETE FROM artifact_names WHERE name = ?", (canonical,)).rowcount > 0


def delete(connection: sqlite3.Connection, digest: Digest) -> bool:
    """The artifact is gone with its names; its blobs await collection. Whether it was here."""
    return connection.execute("DELETE FROM artifacts WHERE digest = ?", (str(digest),)).rowcount > 0


def by_digest(connection: sqlite3.Connection, digest: Digest) -> Artifact | None:
    """The artifact, if it is here."""
    row = connection.execute("SELECT * FROM artifacts WHERE digest = ?", (str(digest),)).fetchone()
    return None if row is None else _value(row)


def by_name(connection: sqlite3.Connection, canonical: str) -> Artifact | None:
    """What *canonical* means, if that is an artifact."""
    row = connection.execute(
        "SELECT artifacts.* FROM artifacts JOIN artifact_names USING (digest) WHERE name = ?", (canonical,)
    ).fetchone()
    return None if row is None else _value(row)


def names_in(connection: sqlite3.Connection, repository: str) -> list[str]:
    """The names of artifacts in the canonical *repository*, sorted."""
    rows = connection.execute(
        "SELECT name FROM artifact_names WHERE name >= ?1 || ':' AND name < ?1 || ';' ORDER BY name", (repository,)
    )
    return [row["name"] for row in rows]


def all_names(connection: sqlite3.Connection) -> list[str]:
    """The names of all artifacts."""
    return [row["name"] for row in connection.execute("SELECT name FROM artifact_names")]


def referrers(connection: sqlite3.Connection, subject: Digest, after: str, limit: int) -> list[Artifact]:
    """At most *limit* artifacts about *subject*, by digest, from the one that comes next to the digest *after* ("")."""
    rows = connection.execute(
        "SELECT * FROM artifacts WHERE subject = ? AND digest > ? ORDER BY digest LIMIT ?", (str(subject), after, limit)
    )
    return [_value(row) for row in rows]


def tagged(connection: sqlite3.Connection, subject: Digest) -> list[tuple[str, Artifact]]:
    """The names whose tag is about *subject*, sorted, with what they mean; at most `AT_ONCE`."""
    rows = connection.execute(
        "SELECT name, artifacts.* FROM artifact_names JOIN artifacts USING (digest) WHERE about = ?"
        " ORDER BY name LIMIT ?",
        (str(subject), AT_ONCE),
    )
    return [(row["name"], _value(row)) for row in rows]


def _value(row: sqlite3.Row) -> Artifact:
    return Artifact(
        digest=Digest(row["digest"]),
        media_type=row["media_type"],
        artifact_type=row["artifact_type"],
        size=row["size"],
        subject=Digest(row["subject"]) if row["subject"] else None,
        annotations=json.loads(row["annotations"]),
    )
