"""How busy the server is: how many calls are under way, and since when there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Activity:
    """Counts calls. For the event loop's thread only."""

    def __init__(self) -> None:
        self._calls = 0
        self._quiet_since = time.monotonic()

    @contextmanager
    def call(self) -> Iterator[None]:
        """A call is under way for the time of the block."""
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._quiet_since = time.monotonic()

    def quiet_for(self) -> float:
        """Seconds without a call; 0 while there is one."""
        return 0.0 if self._calls else time.monotonic() - self._quiet_since
