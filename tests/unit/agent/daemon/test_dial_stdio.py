"""dial-stdio: both directions at once, and every way to end."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DIAL = [
    sys.executable,
    "-c",
    "import sys; from jackstay_agent.daemon import dial_stdio; sys.exit(dial_stdio.dial(sys.argv[1]))",
]
MUCH = bytes(range(256)) * 40_000  # 10 MB: more than any buffer on the way


@contextmanager
def dialled(tmp_path: Path) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """The agent's end, and the process."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        process = subprocess.Popen(
            [*DIAL, str(tmp_path / "s")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            listener.settimeout(20)
            with listener.accept()[0] as agent:
                agent.settimeout(20)
                yield agent, process
        finally:
            process.kill()
            process.communicate()


def read_all(agent: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count and (data := agent.recv(1 << 16)):
        got += data
    return bytes(got)


def test_what_one_direction_carries_waits_for_nobody_in_the_other(tmp_path: Path) -> None:
    with dialled(tmp_path) as (agent, process):
        assert process.stdin is not None
        assert process.stdout is not None
        # Nobody takes what the agent says, and still all that is said to it arrives; then the other way round.
        saying = threading.Thread(target=agent.sendall, args=(MUCH,))
        saying.start()
        telling = threading.Thread(target=process.stdin.write, args=(MUCH,))
        telling.start()
        assert read_all(agent, len(MUCH)) == MUCH
        telling.join()
        assert process.stdout.read(len(MUCH)) == MUCH
        saying.join()


def test_input_may_end_before_output_does(tmp_path: Path) -> None:
    with dialled(tmp_path) as (agent, process):
        assert process.stdin is not None
        process.stdin.write(b"asked")
        process.stdin.close()
        process.stdin = None
        assert (read_all(agent, 100)) == b"asked"
        agent.sendall(b"answered")
        agent.close()
        assert process.communicate(timeout=20) == (b"answered", b"")
        assert process.returncode == 0


def test_an_agent_that_is_killed_ends_it_in_silence(tmp_path: Path) -> None:
    with dialled(tmp_path) as (agent, process):
        assert process.stdin is not None
        process.stdin.write(b"x" * 1000)
        process.stdin.flush()
        agent.recv(10)
        agent.close()  # with bytes unread: the connection is reset
        assert (process.wait(20), process.stderr.read() if process.stderr else b"") == (0, b"")


def test_a_reader_that_goes_away_ends_it_in_silence(tmp_path: Path) -> None:
    with dialled(tmp_path) as (agent, process):
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        agent.sendall(b"x" * 100_000)
        assert (process.wait(20), process.stderr.read() if process.stderr else b"") == (0, b"")


def test_no_agent(tmp_path: Path) -> None:
    done = subprocess.run([*DIAL, str(tmp_path / "none")], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: no agent at {tmp_path}/none: No such file or directory\n")


def test_the_registrys_socket_lies_beside_the_agents(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "registry.sock"))
        listener.listen()
        listener.settimeout(20)
        command = [sys.executable, "-c", "from jackstay_agent.daemon.main import main; main()"]
        command += ["dial-stdio", "--socket", str(tmp_path / "jackstayd.sock"), "--registry"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            with listener.accept()[0] as registry:
                registry.sendall(b"hello")
            assert process.communicate(timeout=20)[0] == b"hello"
            assert process.returncode == 0
