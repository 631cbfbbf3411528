"""zstd:chunked as containers/storage writes it: a frame a file, and a table of contents in frames that are passed over.

See ``pkg/chunked/internal/compression.go`` there, version 1: a skippable frame with the table of contents, itself
compressed, and one of 64 bytes with its place and the magic ``GNUlInUx``.
"""

from __future__ import annotations

import json
import struct
from itertools import pairwise

from jackstay_oci.compression import zstd

_SKIPPABLE = 0x184D2A50
_MAGIC = b"GNUlInUx"
_BLOCK = 512


def zstd_chunked(tar: bytes) -> bytes:
    """The layer ``tar``; unpacked by any decompressor of zstd it is ``tar`` again."""
    cuts = [*range(0, len(tar), _BLOCK * 20), len(tar)]
    frames = [zstd.compress(tar[begin:end]) for begin, end in pairwise(cuts)]
    body = b"".join(frames)
    table = json.dumps({"version": 1, "entries": [{"type": "reg", "name": "?", "size": len(tar)}]}).encode()
    packed = zstd.compress(table)
    footer = struct.pack("<QQQQ", len(body) + 8, len(packed), len(table), 1) + bytes(24) + _MAGIC
    return body + _skippable(packed) + _skippable(footer)


def _skippable(content: bytes) -> bytes:
    return struct.pack("<II", _SKIPPABLE, len(content)) + content
