"""What a registry lists: its repositories, the tags of one, and what refers to a manifest."""

from __future__ import annotations

import sqlite3
from functools import partial

import msgspec

from jackstay_agent.content.store import ContentStore
from jackstay_agent.metadata import artifacts, images
from jackstay_agent.registry_server.refusals import Refusal
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, encode
from jackstay_oci.reference import Reference

_AT_ONCE = 100
_PAGE = 1 << 20
"""Bytes of one page of referrers, about; annotations make them of very different sizes."""


class Listing:
    """The lists of one agent."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content

    async def repositories(self) -> list[str]:
        """The repositories that anything has a name in, as docker shows them, sorted."""

        def work(connection: sqlite3.Connection) -> list[str]:
            named = connection.execute("SELECT name FROM names")
            return [row["name"] for row in named] + artifacts.all_names(connection)

        names = await self._content.database.read(work)
        return sorted({Reference.parse(name).familiar_name for name in names})

    async def tags(self, repository: str) -> list[str]:
        """The tags of the canonical *repository*, sorted. Raises `Refusal` when it has none."""

        def work(connection: sqlite3.Connection) -> list[str]:
            return images.names_in(connection, repository) + artifacts.names_in(connection, repository)

        names = await self._content.database.read(work)
        if not names:
            raise Refusal(404, "NAME_UNKNOWN", f"nothing here is called {Reference.parse(repository).familiar}")
        return sorted({name.removeprefix(f"{repository}:") for name in names})

    async def referrers(self, subject: Digest, artifact_type: str, after: str) -> tuple[bytes, str]:
        """The index of what is about *subject*, of one *artifact_type* ("" for all), from the digest next to *after*
        ("") on; and the digest after which the next page begins, "" for none."""
        found: list[Descriptor] = []
        size = 0
        while True:
            batch = await self._content.database.read(partial(_referrers, subject=subject, after=after))
            for each in batch:
                if artifact_type and each.artifact_type != artifact_type:
                    after = str(each.digest)
                    continue
                one = _descriptor(each)
                size += len(encode(one))
                if found and size > _PAGE:
                    return _index(found), after
                found.append(one)
                after = str(each.digest)
            if len(batch) < _AT_ONCE:
                return _index(found), ""


def names(key: str, values: list[str], **more: str) -> bytes:
    """The document of a list of names."""
    return msgspec.json.encode({**more, key: values})


def _referrers(connection: sqlite3.Connection, *, subject: Digest, after: str) -> list[artifacts.Artifact]:
    return artifacts.referrers(connection, subject, after, _AT_ONCE)


def _descriptor(artifact: artifacts.Artifact) -> Descriptor:
    return Descriptor(
        media_type=artifact.media_type,
        digest=artifact.digest,
        size=artifact.size,
        artifact_type=artifact.artifact_type,
        annotations=artifact.annotations,
    )


def _index(found: list[Descriptor]) -> bytes:
    document = msgspec.to_builtins(Index(media_type=media_types.OCI_INDEX, manifests=tuple(found)), enc_hook=str)
    return msgspec.json.encode({"manifests": [], **document})  # the field is there also when nothing is
