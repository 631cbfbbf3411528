"""The keys that leave a container's terminal without ending it (docker's ``--detach-keys``). Pure.

:class:`DetachScanner` looks at every byte that is typed. A started sequence is held back until it is complete (then it
is swallowed) or broken (then it is passed on), as docker does.
"""

from __future__ import annotations

from jackstay_oci.errors import InvalidArgument

DEFAULT = "ctrl-p,ctrl-q"
_MARKS = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_detach_keys(text: str) -> bytes:
    """``ctrl-p,ctrl-q`` or ``q,q`` as the bytes a terminal sends; empty text switches detaching off.

    Raises:
        InvalidArgument: a part is neither one character nor ``ctrl-`` and a letter or one of ``@ [ \\ ] ^ _``.
    """
    keys = bytearray()
    for part in text.split(",") if text else ():
        low = part.lower()
        if len(part) == 1 and part.isascii():
            keys += part.encode()
        elif low.startswith("ctrl-") and len(low) == 6 and (low[5] in _MARKS or "a" <= low[5] <= "z"):
            keys.append(_MARKS[low[5]] if low[5] in _MARKS else ord(low[5]) - ord("a") + 1)
        else:
            raise InvalidArgument(f"--detach-keys {text!r}: {part!r} is not a key", hint="write it like ctrl-p,ctrl-q")
    return bytes(keys)


class DetachScanner:
    """Finds the sequence in what is typed."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on, and whether the sequence is complete; nothing after it is passed on."""
        if not self._keys:
            return data, False
        out = bytearray()
        for value in data:
            self._held += bytes((value,))
            if self._held == self._keys:
                self._held = b""
                return bytes(out), True
            # Keep the longest end of what was typed that could still become the sequence.
            while self._held and not self._keys.startswith(self._held):
                out.append(self._held[0])
                self._held = self._held[1:]
        return bytes(out), False
