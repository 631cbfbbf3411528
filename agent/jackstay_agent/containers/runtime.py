"""The OCI runtime, crun or runc or any with their command line, and what its words mean.

`create` and `exec` are conmon's to call; here is everything that ends at once. Guarantees: a failure is
`CommandNotFound`, `CommandNotExecutable` or `RuntimeFailed` with the runtime's own words, never an exit code to guess.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jackstay_agent.errors import CommandNotExecutable, CommandNotFound, Error, RuntimeFailed, Unsupported
from jackstay_agent.kernel.programs import Completed, Programs

PREFERRED = ("crun", "runc")

_SECONDS = 60.0
"""No command of the runtime takes that long, unless it hangs."""

_CANNOT_RUN = "cannot run the command: "

_MISSING = re.compile(
    r'executable file .*not found|exec: "[^"]*": .*no such file or directory|open executable: no such file|'
    r"exec user process caused: no such file or directory",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r'exec: "[^"]*": .*(permission denied|is a directory|exec format)|'
    r"open executable: (permission denied|operation not permitted|is a directory)|exec format error",
    re.IGNORECASE,
)

_HINTS = (
    (
        re.compile(r"\bmount.*: (not|is) a directory", re.IGNORECASE),
        "is a folder mounted onto a file, or a file onto a folder?",
    ),
    (re.compile(r"\b(chdir|mkdir) .*: not a directory", re.IGNORECASE), "a part of the working directory is a file"),
)
"""What to do about failures that a container's settings bring about."""


@dataclass(frozen=True, slots=True)
class RuntimeState:
    """What the runtime says of a container."""

    status: str  # creating, created, running, paused, stopped
    pid: int  # 0 when it has no process


def choose(name: str) -> str:
    """The path of the runtime *name*, or of the best one that is installed when it is empty.

    Raises `Unsupported` when there is none.
    """
    for candidate in (name,) if name else PREFERRED:
        found = shutil.which(candidate)
        if found is not None:
            return found
    raise Unsupported(
        f"no OCI runtime is installed: {name or ' or '.join(PREFERRED)}", hint="install crun (or runc) on the host"
    )


class Runtime:
    """The runtime at *path*, keeping its state below *root*."""

    def __init__(self, programs: Programs, path: str, root: str) -> None:
        self._programs = programs
        self.path = path
        self.root = root

    @property
    def arguments(self) -> list[str]:
        """The options that stand before every command."""
        return ["--root", self.root]

    async def start(self, container: str) -> None:
        """Let the created *container* run its command."""
        self._check(await self._run("start", container))

    async def kill(self, container: str, signal: int) -> None:
        """Send *signal* to the first process. A process that is gone already is no error."""
        ended = await self._run("kill", container, str(signal))
        if ended.code and not _is_gone(_words(ended)):
            raise RuntimeFailed(f"cannot kill container {container}: {_words(ended)}")

    async def delete(self, container: str) -> None:
        """Kill what is left of *container* and forget it. No error when it is unknown."""
        ended = await self._run("delete", "--force", container)
        if ended.code and not _is_gone(_words(ended)):
            raise RuntimeFailed(f"cannot delete container {container}: {_words(ended)}")

    async def pause(self, container: str) -> None:
        """Freeze every process of *container*."""
        self._check(await self._run("pause", container))

    async def resume(self, container: str) -> None:
        """Undo `pause`. One that is not paused is no error: runc lets a container go on when it kills it."""
        ended = await self._run("resume", container)
        if ended.code and "not paused" not in _words(ended):
            raise translate(_words(ended))

    async def update(self, container: str, resources: str) -> None:
        """Give the running *container* the limits in the file *resources*: ``linux.resources`` as JSON."""
        self._check(await self._run("update", "--resources", resources, container))

    async def state(self, container: str) -> RuntimeState | None:
        """What the runtime knows of *container*; None for nothing."""
        ended = await self._run("state", container)
        if ended.code:
            return None
        try:
            told = json.loads(ended.stdout)
            return RuntimeState(str(told["status"]), int(told.get("pid", 0)))
        except (ValueError, KeyError, TypeError) as error:
            raise RuntimeFailed(f"{self.path} state gives no state: {ended.stdout[:200]!r}") from error

    async def version(self) -> str:
        """The first line of ``--version``."""
        ended = await self._programs.run([self.path, "--version"])
        return ended.stdout.decode(errors="replace").partition("\n")[0]

    async def _run(self, *words: str) -> Completed:
        return await self._programs.run([self.path, *self.arguments, *words], timeout=_SECONDS)

    def _check(self, ended: Completed) -> None:
        if ended.code:
            raise translate(_words(ended))


@contextmanager
def naming(command: str) -> Iterator[None]:
    """Name *command* in the errors of the block that say that a command cannot be run: a runtime may not."""
    try:
        yield
    except (CommandNotFound, CommandNotExecutable) as error:
        told = error.message.removeprefix(_CANNOT_RUN)
        raise type(error)(f"cannot run {command!r}: {told}", hint=error.hint) from error


def translate(words: str) -> Error:
    """The error that a runtime's *words* mean. Both crun's and runc's are known."""
    words = " ".join(words.split())
    told = _own_words(words)
    if _MISSING.search(words):
        return CommandNotFound(f"{_CANNOT_RUN}{told}", hint="check the command, the entrypoint and the image")
    if _REFUSED.search(words):
        return CommandNotExecutable(f"{_CANNOT_RUN}{told}", hint="check that it is an executable file for this machine")
    hint = next((hint for sign, hint in _HINTS if sign.search(words)), "")
    return RuntimeFailed(f"the OCI runtime failed: {told}", hint=hint)


def exit_code(error: Error) -> int:
    """The exit code of a container that could not start because of *error*, as docker gives it."""
    if isinstance(error, CommandNotFound):
        return 127
    return 126 if isinstance(error, CommandNotExecutable) else 128


def log_words(log: bytes) -> str:
    """The last error in a runtime's JSON log (``--log-format=json``), or ""."""
    found = ""
    for line in log.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and told.get("level") in ("error", "fatal") and told.get("msg"):
            found = str(told["msg"])
    return found


def _words(ended: Completed) -> str:
    text = ended.stderr.decode(errors="replace").strip()
    return log_words(ended.stderr) or text or f"exit code {ended.code}"


def _own_words(words: str) -> str:
    """*words* without crun's time stamp and runc's wrapping."""
    words = re.sub(r"^\d{4}-\d\d-\d\dT[\d:.]+Z?:? ", "", words)
    words = re.sub(r'^time=\S+ level=\w+ msg="(.*)"$', lambda match: match[1].replace('\\"', '"'), words)
    return re.sub(r"(OCI runtime|runc) (create|start|exec) failed: |unable to start container process: ", "", words)


def _is_gone(words: str) -> bool:
    lowered = words.lower()
    return any(
        sign in lowered
        for sign in (
            "does not exist",
            "no such process",
            "not running",
            "already finished",
            "already stopped",
            "no such file or directory",
            "container not running",
        )
    )
