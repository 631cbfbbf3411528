"""How far a copy is, over all hosts: numbers only, shown by others. Pure.

The agent tells of each blob how many of its bytes are there; a host's total grows as it finds out what it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jackstay.client.messages import FetchProgress

PRESENT, RECEIVING, RECEIVED, UNPACKING, UNPACKED = range(1, 6)
"""``FetchProgress.Phase``."""


@dataclass(slots=True)
class HostProgress:
    """One host's bytes."""

    total: int = 0  # known to be needed
    current: int = 0
    phase: str = "connecting"
    finished: bool = False
    _blobs: dict[str, tuple[int, int]] = field(default_factory=dict)

    def update(self, event: FetchProgress) -> None:
        """Take one event in."""
        if event.phase in (RECEIVING, RECEIVED):
            self.phase = "receiving"
            self.count(event.digest, event.total if event.phase == RECEIVED else event.current, event.total)
        elif event.phase in (UNPACKING, UNPACKED):
            self.phase = "unpacking"

    def count(self, digest: str, current: int, total: int) -> None:
        """So many bytes of a blob are where they must go."""
        before = self._blobs.get(digest, (0, 0))
        self._blobs[digest] = (current, total)
        self.current += current - before[0]
        self.total += total - before[1]


@dataclass(slots=True)
class CopyProgress:
    """Every host's progress."""

    hosts: dict[str, HostProgress] = field(default_factory=dict)

    def host(self, name: str) -> HostProgress:
        """The progress of a host, made when it is first asked for."""
        return self.hosts.setdefault(name, HostProgress())

    @property
    def current(self) -> int:
        """Bytes that came, all hosts together."""
        return sum(host.current for host in self.hosts.values())

    @property
    def total(self) -> int:
        """Bytes known to be needed, all hosts together."""
        return sum(host.total for host in self.hosts.values())

    @property
    def finished(self) -> int:
        """Hosts that are done, well or not."""
        return sum(host.finished for host in self.hosts.values())

    def slowest(self, count: int) -> list[tuple[str, HostProgress]]:
        """The unfinished hosts with the most left to receive."""
        waiting = [(name, host) for name, host in self.hosts.items() if not host.finished]
        return sorted(waiting, key=lambda item: item[1].current - item[1].total)[:count]
