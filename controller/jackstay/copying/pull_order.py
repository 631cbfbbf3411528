"""Who asks a registry when many hosts want the same image, and who copies from whom then. Pure.

One host asks; when it has the image, the others copy from it. A host that has no way out to the registry is not at its
end: another one asks, at most `TRIES`, then this machine does, and all copy from whoever has it. When the registry says
no, or what it has is no image, nobody asks again: the answer would be the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jackstay.errors import Error

TRIES = 3
"""Hosts that find out, one after the other, that there is no way out."""
HERE = ""
"""This machine, where hosts are named."""

FINAL = frozenset(
    {
        *("UNAUTHORIZED", "NOT_FOUND", "RATE_LIMITED", "UNTRUSTED", "UNSUPPORTED", "LIMIT_EXCEEDED"),
        *("INVALID_REFERENCE", "INVALID_DOCUMENT", "INVALID_ARCHIVE", "DIGEST_MISMATCH"),
    }
)
"""Reasons that are the registry's or the image's: every host would meet with them."""
NO_WAY_OUT = "REGISTRY_FAILED"
BY_POLICY = "REFUSED_BY_POLICY"
"""A host's own: it says nothing of the others. It does not take a copy, either, and asks the registry itself."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Pull from the registry; `by` is the host itself, or `HERE`: this machine, for all hosts."""

    by: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy from the host `giver`, or from this machine."""

    giver: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody else is at it: ask for a turn again when something has changed."""


@dataclass(frozen=True, slots=True)
class Fail:
    """It cannot be had."""

    error: Error


Turn = Ask | Copy | Wait | Fail


@dataclass(slots=True)
class PullOrder:
    """The order of one image for hosts that take the same of it. Every `Ask` is followed by `has` or `failed`."""

    _asking: str | None = None
    _givers: list[str] = field(default_factory=list)
    _waiting: set[str] = field(default_factory=set)  # hosts that are here and may ask yet
    _blocked: dict[str, Error] = field(default_factory=dict)  # who has no way out, this machine perhaps among them
    _final: Error | None = None

    def arrive(self, host: str) -> None:
        """A host wants the image."""
        self._waiting.add(host)

    def leave(self, host: str) -> None:
        """A host is at its end, well or not."""
        self._waiting.discard(host)

    def turn(self, host: str, *, more: bool) -> Turn:
        """What a host is to do; *more*: others have begun that may arrive yet."""
        if self._givers:
            return Copy(self._givers[0])
        if self._final is not None:
            return Fail(self._final)
        if self._asking is not None:
            return Wait()
        hosts_blocked = self._blocked.keys() - {HERE}
        if len(hosts_blocked) < TRIES:
            if host not in hosts_blocked:
                self._asking = host
                return Ask(host)
            if more or self._waiting - hosts_blocked:
                return Wait()
        if HERE in self._blocked:
            return Fail(self._blocked.get(host) or next(iter(self._blocked.values())))
        self._asking = HERE
        return Ask(HERE)

    def has(self, giver: str) -> None:
        """A host, or this machine, can give the image now."""
        if self._asking == giver:
            self._asking = None
        self._waiting.discard(giver)
        if giver not in self._givers:
            self._givers.append(giver)

    def failed(self, by: str, error: Error | None) -> None:
        """Who was to ask has failed; ``None``: it was stopped."""
        self._asking = None
        if error is not None and error.reason in FINAL:
            self._final = error
        elif error is not None and (by == HERE or error.reason == NO_WAY_OUT):
            self._blocked[by] = error

    def lost(self, giver: str, error: Error) -> None:
        """Who was to give the image cannot, for *error*."""
        if giver in self._givers:
            self._givers.remove(giver)
        if giver == HERE:
            self._blocked[HERE] = error
