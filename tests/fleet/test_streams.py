"""Standard streams through the command line: large and binary ones, terminals, keys and signals."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.conftest import settled
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import JACKSTAY, Laptop, data
from tests.lab.terminal import Terminal

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

MIB = 1 << 20
LARGE = 256 * MIB
HEADROOM = LARGE // 2
"""What an agent or a command may grow by at most while `LARGE` bytes pass through it: by windows and buffers (20 to 80
MiB, however much passes), not by the data."""


@pytest.fixture(scope="module")
def web1(shared_lab: Lab, base_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web1, where ``base:1`` runs as ``app``."""
    laptop = Laptop(shared_lab)
    laptop.environment["JACKSTAY_HOST"] = "web1"
    laptop.ok("load", "-q", "-i", base_archive)
    laptop.ok("run", "-d", "--name", "app", "base:1", "sleep", "600")
    yield laptop
    host = shared_lab.hosts["web1"]
    empty(host)
    assert settled(host) == []


@pytest.fixture
def host(shared_lab: Lab) -> Host:
    """The host itself."""
    return shared_lab.hosts["web1"]


def memory(pid: int, name: str) -> int:
    """``VmRSS`` or ``VmHWM``, its peak, of a process, in bytes; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:")), 0)


def peak_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for *process*; the most memory that it has had."""
    most = 0
    while process.poll() is None:
        most = max(most, memory(process.pid, "VmHWM"))
        time.sleep(0.02)
    return most


