# ruff: noqa: N802  # gRPC calls a servicer's methods by the names of the protocol
"""A real SSH server and a real gRPC agent inside the test's own event loop, on loopback and a Unix socket."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import grpc
import grpc.aio

from jackstay.inventory.host import Host
from jackstay.tunnel.settings import TunnelSettings
from jackstay_proto.v1 import (
    containers_pb2,
    containers_pb2_grpc,
    content_pb2,
    content_pb2_grpc,
    errors_pb2,
    system_pb2,
    system_pb2_grpc,
)

DIAL = """#!{python}
import os, socket, sys, threading
path = sys.argv[sys.argv.index("--socket") + 1]
assert sys.argv[1] == "dial-stdio"
if sys.argv[-1] == "--registry":
    path = os.path.join(os.path.dirname(path), "registry.sock")
agent = socket.socket(socket.AF_UNIX)
try:
    agent.connect(path)
except OSError as error:
    print("cannot connect to", path, error.strerror, file=sys.stderr)
    sys.exit(1)
def up():
    while data := os.read(0, 65536):
        agent.sendall(data)
    agent.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := agent.recv(65536):
    while data:
        data = data[os.write(1, data):]
"""


async def fail(context: Any, detail: errors_pb2.ErrorDetail, code: grpc.StatusCode = grpc.StatusCode.NOT_FOUND) -> None:
    """End a call as an agent does."""
    await context.abort(code, detail.message, (("jackstay-error-bin", detail.SerializeToString()),))


class System(system_pb2_grpc.SystemServicer):
    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    async def Version(self, request: Any, context: Any) -> Any:
        self.agent.metadata.append(dict(context.invocation_metadata()))
        if self.agent.hang:
            await asyncio.sleep(60)
        return system_pb2.VersionReply(version="0.0.9", protocol=self.agent.protocol, os="linux")

    async def Info(self, request: Any, context: Any) -> Any:
        await fail(context, errors_pb2.ErrorDetail(reason=errors_pb2.NOT_FOUND, message="no such thing", hint="look"))

    async def DiskUsage(self, request: Any, context: Any) -> Any:
        await asyncio.sleep(60)


class Content(content_pb2_grpc.ContentServicer):
    async def Read(self, request: Any, context: Any) -> Any:
        piece = b"x" * (1024 * 1024)
        for _ in range(request.length // len(piece)):
            yield content_pb2.ReadReply(data=piece)


class Containers(containers_pb2_grpc.ContainersServicer):
    async def Logs(self, request: Any, context: Any) -> Any:
        yield containers_pb2.LogsReply(entries=[containers_pb2.LogEntry(text=b"one\n")])
        await fail(context, errors_pb2.ErrorDetail(reason=errors_pb2.NOT_FOUND, message="gone"))

    async def Exec(self, requests: Any, context: Any) -> Any:
        total = 0
        async for request in requests:
            if request.WhichOneof("input") == "exec":
                if request.exec.container == "missing":
                    await fail(context, errors_pb2.ErrorDetail(reason=errors_pb2.NOT_FOUND, message="no missing"))
                yield containers_pb2.StreamOutput(ready=containers_pb2.StreamReady(id="e1"))
            else:
                total += len(request.stdin)
                if not request.stdin.startswith(b"\0"):
                    yield containers_pb2.StreamOutput(stdout=request.stdin)
        yield containers_pb2.StreamOutput(exit_code=total % 251)


@dataclass
class Agent:
    """What the fake agent is told to do, and what it saw."""

    socket: str
    protocol: int = 1
    hang: bool = False
    metadata: list[dict[str, Any]] = field(default_factory=list)
    server: Any = None

    async def start(self) -> None:
        self.server = grpc.aio.server(options=[("grpc.max_receive_message_length", 16 * 1024 * 1024)])
        system_pb2_grpc.add_SystemServicer_to_server(System(self), self.server)
        content_pb2_grpc.add_ContentServicer_to_server(Content(), self.server)
        containers_pb2_grpc.add_ContainersServicer_to_server(Containers(), self.server)
        self.server.add_insecure_port(f"unix:{self.socket}")
        await self.server.start()

    async def stop(self) -> None:
        if self.server:
            await self.server.stop(None)
            self.server = None


@dataclass
class Lab:
    """The SSH server, its keys, and the host that leads to it."""

    folder: Path
    agent: Agent
    port: int = 0
    forward: bool = True  # direct-streamlocal allowed
    commands: bool = True  # sessions allowed
    drop: int = 0  # connections to hang up on, as MaxStartups does
    opened: int = 0  # SSH connections
    dialled: int = 0  # sessions
    direct: int = 0  # forwarded connections
    jumped: int = 0  # connections through this server to others
    connections: set[Any] = field(default_factory=set)
    sessions: set[asyncio.Future[None]] = field(default_factory=set)
    acceptor: Any = None
    front: Any = None

    @property
    def runtime(self) -> Path:
        """Where tunnels make their folders."""
        return self.folder / "run"

    def left(self) -> list[str]:
        """What tunnels have made and not removed."""
        return os.listdir(self.runtime)

    def host(self, **changes: Any) -> Host:
        values: dict[str, Any] = {
            "name": "web1",
            "address": "127.0.0.1",
            "port": self.port,
            "user": "tester",
            "identity_files": (str(self.folder / "id"),),
            "known_hosts": (str(self.folder / "known_hosts"),),
            "socket": self.agent.socket,
        }
        return Host(**{**values, **changes})

    def settings(self, **changes: Any) -> TunnelSettings:
        values: dict[str, Any] = {
            "connect_timeout": 10.0,
            "ssh_config": "",
            "accepted_keys": str(self.folder / "accepted"),
            "use_ssh_agent": False,
        }
        return TunnelSettings(**{**values, **changes})

    def write_known_hosts(self, key: str) -> None:
        (self.folder / "known_hosts").write_text(f"# a comment\n[127.0.0.1]:{self.port} {key}\n")

    async def start(self) -> None:
        lab = self

        class Server(asyncssh.SSHServer):
            def connection_made(self, conn: Any) -> None:
                if lab.drop > 0:
                    lab.drop -= 1
                    conn.abort()
                    return
                lab.opened += 1
                lab.connections.add(conn)

            def unix_connection_requested(self, dest_path: str) -> bool:
                if not lab.forward:
                    raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "forbidden")
                lab.direct += 1
                return True

            def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
                lab.jumped += 1
                return True

        self.acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Server,
            server_host_keys=[str(self.folder / "host_key")],
            authorized_client_keys=str(self.folder / "authorized"),
            process_factory=self._session,
            encoding=None,
        )
        self.port = self.acceptor.get_port()

    async def _session(self, process: Any) -> None:
        session = asyncio.ensure_future(self._run(process))
        self.sessions.add(session)
        session.add_done_callback(self.sessions.discard)
        await asyncio.shield(session)  # it ends by itself when its connection does, and `stop` waits for that

    async def _run(self, process: Any) -> None:
        if not self.commands:
            process.stderr.write(b"This account is not available\n")
            process.exit(1)
            return
        self.dialled += 1
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        child = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            process.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": path},
        )
        assert child.stdin
        assert child.stdout
        assert child.stderr

        async def pump(read: Any, write: Any) -> None:
            while data := await read.read(65536):
                write.write(data)
                await write.drain()
            if write is child.stdin:
                write.write_eof()  # an end of output ends standard error with it: `exit` below sends it, after both

        tasks = [
            asyncio.create_task(pump(process.stdin, child.stdin)),
            asyncio.create_task(pump(child.stdout, process.stdout)),
            asyncio.create_task(pump(child.stderr, process.stderr)),
        ]
        ended = asyncio.create_task(child.wait())
        gone = asyncio.create_task(process.wait_closed())
        try:
            await asyncio.wait({ended, gone}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                await asyncio.wait(tasks[1:])
                process.exit(child.returncode or 0)
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()
            for task in [*tasks, gone, ended]:
                task.cancel()
            await asyncio.gather(*tasks, gone, ended, return_exceptions=True)
            child._transport.close()  # type: ignore[attr-defined]

    async def stop(self) -> None:
        for connection in list(self.connections):
            connection.abort()
            await connection.wait_closed()
        if self.acceptor:
            self.acceptor.close()
            await self.acceptor.wait_closed()
        if self.sessions:
            await asyncio.wait(self.sessions, timeout=10)
        await self.agent.stop()
        # A forwarding whose connection is aborted while it opens is forgotten by asyncssh's server with its socket.
        for transport in list(asyncio.get_running_loop()._transports.values()):  # type: ignore[attr-defined]
            if transport.get_extra_info("peername") == self.agent.socket:
                transport.abort()
        await asyncio.sleep(0)
        shutil.rmtree(self.folder)

    @classmethod
    async def make(cls) -> Lab:
        folder = Path(tempfile.mkdtemp(prefix="jsl-", dir="/tmp"))  # a socket's path must be short
        key, host_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
        key.write_private_key(str(folder / "id"))
        host_key.write_private_key(str(folder / "host_key"))
        (folder / "authorized").write_bytes(key.export_public_key())
        (folder / "bin").mkdir()
        (folder / "run").mkdir(mode=0o700)
        dial = folder / "bin" / "jackstayd"
        dial.write_text(DIAL.format(python=sys.executable))
        dial.chmod(0o755)
        lab = cls(folder, Agent(str(folder / "agent.sock")))
        await lab.agent.start()
        await lab.start()
        lab.write_known_hosts(host_key.export_public_key().decode())
        return lab
