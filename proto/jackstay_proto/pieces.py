"""Messages whose only field is ``bytes data = 1`` (``SaveReply``), as bytes alone.

They carry gigabytes, and the protobuf library copies what it carries three times on each side. What is written here is
what it would write; everything that it could read is read. Wire format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from jackstay_proto.v1.images_pb2 import SaveReply

_TAG = 0x0A  # field 1, length-delimited
_MORE = 0x80


def encode(data: bytes) -> bytes:
    """The message that carries ``data``."""
    head = bytearray((_TAG,))
    left = len(data)
    while left >= _MORE:
        head.append(left & 0x7F | _MORE)
        left >>= 7
    head.append(left)
    return b"".join((head, data)) if data else b""


def decode(message: bytes) -> memoryview:
    """What ``message`` carries, not copied.

    Raises:
        DecodeError: protobuf's, for what is no message.
    """
    at, size, shift = 1, 0, 0
    while at < len(message) and at < 6:
        byte = message[at]
        size |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < _MORE:
            break
    if message[:1] == b"\x0a" and at + size == len(message):
        return memoryview(message)[at:]
    return memoryview(SaveReply.FromString(message).data)  # another order, unknown fields: a newer agent
