"""Names of containers, resolved in the networks that users make: an aardvark-dns that the agent keeps.

Guarantees: one process a host, there while a container is active in such a network and gone when none is; it knows what
the rows say once `follow` has returned, up to the moment that it takes to read its files. It is no child of the agent
and outlives it, so that names are resolved while the agent is away; the next agent finds it by its file. One that ended
is started again. Without the program, containers ask the host's nameservers instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import time

import structlog

from jackstay_agent import faults
from jackstay_agent.errors import Error
from jackstay_agent.kernel.programs import Programs
from jackstay_agent.kernel.threads import finish
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.networks import dns_files

_PLACES = ("/usr/lib/podman", "/usr/libexec/podman", "/usr/lib/aardvark-dns", "/usr/local/libexec/podman")
_SECONDS = 5.0
"""How long it may take to start and to end."""
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds before it is started again: twice as long after each time that fails."""

log = structlog.get_logger()


class Names:
    """The nameserver. `serves` says whether containers can be told to ask it."""

    def __init__(self, database: Database, programs: Programs, run_dir: str) -> None:
        self.serves = False
        self._database = database
        self._programs = programs
        self._folder = os.path.join(run_dir, "names")
        self._lock = asyncio.Lock()
        self._wanted = 0
        self._done = 0
        self._process: int | None = None  # a pidfd
        self._again: asyncio.Task[None] | None = None
        self._closed = False
        self._failed = False  # the last time

    async def follow(self) -> None:
        """Let it know what the rows are now, or later. What fails is logged: without names, containers still run."""
        self._wanted += 1
        mine = self._wanted
        async with self._lock:
            if self._done >= mine:
                return
            turn, self._failed = self._wanted, True
            try:
                await self._follow()
                self._failed = False
            except Error as error:
                self.serves = False
                log.warning("names of containers are not resolved", error=error.message, hint=error.hint)
            except OSError as error:  # no room for its files, say
                self.serves = False
                log.warning("names of containers are not resolved", error=str(error))
            self._done = turn

    def close(self) -> None:
        """Let it go on by itself, at the agent's end."""
        self._closed = True
        if self._again is not None:
            self._again.cancel()
        self._forget()

    async def _follow(self) -> None:
        wanted = await self._database.read(
            lambda c: dns_files.files(rows.networks(c), rows.endpoints(c), rows.nameservers(c))
        )
        changed = await finish(_write, self._folder, wanted)
        if self._process is None:
            self._watch(await asyncio.to_thread(_find, self._folder))
        if not wanted:
            await self._end()
        elif self._process is None:
            await self._start([text.split("\n", 1)[0].split(",")[0] for text in wanted.values()])
        elif changed:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGHUP)
        self.serves = self._process is not None

    async def _start(self, listens: list[str]) -> None:
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_PLACES))
        program = await asyncio.to_thread(shutil.which, "aardvark-dns", path=path) or "aardvark-dns"
        done = await self._programs.run([program, "--config", self._folder, "-p", "53", "run"], timeout=_SECONDS)
        if done.code != 0:
            words = " ".join(done.stderr.decode(errors="replace").split())[:300]
            raise Error(f"aardvark-dns does not start: {words}", hint="see whether another nameserver has port 53")
        self._watch(await asyncio.to_thread(_ready, self._folder, listens))
        if self._process is None:
            raise Error("aardvark-dns ended as soon as it was started", hint="see whether another one has port 53")

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        asyncio.get_running_loop().remove_reader(process)
        self._process = None
        await asyncio.to_thread(_stop, process)

    def _watch(self, process: int | None) -> None:
        self._process = process
        if process is not None:
            asyncio.get_running_loop().add_reader(process, self._ended)

    def _forget(self) -> None:
        if self._process is not None:
            asyncio.get_running_loop().remove_reader(self._process)
            os.close(self._process)
            self._process = None

    def _ended(self) -> None:
        self._forget()
        log.warning("aardvark-dns ended and is started again")
        if not self._closed:
            self._again = asyncio.create_task(self._start_again())

    async def _start_again(self) -> None:
        pause = _PAUSE
        while True:
            await asyncio.sleep(pause)
            await self.follow()
            if not self._failed:
                return
            pause = min(2 * pause, _LONGEST_PAUSE)


def _write(folder: str, wanted: dict[str, str]) -> bool:
    """Make the files of *folder* those of *wanted*; whether anything was to be done."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    changed = False
    for name in os.listdir(folder):
        if name not in wanted and name != "aardvark.pid":
            os.unlink(os.path.join(folder, name))
            changed = True
    for name, text in wanted.items():
        path = os.path.join(folder, name)
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            if file.read() == text:
                continue
        beside = f"{folder}.new"  # not in the folder, where it would be one network more
        with open(beside, "w", encoding="utf-8") as file:
            file.write(text)
        faults.point("networks.names.written")
        os.replace(beside, path)
        changed = True
    return changed


def _find(folder: str) -> int | None:
    """A pidfd of the nameserver that reads *folder*, or None."""
    try:
        with open(os.path.join(folder, "aardvark.pid"), encoding="ascii") as file:
            pid = int(file.read().strip() or "0")
        process = os.pidfd_open(pid)
    except (OSError, ValueError):
        return None
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(1 << 16).split(b"\0")
    except OSError:
        words = []
    # Looked at after the descriptor was opened, so it is of the same process.
    if words and os.path.basename(words[0]) == b"aardvark-dns" and os.fsencode(folder) in words:
        return process
    os.close(process)
    return None


def _ready(folder: str, listens: list[str]) -> int | None:
    """A pidfd of the one that was just started, once it listens on the IPv4 addresses *listens*; None if it ends."""
    wanted = {bytes(map(int, address.split(".")))[::-1].hex().upper() + ":0035" for address in listens}
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        with open("/proc/net/udp", encoding="ascii") as file:
            bound = {line.split()[1] for line in file}
        if wanted <= bound and (process := _find(folder)) is not None:
            return process
        time.sleep(0.005)
    return _find(folder)


def _stop(process: int) -> None:
    """End the process of that pidfd, which is closed."""
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, number)
            if _over(process):
                return
    finally:
        os.close(process)


def _over(process: int) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(int(_SECONDS * 1000)))
