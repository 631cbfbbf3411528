"""Jobs: work that needs another root, another namespace or another process, done by a child of the spawner.

A job is a function ``def job(argument, descriptors) -> result`` named by its dotted path
``package.module:function``. It runs in a process of its own, single-threaded, without gRPC; *argument* and the result
are plain values that msgpack carries; *descriptors* are the child's own copies. Errors of the vocabulary cross the
border as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Jobs(Protocol):
    """Runs jobs. Implementations: `spawner.Spawner` and, for tests, `fakes.RecordingJobs`."""

    async def run(self, job: str, argument: Any, descriptors: Sequence[int] = ()) -> Any:
        """Run *job* (``package.module:function``) in a child and return what it returned.

        The descriptors stay the caller's. When the caller is cancelled the child is killed and reaped first. Raises
        what the job raised (`Error` classes), and `Error` when the child died of something else.
        """
        ...
