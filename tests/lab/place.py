"""Where a server of the tests listens: this machine's loopback, or an address on the lab's switch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.lab.processes import Process


@dataclass(frozen=True, slots=True)
class Place:
    """An address, and the process whose network namespace it lies in; ``None``: this machine's own."""

    address: str
    owner: Process | None = None
    name: str = ""
    """What the lab's switch calls it, if it lies there."""

    def command(self, argv: Sequence[str]) -> list[str]:
        """What to run on this machine so that ``argv`` runs in that network; files and users are this machine's.

        Its number is that of the process started here. It ends with the thread that started it, however that ends.
        """
        inside = ["nsenter", "--target", str(self.owner.pid), "--net", "--"] if self.owner else []
        return [*inside, "setpriv", "--pdeathsig", "KILL", *argv]


LOOPBACK = Place("127.0.0.1")
