"""Checking images: what their documents say against what the rows say.

What a manifest names must be among the references, or collection would take it; the row's ids must be those of the
documents. Gives the layers that the images are made of, lowest first, for the check of the layers. A document that
cannot be read was told of with the blobs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from jackstay_agent.checking import needs
from jackstay_agent.checking.findings import Finding, Step
from jackstay_agent.checking.parts import Parts
from jackstay_agent.errors import Error, InvalidDocument
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_agent.metadata import images as rows
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Manifest, parse_config, parse_manifest
from jackstay_oci.identity import chain_ids


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that an image is made of: its ChainID and that of the one below, its diffID, its blob."""

    chain_id: Digest
    parent: Digest | None
    diff_id: Digest
    blob: Descriptor


@dataclass(frozen=True, slots=True)
class _Documents:
    """What an image's documents say: who names whom, and the layers."""

    references: dict[Digest, tuple[Digest, ...]]
    image_id: Digest
    layers: tuple[Layer, ...]


class ImageCheck:
    """One check of all images; `layers` has every layer once, those below first."""

    def __init__(self, parts: Parts, *, repair: bool) -> None:
        self._parts = parts
        self._repair = repair
        self.layers: dict[Digest, Layer] = {}
        self.count = 0

    async def run(self) -> AsyncGenerator[Finding | Step, None]:
        """Every image, also those that only containers keep."""
        images = await self._parts.database.read(lambda c: rows.all_rows(c, removed=True))
        for row in images:
            yield Step("images", self.count, len(images))
            self.count += 1
            try:
                documents = await self._documents(row)
            except InvalidDocument as error:
                if (finding := await self._invalid(row, error)) is not None:
                    yield finding
                continue
            except Error:  # a blob that is missing or damaged
                continue
            for layer in documents.layers:
                self.layers.setdefault(layer.chain_id, layer)
            for finding in await self._compare(row, documents):
                yield finding
        yield Step("images", len(images), len(images))

    async def _documents(self, row: sqlite3.Row) -> _Documents:
        """Read and parse. Raises what `ContentStore.read_document` and the parsers raise."""
        read = self._parts.content.read_document
        references: dict[Digest, tuple[Digest, ...]] = {}
        root, manifest = Digest(row["root"]), Digest(row["manifest"])
        document = parse_manifest(await read(root), row["media_type"])
        if isinstance(document, Index):
            chosen = next((item for item in document.manifests if item.digest == manifest), None)
            if chosen is None:
                raise InvalidDocument(f"its index does not name its manifest {manifest}")
            references[root] = (manifest,)
            document = parse_manifest(await read(manifest), chosen.media_type)
        if not isinstance(document, Manifest):
            raise InvalidDocument(f"{manifest} is an index, not a manifest")
        references[manifest] = (document.config.digest, *(layer.digest for layer in document.layers))
        config = parse_config(await read(document.config.digest))
        diff_ids = config.rootfs.diff_ids
        if len(diff_ids) != len(document.layers):
            raise InvalidDocument(f"it has {len(document.layers)} layers, its config names {len(diff_ids)}")
        chain = chain_ids(diff_ids)
        return _Documents(references, document.config.digest, _layers(chain, diff_ids, document.layers))

    async def _compare(self, row: sqlite3.Row, documents: _Documents) -> list[Finding]:
        """The row and the references of the image against its documents, seen in one transaction, put right in it."""

        def work(connection: sqlite3.Connection) -> list[Finding]:
            if rows.by_root(connection, row["root"]) is None:  # removed meanwhile
                return []
            name = needs.image_name(connection, row["root"], row["image_id"])
            hint = "" if self._repair else "run system check --repair"
            findings = []
            for parent, children in documents.references.items():
                known = connection.execute("SELECT child FROM blob_references WHERE parent = ?", (str(parent),))
                lost = set(children) - {each["child"] for each in known}
                if lost and blob_rows.size_of(connection, parent) is not None:
                    for child in sorted(lost):
                        detail = (
                            f"the reference of {parent} to it is gone, so collection could take it; {name} needs it"
                        )
                        findings.append(Finding("missing", "blob", child, detail, self._repair, hint))
                    if self._repair:
                        blob_rows.refer(connection, parent, sorted(lost))
            chain_id = str(documents.layers[-1].chain_id) if documents.layers else ""
            if (row["image_id"], row["chain_id"]) != (documents.image_id, chain_id):
                detail = f"its row says {row['image_id']} on {row['chain_id'] or 'nothing'}, its documents other ids"
                findings.append(Finding("wrong", "image", name, detail, self._repair, hint))
                if self._repair:
                    connection.execute(
                        "UPDATE images SET image_id = ?, chain_id = ? WHERE root = ?",
                        (str(documents.image_id), chain_id, row["root"]),
                    )
            return findings

        if self._repair:
            return await self._parts.database.write("checking.references", work)
        return await self._parts.database.read(work)

    async def _invalid(self, row: sqlite3.Row, error: Error) -> Finding | None:
        def work(connection: sqlite3.Connection) -> str | None:
            if rows.by_root(connection, row["root"]) is None:
                return None
            return needs.image_name(connection, row["root"], row["image_id"])

        name = await self._parts.database.read(work)
        if name is None:
            return None
        return Finding("wrong", "image", name, error.message, hint=f"remove {name} and load it again")


def _layers(chain: Sequence[Digest], diff_ids: Sequence[Digest], blobs: Sequence[Descriptor]) -> tuple[Layer, ...]:
    return tuple(
        Layer(chain_id, chain[number - 1] if number else None, diff_ids[number], blobs[number])
        for number, chain_id in enumerate(chain)
    )
