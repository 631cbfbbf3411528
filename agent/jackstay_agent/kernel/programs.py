"""Running other programs to their end: nft and the OCI runtime. No shell, no inherited descriptor, a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jackstay_agent import faults
from jackstay_agent.errors import RuntimeFailed, Unsupported


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended."""

    code: int
    stdout: bytes
    stderr: bytes


class Programs(Protocol):
    """Runs programs. Implementations: `LinuxPrograms` and, for tests, `fakes.RecordingPrograms`."""

    async def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 60.0, cwd: str | None = None
    ) -> Completed:
        """Run *argv* with *stdin* and return how it ended, whatever its exit code.

        Raises `Unsupported` when there is no such program, `RuntimeFailed` when it does not end within *timeout*
        seconds (it is killed). When the caller is cancelled the program is killed too.
        """
        ...


class LinuxPrograms:
    """Implements `Programs` with asyncio's subprocesses."""

    async def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 60.0, cwd: str | None = None
    ) -> Completed:
        """See `Programs.run`."""
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=cwd,
                env={"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C.UTF-8"},
            )
        except FileNotFoundError as error:
            raise Unsupported(f"{argv[0]} is not installed", hint=f"install {argv[0]} on the host") from error
        except PermissionError as error:
            raise Unsupported(f"{argv[0]} cannot be executed", hint=f"install {argv[0]} anew on the host") from error
        faults.point("kernel.program.started")
        try:
            async with asyncio.timeout(timeout):
                stdout, stderr = await process.communicate(stdin or None)
        except TimeoutError as error:
            raise RuntimeFailed(f"{' '.join(argv[:3])} did not end within {timeout:g} s") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        assert process.returncode is not None
        return Completed(process.returncode, stdout, stderr)
