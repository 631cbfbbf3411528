"""Fakes of this package's protocols that record what they were asked, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jackstay_agent.kernel.id_maps import IdRange
from jackstay_agent.kernel.programs import Completed


class RecordingJobs:
    """Implements `jobs.Jobs`: records every job, and answers with what *answers* gives for it (None by default)."""

    def __init__(self, answers: dict[str, Callable[[Any], Any]] | None = None) -> None:
        self.ran: list[tuple[str, Any]] = []
        self._answers = answers or {}

    async def run(self, job: str, argument: Any, descriptors: Sequence[int] = ()) -> Any:
        """Record *job* and return its answer."""
        self.ran.append((job, argument))
        answer = self._answers.get(job)
        return answer(argument) if answer is not None else None


class RecordingPrograms:
    """Implements `programs.Programs`: records every command line and its input, and succeeds."""

    def __init__(self, answers: dict[str, Completed] | None = None) -> None:
        self.ran: list[tuple[list[str], bytes]] = []
        self._answers = answers or {}

    async def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 60.0, cwd: str | None = None
    ) -> Completed:
        """Record *argv* and return the answer for its program."""
        self.ran.append((list(argv), stdin))
        return self._answers.get(argv[0], Completed(0, b"", b""))


class RecordingMounts:
    """Implements `mounts.Mounts`: records, mounts nothing."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    async def overlay(
        self,
        folder: str,
        target: str,
        lower: Sequence[str],
        upper: str,
        work: str,
        *,
        read_only: bool = False,
        ids: IdRange | None = None,
    ) -> None:
        """Record the mount."""
        self.calls.append(("overlay", folder, target, ":".join(lower), upper, work))

    async def bind(self, source: str, target: str, *, read_only: bool = False, ids: IdRange | None = None) -> None:
        """Record the mount."""
        self.calls.append(("bind", source, target))

    async def tmpfs(self, target: str, size: int) -> None:
        """Record the mount."""
        self.calls.append(("tmpfs", target, str(size)))

    async def unmount(self, target: str) -> None:
        """Record the unmount."""
        self.calls.append(("unmount", target))

    async def mounted(self, below: str) -> list[str]:
        """Nothing is mounted."""
        return []
