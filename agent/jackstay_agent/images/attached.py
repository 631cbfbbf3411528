"""What is attached to an image comes with it, and is found again: signatures, attestations, bills of materials.

Guarantees: an image neither waits long for what is attached to it nor fails for it: what does not come within `GRACE`
seconds after the image is left out with a warning, as is what `jackstay_oci.attached.gathering` bounds. What comes is
kept as what is pushed to this host's registry is: by rows of `metadata.artifacts`, through which collection keeps it
with the image, and takes it with it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import Error
from jackstay_agent.fetch.blob import BlobFetcher, Fetched
from jackstay_agent.fetch.progress import Report
from jackstay_agent.fetch.source import Source
from jackstay_agent.metadata import artifacts
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_oci.at_once import each
from jackstay_oci.attached.gathering import Answer, Ask, Gathered, gather
from jackstay_oci.attached.offer import Attached, Offer
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.reference import Reference

GRACE = 10.0
BLOBS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Arrived:
    """What is here now and held, each after what it is about; and a line for what is missing."""

    attached: tuple[Attached, ...] = ()
    moved: tuple[Fetched, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Coming:
    """What is attached to the manifests *image*, on its way."""

    image: Sequence[Digest]
    gathered: Gathered = field(default_factory=Gathered)
    ended: dict[int, Error | None] = field(default_factory=dict)  # by its place among those; None: it is here in whole
    moved: list[Fetched] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    async def arrived(self) -> Arrived:
        """What came, now that the image is here; without what takes longer than `GRACE` seconds."""
        late = False
        if self.task is not None:
            await asyncio.wait([self.task], timeout=GRACE)
            late = not self.task.done()
            if not late:
                self.task.result()
        kept, here = list[Attached](), set(self.image)
        for place, one in enumerate(self.gathered.found):
            if place in self.ended and self.ended[place] is None and one.offer.about in here:
                kept.append(one)
                here.add(one.digest)
        warnings = [*self.gathered.warnings]
        failed = ((place, error) for place, error in self.ended.items() if error is not None)
        for place, error in list(failed)[:1]:
            digest = self.gathered.found[place].digest
            warnings.append(f"{digest}, which is attached to the image, did not come: {error.message}")
        if late:
            warnings.append(f"not all that is attached to the image came within {GRACE:.0f} s, and was left out")
        return Arrived(tuple(kept), tuple(self.moved), tuple(warnings))


class AttachedReceiver:
    """Receives with the agent's one *fetcher*."""

    def __init__(self, content: ContentStore, fetcher: BlobFetcher) -> None:
        self._content = content
        self._fetcher = fetcher

    @asynccontextmanager
    async def receiving(
        self, image: Sequence[Digest], ask: Ask | None, sources: Sequence[Source], lease: str, report: Report
    ) -> AsyncIterator[Coming]:
        """Receive what *ask* says is attached to the manifests *image*, held by *lease*, beside the block."""
        coming = Coming(image)
        if ask is None:
            yield coming
            return
        coming.task = asyncio.create_task(self._receive(coming, ask, sources, lease, report))
        try:
            yield coming
        finally:
            coming.task.cancel()
            await asyncio.gather(coming.task, return_exceptions=True)

    async def _receive(self, coming: Coming, ask: Ask, sources: Sequence[Source], lease: str, report: Report) -> None:
        async def come(blob: Descriptor) -> None:
            coming.moved.append(await self._fetcher.fetch(blob, sources, lease, report))

        async def read(offer: Offer) -> bytes:
            await come(offer.document)
            if (repaired := await self._fetcher.repair(offer.document, sources, lease, report)) is not None:
                coming.moved.append(repaired)
            return await self._content.read_document(offer.document.digest)

        async def whole(place: int) -> None:
            one = coming.gathered.found[place]
            try:
                for blob in one.blobs:
                    await come(blob)
                await self._refer(one)
            except Error as error:
                coming.ended[place] = error
            else:
                coming.ended[place] = None

        coming.gathered = await gather(coming.image, ask, read)
        await each(range(len(coming.gathered.found)), whole, limit=BLOBS_AT_ONCE)

    async def _refer(self, one: Attached) -> None:
        children = [blob.digest for blob in one.blobs]
        await self._content.database.write("content.references", lambda c: blob_rows.refer(c, one.digest, children))


def keep(connection: sqlite3.Connection, attached: Iterable[Attached], names: Sequence[str]) -> None:
    """What is attached is here, and is kept with what it is about; by a tag, in the repositories of the image's
    *names*."""
    repositories = dict.fromkeys(Reference.parse(name).name for name in names)
    for one in attached:
        document, subject = one.offer.document, one.manifest.subject
        artifacts.insert(
            connection,
            artifacts.Artifact(
                document.digest,
                document.media_type,
                one.artifact_type,
                document.size,
                subject.digest if subject else None,
                one.manifest.annotations,
            ),
        )
        if one.offer.kind:
            for repository in repositories:
                artifacts.name(connection, f"{repository}:{one.offer.tag}", document.digest, one.offer.about)


def offered(offers: Iterable[Offer]) -> Ask:
    """Answers from what a source offered beforehand."""
    by_subject: dict[Digest, list[Offer]] = {}
    for offer in offers:
        by_subject.setdefault(offer.about, []).append(offer)

    async def ask(about: Digest) -> Answer:
        return Answer(by_subject.get(about, ()))

    return ask


async def attached_here(content: ContentStore, image: Sequence[Digest], repository: str) -> Gathered:
    """What is attached on this host to the manifests *image*; of tags with several meanings that in *repository*, or
    in the first other one."""

    async def ask(about: Digest) -> Answer:
        return Answer(await content.database.read(lambda c: _offers(c, about, repository)))

    async def read(offer: Offer) -> bytes:
        return await content.read_document(offer.document.digest)

    return await gather(image, ask, read)


def _offers(connection: sqlite3.Connection, about: Digest, repository: str) -> list[Offer]:
    found = [Offer(_described(one), about) for one in artifacts.referrers(connection, about, "", artifacts.AT_ONCE)]
    tagged: dict[str, artifacts.Artifact] = {}
    for name, one in artifacts.tagged(connection, about):
        reference = Reference.parse(name)
        kind = (reference.tag or "").partition(".")[2]
        if kind and (kind not in tagged or reference.name == repository):
            tagged[kind] = one
    return found + [Offer(_described(one), about, kind) for kind, one in sorted(tagged.items())]


def _described(one: artifacts.Artifact) -> Descriptor:
    return Descriptor(media_type=one.media_type, digest=one.digest, size=one.size, artifact_type=one.artifact_type)
