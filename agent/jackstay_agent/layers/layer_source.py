"""Where an unpacking child has its layer from: a stored blob, one that still comes, or a pipe; plain or compressed.

Guarantees that the diffID is the digest of every byte, also of those behind the tar's end, and that two things overlap:
what is decompressed is decompressed and hashed by a thread, whose calls leave Python, while the tar is read. Memory:
`_AHEAD` pieces of at most 256 KiB and the decompressor's.
"""

from __future__ import annotations

import os
import queue
import stat
import threading
from typing import Protocol

from jackstay_agent.errors import from_os_error
from jackstay_oci import compression, limits
from jackstay_oci.digest import Digest, hasher
from jackstay_oci.growing import GrowingRegion
from jackstay_oci.reading import BinaryReader, DescriptorReader, Region

_PIECE = 1 << 20
_OUT = 1 << 18
_AHEAD = 8


class LayerSource(Protocol):
    """A layer's tar, and what its digest is."""

    tar: BinaryReader | Region
    drained: bool  # whether the digest needs the tar to be read to its end

    def digest(self) -> Digest:
        """The diffID, once the tar is read."""
        ...


def source_of(blob: int, kind: compression.Kind, bounds: limits.Limits, growth: int | None = None) -> LayerSource:
    """The layer in the descriptor *blob*, which still grows when there is the pipe *growth* that tells of it.

    *kind* is how its media type says that it is compressed; see `_in_fact`.
    """
    status = os.fstat(blob)
    if growth is not None:
        growing = GrowingRegion(blob, growth)
        kind = _in_fact(growing, kind)
        return Growing(growing) if kind == "none" else Ahead(growing, kind, bounds, growing)
    if not stat.S_ISREG(status.st_mode):
        return Ahead(DescriptorReader(blob), kind, bounds)
    region = Region(blob, 0, status.st_size)
    kind = _in_fact(region, kind)
    return Stored(blob, status.st_size) if kind == "none" else Ahead(region, kind, bounds)


def _in_fact(region: Region, said: compression.Kind) -> compression.Kind:
    """How a layer is compressed that is said to be.

    Some builders write one media type for all layers, and other engines look at the first bytes. What is said not to
    be compressed is believed: a tar may begin with any bytes, those of a name.
    """
    if said == "none":
        return said
    head = b""
    while len(head) < compression.HEAD and (data := region.pread(len(head), compression.HEAD - len(head))):
        head += data
    return compression.detect(head) if head else said


class Growing:
    """A layer that comes as it is. Whoever receives it hashes it, and tells the digest when it was right."""

    drained = False

    def __init__(self, region: GrowingRegion) -> None:
        self.tar: BinaryReader | Region = region
        self._region = region

    def digest(self) -> Digest:
        """What the receiver found; waits for that."""
        return self._region.digest()


class Stored:
    """A layer in a file as it is: the kernel copies from it, while a thread hashes what the disk gives."""

    drained = False

    def __init__(self, descriptor: int, size: int) -> None:
        self.tar: BinaryReader | Region = Region(descriptor, 0, size)
        self._descriptor = descriptor
        self._hash = hasher()
        self._failed: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def digest(self) -> Digest:
        """Of the whole file."""
        self._thread.join()
        if self._failed is not None:
            raise from_os_error(self._failed, "reading the layer") from self._failed
        return Digest.finish(self._hash)

    def _run(self) -> None:
        offset = 0
        try:
            while data := os.pread(self._descriptor, _PIECE, offset):
                self._hash.update(data)
                offset += len(data)
        except OSError as error:
            self._failed = error


class Ahead:
    """A layer that a thread decompresses and hashes, a few pieces ahead of whoever reads.

    With *growing*, the file that the bytes come from must turn out to be whole before there is a digest.
    """

    drained = True

    def __init__(
        self,
        source: BinaryReader,
        kind: compression.Kind,
        bounds: limits.Limits,
        growing: GrowingRegion | None = None,
    ) -> None:
        self.tar: BinaryReader | Region = self
        self._source = compression.decompressing(source, kind=kind, limits=bounds)
        self._growing = growing
        self._hash = hasher()
        self._pieces: queue.Queue[bytes | Exception] = queue.Queue(_AHEAD)
        self._rest = b""
        self._ended = False
        threading.Thread(target=self._run, daemon=True).start()

    def read(self, size: int, /) -> bytes:
        """At most *size* plain bytes; raises what decompressing raised."""
        if not self._rest and not self._ended:
            piece = self._pieces.get()
            if isinstance(piece, Exception):
                raise piece
            self._rest = piece
            self._ended = not piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def digest(self) -> Digest:
        """Of what was read."""
        if self._growing is not None:
            self._growing.digest()
        return Digest.finish(self._hash)

    def _run(self) -> None:
        try:
            while piece := self._source.read(_OUT):
                self._hash.update(piece)
                self._pieces.put(piece)
            self._pieces.put(b"")
        except Exception as error:  # the reader's to raise
            self._pieces.put(error)