@pytest.mark.timeout(300)
def test_a_large_stream_passes_through_little_memory(web1: Laptop, host: Host) -> None:
    (Path("/proc") / str(host.agent.pid) / "clear_refs").write_text("5")  # its peak begins now
    before = memory(host.agent.pid, "VmRSS")
    small = subprocess.Popen(
        [JACKSTAY, "exec", "-i", "app", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=web1.environment
    )
    assert small.stdin is not None
    small.stdin.write(os.urandom(MIB))
    small.stdin.close()
    least = peak_of(small)
    assert (small.returncode, least > 0) == (0, True)

    piece, sent = os.urandom(MIB), hashlib.sha256()
    argv = [JACKSTAY, "exec", "-i", "app", "sh", "-c", "cat >/large"]
    sending = subprocess.Popen(argv, stdin=subprocess.PIPE, env=web1.environment)

    def feed() -> None:
        assert sending.stdin is not None
        for number in range(LARGE // MIB):
            part = number.to_bytes(8, "big") + piece[8:]
            sent.update(part)
            sending.stdin.write(part)
        sending.stdin.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    most = peak_of(sending)
    feeder.join()
    assert sending.returncode == 0

    reading = subprocess.Popen([JACKSTAY, "exec", "app", "cat", "/large"], stdout=subprocess.PIPE, env=web1.environment)
    received, size = hashlib.sha256(), 0
    assert reading.stdout is not None
    while part := reading.stdout.read(MIB):
        received.update(part)
        size += len(part)
        most = max(most, memory(reading.pid, "VmHWM"))
    reading.stdout.close()
    assert (reading.wait(), size, received.digest()) == (0, LARGE, sent.digest())
    assert most < least + HEADROOM
    assert memory(host.agent.pid, "VmHWM") < before + HEADROOM
    web1.ok("exec", "app", "rm", "/large")


def test_execs_flags_seen_from_inside(web1: Laptop, tmp_path: Path) -> None:
    look = "echo $A $B $(id -u):$(id -g) $PWD; awk '/^CapEff/ { print $2 }' /proc/self/status"
    plain = web1.ok("exec", "app", "sh", "-c", look).lines
    assert plain == ["0:0 /", "00000000a80425fb"]
    (tmp_path / "variables").write_text("# of the application\nA=0\nB=x y\n")
    flags = ("-e", "A=1", "--env-file", tmp_path / "variables", "-u", "www:5", "-w", "/var/www")
    assert web1.ok("exec", *flags, "app", "sh", "-c", look).lines == ["1 x y 33:5 /var/www", "0000000000000000"]
    (all_capabilities,) = web1.ok("exec", "--privileged", "app", "sh", "-c", look).lines[1:]
    assert int(all_capabilities, 16) & ~int(plain[1], 16)
    assert int(all_capabilities, 16) & (1 << 21)  # CAP_SYS_ADMIN
    web1.run("exec", "app", "sh", "-c", "exit 9").ended(9)
    web1.run("exec", "app", "no-such-program").ended(127)
    web1.run("exec", "app", "/etc/passwd").ended(126)
    for flags, told in [
        (("-u", "nobody-here"), "unable to find user nobody-here"),
        (("-w", "relative"), "needs to be an absolute path"),
        (("-w", "/none"), "/none"),
    ]:
        assert told in web1.run("exec", *flags, "app", "true").stderr
    web1.ok("pause", "app")
    for command in (("exec", "app", "true"), ("attach", "app")):
        told = f"is paused, unpause the container before {command[0]}"
        assert told in web1.run(*command).ended(125).stderr
    web1.ok("unpause", "app")

    assert web1.ok("exec", "-d", "app", "sh", "-c", "sleep 0.2; echo later >/told").stdout == ""
    deadline = time.monotonic() + 10
    while web1.run("exec", "app", "cat", "/told").stdout != "later\n":
        assert time.monotonic() < deadline


def state(web1: Laptop, name: str) -> str:
    """Its state."""
    return str(data(web1.ok("--json", "inspect", name))[0]["State"]["Status"])


def leave(terminal: Terminal, keys: str) -> None:
    """Type *keys*, which must end the command and not the container's process."""
    terminal.type(keys)
    assert terminal.wait() == 0


def test_keys_sizes_and_interrupts_on_a_terminal(web1: Laptop) -> None:
    with web1.terminal("run", "-it", "--name", "shell", "--detach-keys", "ctrl-x,x", "base:1") as terminal:
        terminal.expect("/ # ")
        terminal.type("echo go; sleep 500\n")
        terminal.expect("\ngo\r\n")
        terminal.type("\x03")  # ends what runs in it, not the shell and not the command
        terminal.expect("/ # ")
        terminal.resize(31, 77)
        terminal.type("until stty size | grep '31 77'; do sleep 0.05; done\n")
        terminal.expect(r"31 77\r\n")
        terminal.type("\x10\x11\x15")  # the keys are others now; Ctrl-U empties the line
        terminal.type("echo still $((40 + 2))\n")
        terminal.expect("still 42")
        leave(terminal, "\x18x")
    assert state(web1, "shell") == "running"

    with web1.terminal("attach", "--detach-keys", "ctrl-a,d", "shell") as terminal:
        terminal.type("\n")
        terminal.expect("/ # ")
        terminal.type("\x01e")  # half of them, and something else: typed
        leave(terminal, "\x01d")
    with web1.terminal("attach", "shell") as terminal:
        terminal.type("\n")  # what comes before the command has the terminal is kept for it, but a Ctrl-C is not
        terminal.expect("/ # ")
        terminal.type("\x03")
        terminal.expect("/ # ")
        leave(terminal, "\x10\x11")
    with web1.terminal("exec", "-it", "--detach-keys", "ctrl-q", "shell", "sh", "-c", "echo here; cat") as terminal:
        terminal.expect("here")
        leave(terminal, "\x11")
    assert "cat" in web1.ok("exec", "shell", "ps").stdout
    web1.ok("stop", "-t", "0", "shell")
    with web1.terminal("start", "-ai", "--detach-keys", "ctrl-d", "shell") as terminal:
        terminal.expect("/ # ")
        leave(terminal, "\x04")
    assert state(web1, "shell") == "running"
    with web1.terminal("attach", "shell") as terminal:
        terminal.type("exit 3\n")
        assert terminal.wait() == 3
    web1.ok("rm", "shell")


def test_signals_are_passed_on_unless_they_are_not_to_be(web1: Laptop) -> None:
    script = "trap 'echo told; exit 4' USR1 INT; while :; do echo tick; sleep 0.05; done"

    def started(*argv: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([JACKSTAY, *argv], stdout=subprocess.PIPE, env=web1.environment)

    def until(process: subprocess.Popen[bytes], line: bytes) -> None:
        assert process.stdout is not None
        assert line in process.stdout, line

    with started("run", "--name", "asked", "base:1", "sh", "-c", script) as running:
        until(running, b"tick\n")
        with started("attach", "--no-stdin", "--sig-proxy=false", "asked") as attached:
            until(attached, b"tick\n")
            attached.send_signal(signal.SIGINT)
            assert attached.wait(20) == 130
        until(running, b"tick\n")
        with started("attach", "--no-stdin", "--sig-proxy", "asked") as attached:
            until(attached, b"tick\n")
            attached.send_signal(signal.SIGUSR1)
            until(attached, b"told\n")
            assert attached.wait(20) == 4
        until(running, b"told\n")
        assert running.wait(20) == 4
    web1.ok("rm", "asked")
