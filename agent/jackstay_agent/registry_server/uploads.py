"""Blobs that are uploaded: sessions over ingests, so that an upload goes on across connections and restarts.

Guarantees that one request at a time writes to an upload; that a blob is held from before it has its row until an image
has it, or for as long as what broke off is kept (`ContentStore.hold`), so that a cut leaves nothing that is not either
gone on with or collected; that an upload is at most *largest* bytes. Who knows an upload's id may go on with it: ids
are not to be guessed. The ingest of an upload stays open between its requests, for `IDLE` seconds, since opening one
hashes what is there already.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, DiskFull, LimitExceeded, NotFound
from jackstay_agent.kernel.threads import finish, to_end
from jackstay_agent.metadata import blobs as rows
from jackstay_oci.digest import Digest
from jackstay_oci.store.ingest import Ingest

IDLE = 30.0
"""Seconds for which an upload that nobody speaks of stays open."""

PROMISED = 3600.0
"""Seconds for which a blob is held that a client was told need not be uploaded."""


class Upload:
    """One upload, for the time in which one request has it."""

    def __init__(self, content: ContentStore, ref: str, ingest: Ingest, largest: int) -> None:
        self._content = content
        self._ref = ref
        self._ingest = ingest
        self._largest = largest
        self.ended = False

    @property
    def offset(self) -> int:
        """Bytes that have come."""
        return self._ingest.offset

    async def write(self, piece: bytes | bytearray) -> None:
        """Append. Raises `LimitExceeded`, then nothing is left of the upload, and `DiskFull`, then it can go on."""
        if self._ingest.offset + len(piece) > self._largest:
            await self.cancel()
            raise LimitExceeded(
                f"a blob of more than {self._largest} bytes", hint="the bound is the agent's layer_bytes"
            )
        await finish(self._ingest.write, piece)

    async def commit(self, digest: Digest) -> None:
        """Make a blob of it, which is held from now on.

        Raises `DigestMismatch`, then nothing is left of the upload, and `DiskFull`, then this can be tried again.
        """
        if self._ingest.digest != digest:
            came = self._ingest.digest
            await self.cancel()
            raise DigestMismatch(f"the bytes that came have the digest {came}, not {digest}")
        size = self._ingest.offset
        lease = await self._content.hold(digest)
        try:
            await self._content.commit(self._ingest, digest, size, lease)
        except DiskFull:
            raise
        except BaseException:
            await self._end()
            raise
        self.ended = True

    async def cancel(self) -> None:
        """Delete what came."""
        await to_end(self._forget())

    async def _forget(self) -> None:
        await finish(self._ingest.abort)
        await self._content.forget(self._ref)
        self.ended = True

    async def _end(self) -> None:
        await finish(self._ingest.close)
        self.ended = True


class _Session:
    """An upload that requests have or wait for, or that had one a moment ago."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        self.ingest: Ingest | None = None
        self.closing: asyncio.TimerHandle | None = None


class Uploads:
    """All uploads of one agent."""

    def __init__(self, content: ContentStore, *, largest: int) -> None:
        self._content = content
        self._largest = largest
        self._sessions: dict[str, _Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, repository: str) -> str:
        """A new upload to *repository*; its id."""
        upload = secrets.token_hex(16)
        ref = _ref(repository, upload)
        ingest = await self._content.ingest(ref)
        session = self._sessions[ref] = _Session()
        session.ingest = ingest
        self._close_later(ref, session)
        return upload

    @asynccontextmanager
    async def at(self, repository: str, upload: str) -> AsyncIterator[Upload]:
        """The upload with that id, when nobody else has it any more. Raises `NotFound` when there is none."""
        ref = _ref(repository, upload)
        session = self._sessions.setdefault(ref, _Session())
        session.users += 1
        if session.closing is not None:
            session.closing.cancel()
            session.closing = None
        try:
            async with session.lock:
                if session.ingest is None:
                    session.ingest = await self._reopened(ref, upload)
                one = Upload(self._content, ref, session.ingest, self._largest)
                try:
                    yield one
                finally:
                    if one.ended:
                        session.ingest = None
        finally:
            session.users -= 1
            if not session.users:
                if session.ingest is None:
                    self._sessions.pop(ref, None)
                else:
                    self._close_later(ref, session)

    async def promise(self, digest: Digest) -> bool:
        """Whether the blob is here, and need not be uploaded: it stays for some time."""
        if not await self._content.has(digest):
            return False
        await self._content.hold(digest, PROMISED)
        if await self._content.has(digest):
            return True
        await self._content.let_go([digest])
        return False

    async def close(self) -> None:
        """Close every upload; they can go on after the agent's next start."""
        for ref, session in list(self._sessions.items()):
            if session.closing is not None:
                session.closing.cancel()
            self._close(ref, session)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _reopened(self, ref: str, upload: str) -> Ingest:
        if not await self._content.database.read(lambda c: rows.has_ingest(c, ref)):
            raise NotFound(f"there is no upload {upload[:64]!r}")
        return await self._content.ingest(ref)

    def _close_later(self, ref: str, session: _Session) -> None:
        session.closing = asyncio.get_running_loop().call_later(IDLE, self._close, ref, session)

    def _close(self, ref: str, session: _Session) -> None:
        session.closing = None
        ingest, session.ingest = session.ingest, None
        if self._sessions.get(ref) is session:
            del self._sessions[ref]
        if ingest is not None:
            task = asyncio.create_task(finish(ingest.close))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


def _ref(repository: str, upload: str) -> str:
    return f"upload-{upload[:64]} {repository}"
