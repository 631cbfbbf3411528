"""The command line against agents that are only remembered: three hosts that answer, and ``down``, which does not."""

from __future__ import annotations

import asyncio
import json
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

HOSTS = ("web1", "web2", "web3")
FAKE = Path(__file__).parent.parent / "fake_agent.py"


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]
RUNNER = asyncio.Runner()
"""One event loop for every command of the tests: gRPC leaves a pair of sockets behind for each that it sees."""


async def keep_grpc() -> None:
    """Keep gRPC's poller alive between commands; each start of it leaves sockets behind, too."""
    grpc.aio.init_grpc_aio()


RUNNER.run(keep_grpc())


@pytest.fixture(scope="session")
def agents() -> Iterator[subprocess.Popen[bytes]]:
    """The process of the remembered agents."""
    with subprocess.Popen(
        [sys.executable, str(FAKE), *HOSTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        yield process
        process.stdin.close()
        process.wait(10)


@pytest.fixture
def sockets(agents: subprocess.Popen[bytes]) -> Iterator[Path]:
    """A folder with a socket for each host; agents that remember nothing yet listen there."""
    assert agents.stdin is not None
    assert agents.stdout is not None
    with tempfile.TemporaryDirectory(prefix="jackstay-fake-") as folder:
        agents.stdin.write(f"{folder}\n".encode())
        agents.stdin.flush()
        assert agents.stdout.readline() == b"ready\n"
        yield Path(folder)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a folder without anything of the user's."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "JACKSTAY_INVENTORY", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    config = folder / ".config" / "jackstay"
    config.mkdir(parents=True)
    tables = "".join(f'[hosts.{name}]\naddress = "192.0.2.1"\n' for name in (*HOSTS, "down"))
    (config / "hosts.toml").write_text(tables + '[groups]\nweb = "web[1-3]"\n')
    return folder


@pytest.fixture
def jackstay(
    sockets: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """Run a command line in this process; SSH is replaced by the sockets, everything above it is real."""
    from jackstay.cli.main import run
    from jackstay.errors import Unreachable
    from jackstay.inventory import Host
    from jackstay.tunnel import tunnel
    from jackstay.tunnel.local import LocalTunnel

    async def open_tunnel(host: Host, settings: object = None) -> LocalTunnel:
        name = "web1" if host.name == "local" else host.name
        if name not in HOSTS:
            raise Unreachable(f"{host.name} refused the connection", hint="is it on?", kind="refused")
        return LocalTunnel(str(sockets / f"{name}.sock"))

    monkeypatch.setattr(tunnel, "open_tunnel", open_tunnel)
    monkeypatch.setattr(asyncio, "run", RUNNER.run)
    monkeypatch.setenv("JACKSTAY_SOCKET", str(sockets / "web1.sock"))

    def command(*arguments: str) -> Result:
        capfdbinary.readouterr()
        code = run(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = capfdbinary.readouterr()
        return Result(code, out.decode(), err.decode())

    return command


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An OCI archive with one image ``app:1`` whose layer is 300 kB."""
    return _make_archive(tmp_path / "app.tar", {"app:1": b"layer" * 60_000})


def _make_archive(path: Path, images: dict[str, bytes]) -> Path:
    made: Path = runpy.run_path(str(Path(__file__).parent.parent / "oci_archive.py"))["make_archive"](path, images)
    return made
