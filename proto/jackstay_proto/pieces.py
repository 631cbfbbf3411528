"""Messages whose only field is ``bytes data = 1`` (``SaveReply``, ``ExportContainerReply``), as bytes alone.

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
    at, size = 1, 0
    while at < min(len(message), 6):
        byte = message[at]
        size |= (byte & 0x7F) << 7 * (at - 1)
        at += 1
        if byte < _MORE:
            if message[0] == _TAG and at + size == len(message):
                return memoryview(message)[at:]
            break
    return memoryview(SaveReply.FromString(message).data)  # another order, unknown fields: a newer agent
