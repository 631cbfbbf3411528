"""The spawner: one single-threaded process, started before gRPC, that forks a child for each job.

Why: forking a process that runs gRPC's threads is not supported, and a job that unshares, changes root or parses
hostile bytes must not do so in the agent. The spawner has every job's module imported, so that a child starts by fork
alone. Guarantees: a child's descriptors are its own and those it was given; a cancelled job's child is dead when `run`
returns; when the agent dies, so do the spawner and all children. Leaves to the jobs what they do.

The wire is one SEQPACKET socketpair that children inherit, so a child's reply is one packet that it sends by itself;
what does not fit a packet travels in a memfd.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import itertools
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from jackstay_agent import faults
from jackstay_agent.errors import Error, by_reason, from_os_error
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.threads import to_end

_PACKET = 60 * 1024
_FDS = 16


class Spawner:
    """The agent's side: implements `jobs.Jobs`."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self._pid = pid
        self._channel = channel
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._replies: dict[int, tuple[bool, Any]] = {}
        self._listening = False

    async def run(self, job: str, argument: Any, descriptors: Sequence[int] = ()) -> Any:
        """See `jobs.Jobs.run`."""
        loop = asyncio.get_running_loop()
        if not self._listening:
            self._channel.setblocking(False)
            loop.add_reader(self._channel.fileno(), self._receive)
            self._listening = True
        number = next(self._numbers)
        ended: asyncio.Future[Any] = loop.create_future()
        self._waiting[number] = ended
        sent = False
        try:
            await self._send(["run", number, job], argument, descriptors)
            sent = True
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            if sent and not ended.done():
                await to_end(self._kill(number, ended))
            raise
        finally:
            self._waiting.pop(number, None)
            self._replies.pop(number, None)

    async def close(self) -> None:
        """End the spawner and its children, and reap it."""
        if self._listening:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
        self._channel.close()
        await asyncio.to_thread(self._reap)

    def _reap(self) -> None:
        os.waitpid(self._pid, 0)

    async def _kill(self, number: int, ended: asyncio.Future[Any]) -> None:
        with contextlib.suppress(Exception):
            await self._send(["kill", number, ""], None, ())
            await ended

    async def _send(self, head: list[Any], argument: Any, descriptors: Sequence[int]) -> None:
        packet, extra = _pack([*head, argument])
        try:
            fds = [*descriptors, *extra]
            while True:
                try:
                    socket.send_fds(self._channel, [packet], fds)
                    return
                except BlockingIOError:
                    await asyncio.sleep(0.005)
                except OSError as error:
                    raise Error("the agent's spawner is gone", hint="restart jackstayd") from error
        finally:
            for descriptor in extra:
                os.close(descriptor)

    def _receive(self) -> None:
        while True:
            try:
                packet, fds, _flags, _address = socket.recv_fds(self._channel, _PACKET + 4096, _FDS)
            except BlockingIOError:
                return
            except OSError:
                packet, fds = b"", []
            if not packet:
                self._lose()
                return
            kind, number, detail, value = _unpack(packet, fds)
            waiting = self._waiting.get(number)
            if kind == "reply":
                self._replies[number] = (detail == "ok", value)
            elif kind == "ended":
                ok, result = self._replies.pop(number, (False, None))
                if waiting is None or waiting.done():
                    continue
                if ok:
                    waiting.set_result(result)
                elif result is not None:
                    reason, message, hint = result
                    waiting.set_exception(by_reason(reason)(message, hint=hint))
                else:
                    waiting.set_exception(Error(f"a child of the agent ended early ({_status(value)})"))

    def _lose(self) -> None:
        asyncio.get_running_loop().remove_reader(self._channel.fileno())
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Error("the agent's spawner ended", hint="restart jackstayd"))


