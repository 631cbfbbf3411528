"""Runs ``jackstay`` commands without starting Python anew for each: a process that has imported all of it forks one.

A command gets descriptors, environment and folder of its own and runs what the ``jackstay`` program runs, in a process
of its own; what it saves is the import of gRPC, SSH and the command line, most of a short command's time. How the real
program starts is tested where programs, terminals and other users start it.

Protocol, over a socket pair: a message is ``{argv, env, cwd}`` as JSON, with four descriptors: standard input, output
and error, and one end of a socket on which the process's number comes at once, and its status in the end.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_NUMBER = struct.Struct("<i")
_LARGEST = 1 << 20
_ROOT = Path(__file__).parents[2]


class Commands:
    """The process that forks commands; it ends with the one that made it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.lab.commands", str(other.fileno())],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
            )

    def run(
        self, argv: Sequence[str], env: Mapping[str, str], input: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]:
        """One command: its exit code (negative: the signal that ended it), its output and its errors.

        Raises :class:`subprocess.TimeoutExpired`, and has ended it, when it takes longer than *timeout* seconds.
        """
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
        (in_read, in_write), (out_read, out_write), (err_read, err_write) = pipes
        answers, theirs = socket.socketpair()
        answers.settimeout(timeout)
        message = json.dumps({"argv": list(argv), "env": dict(env), "cwd": os.getcwd()}).encode()
        with answers:
            with theirs, self._lock:
                fds = array.array("i", [in_read, out_write, err_write, theirs.fileno()])
                self._socket.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            for fd in (in_read, out_write, err_write):
                os.close(fd)
            with open(in_write, "wb", buffering=0) as feed, open(out_read, "rb") as out, open(err_read, "rb") as err:
                outputs: list[bytes] = [b"", b""]

                def give() -> None:
                    with contextlib.suppress(BrokenPipeError), feed:
                        view = memoryview(input)
                        while view:
                            view = view[os.write(feed.fileno(), view) :]

                def take(index: int, source: IO[bytes]) -> None:
                    outputs[index] = source.read()

                threads = [
                    threading.Thread(target=give),
                    threading.Thread(target=take, args=(0, out)),
                    threading.Thread(target=take, args=(1, err)),
                ]
                for thread in threads:
                    thread.start()
                pid = _number(answers)
                try:
                    status = _number(answers)
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(list(argv), timeout) from None
                finally:
                    for thread in threads:
                        thread.join()
        return os.waitstatus_to_exitcode(status), outputs[0], outputs[1]

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.wait(10)


def _number(answers: socket.socket) -> int:
    data = b""
    while len(data) < _NUMBER.size:
        piece = answers.recv(_NUMBER.size - len(data))
        if not piece:
            raise RuntimeError("the process that forks commands has ended")
        data += piece
    return int(_NUMBER.unpack(data)[0])


def _import() -> None:
    """What commands import, as far as it starts no thread: all of the project that is on a laptop, and what it uses."""
    import importlib
    import pkgutil

    for package in ("jackstay", "jackstay_oci", "jackstay_proto"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)
    for name in ("ClusterShell.NodeSet", "concurrent.futures.thread", "encodings.idna", "grpc.aio", "rich.progress"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _serve(control: socket.socket) -> None:
    wake, wakened = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wakened)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _reap(running)
        if control.fileno() in ready:
            data, ancillary, _, _ = control.recvmsg(_LARGEST, socket.CMSG_SPACE(4 * 4))
            if not data:
                return
            fds = array.array("i")
            fds.frombytes(ancillary[0][2])
            message = json.loads(data)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                _become(message, fds)
            for fd in fds[:3]:
                os.close(fd)
            running[pid] = answers = socket.socket(fileno=fds[3])
            with contextlib.suppress(OSError):
                answers.sendall(_NUMBER.pack(pid))


def _reap(running: dict[int, socket.socket]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        with running.pop(pid) as answers, contextlib.suppress(OSError):
            answers.sendall(_NUMBER.pack(status))


def _become(message: dict[str, Any], fds: Sequence[int]) -> None:
    """Be the command; never returns."""
    from jackstay.cli.main import main

    for target, fd in enumerate(fds[:3]):
        os.dup2(fd, target)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(message["env"])
    os.chdir(message["cwd"])
    sys.argv = ["jackstay", *message["argv"]]
    code: object = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    _import()
    _serve(socket.socket(fileno=int(sys.argv[1])))
