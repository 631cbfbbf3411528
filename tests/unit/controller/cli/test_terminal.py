"""The command in a process and on a terminal of its own: raw mode, size, keys, signals, pipes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "jackstay.cli.main", "-H", "local"]


@pytest.fixture
def environment(jackstay: Any, archive: Path, sockets: Path) -> dict[str, str]:
    """Where the image ``app:1`` and the container ``srv`` are on the local host."""
    assert jackstay("-H", "web1", "load", "-i", str(archive)).code == 0
    assert jackstay("-H", "web1", "run", "-d", "--name", "srv", "app:1", "serve").code == 0
    return os.environ | {"JACKSTAY_SOCKET": str(sockets / "web1.sock")}


class Terminal:
    """A command on a pseudo-terminal of 30 rows and 100 columns."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self.fd, self.inner = pty.openpty()
        self.resize(30, 100)
        self.before = termios.tcgetattr(self.inner)
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=self.inner,
            stdout=self.inner,
            stderr=self.inner,
            env=environment,
            start_new_session=True,
        )
        self.seen = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def expect(self, text: bytes) -> None:
        end = time.monotonic() + 20
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.fd], [], [], 0.2)[0]:
                self.seen += os.read(self.fd, 4096)

    def type(self, data: bytes) -> None:
        os.write(self.fd, data)

    def wait(self) -> int:
        end = time.monotonic() + 20
        while (code := self.process.poll()) is None:
            assert time.monotonic() < end, self.seen
            if select.select([self.fd], [], [], 0.05)[0]:
                self.seen += os.read(self.fd, 4096)
        return code

    def restored(self) -> bool:
        return termios.tcgetattr(self.inner) == self.before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self.fd)
        os.close(self.inner)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def test_the_terminals_size_goes_along_and_follows(environment: dict[str, str], terminals: list[Terminal]) -> None:
    terminal = Terminal(["run", "-it", "--rm", "app:1", "size"], environment)
    terminals.append(terminal)
    terminal.expect(b"30x100\r\n")
    terminal.resize(41, 77)
    terminal.process.send_signal(signal.SIGWINCH)  # it is nobody's controlling terminal, so the kernel sends none
    terminal.expect(b"41x77\r\n")
    assert not terminal.restored()
    terminal.type(b"q")
    assert terminal.wait() == 0
    assert terminal.restored()


def test_typing_reaches_the_container_unchanged_and_once(
    environment: dict[str, str], terminals: list[Terminal]
) -> None:
    terminal = Terminal(["exec", "-it", "srv", "cat"], environment)
    terminals.append(terminal)
    while terminal.restored():  # until the terminal is raw, the kernel itself would answer
        time.sleep(0.05)
    terminal.type(b"a\x03b\x1b[A\r")
    terminal.expect(b"a\x03b\x1b[A\r")
    assert terminal.seen.count(b"b\x1b[A") == 1


def test_detaching_leaves_it_running_and_the_terminal_whole(
    environment: dict[str, str], terminals: list[Terminal], jackstay: Any
) -> None:
    terminal = Terminal(["run", "-it", "--name", "shell", "app:1", "cat"], environment)
    terminals.append(terminal)
    while terminal.restored():
        time.sleep(0.05)
    terminal.type(b"x\x10")
    terminal.expect(b"x")
    terminal.type(b"\x11")
    assert terminal.wait() == 0
    assert terminal.restored()
    assert jackstay("-H", "web1", "ps", "--format", "{{.Names}}").out.split() == ["srv", "shell"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_put_right_when_the_command_is_ended(
    environment: dict[str, str], terminals: list[Terminal], number: signal.Signals
) -> None:
    terminal = Terminal(["exec", "-it", "srv", "cat"], environment)
    terminals.append(terminal)
    while terminal.restored():
        time.sleep(0.05)
    terminal.process.send_signal(number)
    assert terminal.wait() == 130
    assert terminal.restored()


def test_signals_are_passed_on_without_a_terminal(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [*COMMAND, "run", "app:1", "signal"], stdout=subprocess.PIPE, env=environment, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"got SIGINT\n"
        assert process.wait(20) == 3


def test_an_interrupt_without_proxy_ends_the_command_only(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [*COMMAND, "run", "--no-sig-proxy", "app:1", "signal"], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_input_comes_back_whole_and_its_end_is_told(environment: dict[str, str]) -> None:
    data = os.urandom(3 << 20)
    result = subprocess.run(
        [*COMMAND, "exec", "-i", "srv", "cat"], input=data, capture_output=True, env=environment, timeout=40
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout == data


def test_input_may_be_a_file(environment: dict[str, str], archive: Path) -> None:
    with archive.open("rb") as file:
        result = subprocess.run(
            [*COMMAND, "run", "-i", "--rm", "app:1", "cat"],
            stdin=file,
            capture_output=True,
            env=environment,
            timeout=40,
        )
    assert (result.returncode, result.stdout) == (0, archive.read_bytes())


def test_a_reader_that_leaves_ends_us_quietly(environment: dict[str, str]) -> None:
    command = " ".join([*COMMAND, "exec", "srv", "big", str(8 << 20)])
    result = subprocess.run(
        ["bash", "-c", f"{command} | head -c 5; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        env=environment,
        timeout=40,
    )
    assert result.stdout.startswith(b"xxxxx")
    assert result.stderr == b""
    assert result.stdout[5:].strip() == b"141"


def test_a_stubborn_process_is_left_at_the_third_interrupt(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [*COMMAND, "run", "-i", "app:1", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"here\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"here\n"
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_progress_on_a_terminal(environment: dict[str, str], terminals: list[Terminal], archive: Path) -> None:
    terminal = Terminal(["load", "-i", str(archive)], environment)
    terminals.append(terminal)
    assert terminal.wait() == 0
    terminal.expect(b"Loaded image: app:1\r\n")


def test_errors_are_red_on_a_terminal_only(environment: dict[str, str], terminals: list[Terminal]) -> None:
    for more, red in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        terminal = Terminal(["inspect", "nothing"], environment | {"TERM": "xterm"} | more)
        terminals.append(terminal)
        assert terminal.wait() == 1
        terminal.expect(b"\x1b[31mError:\x1b[0m local: " if red else b"Error: local: ")
        assert (b"\x1b[31m" in terminal.seen) is red