def start(modules: Iterable[str]) -> Spawner:
    """Fork the spawner, with *modules* (where the jobs live) imported in it. Call before any thread and gRPC exist.

    A module's function ``warm`` is called there, once: what it makes, every child has.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    agent = os.getpid()
    pid = os.fork()  # the one fork of the agent, before it has a thread
    if pid:
        faults.point("kernel.spawner.started")
        theirs.close()
        return Spawner(pid, ours)
    status = 1
    try:
        ours.close()
        syscalls.set_death_signal(signal.SIGKILL)
        if os.getppid() == agent:
            _load(modules)
            gc.freeze()
            _serve(theirs)
            status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _load(modules: Iterable[str]) -> None:
    for module in modules:
        getattr(importlib.import_module(module), "warm", _cold)()


def _cold() -> None:
    """Nothing to make."""


def _serve(channel: socket.socket) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    children: dict[int, tuple[int, int]] = {}  # pidfd → number, pid
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    while True:
        for descriptor, _event in poll.poll():
            if descriptor != channel.fileno():
                number, pid = children.pop(descriptor)
                poll.unregister(descriptor)
                os.close(descriptor)
                status = os.waitpid(pid, 0)[1]
                channel.sendall(_pack(["ended", number, "", os.waitstatus_to_exitcode(status)])[0])
                continue
            try:
                packet, fds, _flags, _address = socket.recv_fds(channel, _PACKET + 4096, _FDS)
            except OSError:
                packet, fds = b"", []
            if not packet:
                _end(children)
                return
            kind, number, job, argument = _unpack(packet, fds)
            if kind == "kill":
                for running, pid in children.values():
                    if running == number:
                        os.kill(pid, signal.SIGKILL)
                continue
            try:
                pid = os.fork()
                faults.point("kernel.spawner.forked")
            except OSError as error:  # too many processes, or no memory: this job fails, the spawner lives on
                pid = -1
                _refuse(channel, number, error)
            if pid == 0:
                _child(channel, children, number, job, argument, fds)
            for fd in fds:
                os.close(fd)
            if pid > 0:
                pidfd = os.pidfd_open(pid)
                children[pidfd] = (number, pid)
                poll.register(pidfd, select.POLLIN)


def _refuse(channel: socket.socket, number: int, error: OSError) -> None:
    told = from_os_error(error, "starting a child of the agent")
    channel.sendall(_pack(["reply", number, "error", [told.reason, told.message, told.hint]])[0])
    channel.sendall(_pack(["ended", number, "", 1])[0])


def _end(children: dict[int, tuple[int, int]]) -> None:
    for _number, pid in children.values():
        os.kill(pid, signal.SIGKILL)
    for _number, pid in children.values():
        os.waitpid(pid, 0)


def _child(
    channel: socket.socket, others: dict[int, tuple[int, int]], number: int, job: str, argument: Any, fds: list[int]
) -> None:
    """Run one job and never return."""
    status = 1
    try:
        syscalls.set_death_signal(signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for pidfd in others:
            os.close(pidfd)
        faults.point("kernel.spawner.child")
        detail, value = _outcome(job, argument, fds)
        packet, extra = _pack(["reply", number, detail, value])
        socket.send_fds(channel, [packet], extra)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _outcome(job: str, argument: Any, fds: list[int]) -> tuple[str, Any]:
    module, _, function = job.partition(":")
    try:
        return "ok", getattr(importlib.import_module(module), function)(argument, fds)
    except Error as error:
        return "error", [error.reason, error.message, error.hint]
    except OSError as error:
        told = from_os_error(error, f"in {function}")
        return "error", [told.reason, told.message, told.hint]


def _pack(values: list[Any]) -> tuple[bytes, list[int]]:
    """*values* as one packet, and the descriptors that go with it: a memfd when they are too many bytes for one."""
    packet = msgspec.msgpack.encode(values)
    if len(packet) <= _PACKET:
        return packet, []
    memory = os.memfd_create("jackstay-job", os.MFD_CLOEXEC)
    view = memoryview(packet)
    while view:
        view = view[os.write(memory, view) :]
    return b"\xc1", [memory]  # 0xc1 begins no msgpack value


def _unpack(packet: bytes, fds: list[int]) -> tuple[str, int, str, Any]:
    """The values of *packet*; a memfd of `_pack` is taken off *fds* and closed."""
    for descriptor in fds:
        os.set_inheritable(descriptor, False)
    if packet == b"\xc1":
        memory = fds.pop()
        try:
            packet = os.pread(memory, os.fstat(memory).st_size, 0)
        finally:
            os.close(memory)
    kind, number, detail, value = msgspec.msgpack.decode(packet)
    return kind, number, detail, value


def _status(code: Any) -> str:
    return f"killed by {signal.Signals(-code).name}" if isinstance(code, int) and code < 0 else f"exit code {code}"
