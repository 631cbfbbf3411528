"""Scenarios on a host of their own: run as a program inside fresh network and mount namespaces.

``python host.py SCENARIO FOLDER OUTSIDE``: *FOLDER* is for state and run folders, *OUTSIDE* the name of the network
namespace (of ``ip netns``) that is the world: 192.0.2.2, with the host being 192.0.2.1. A scenario that does not hold
ends with a traceback and exit code 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jackstay_agent import config
from jackstay_agent.containers.settings import NetworkAttachment, Port, Settings
from jackstay_agent.errors import AddressTaken, Error, InvalidArgument, PortTaken, RuntimeFailed, Unsupported
from jackstay_agent.kernel import spawner
from jackstay_agent.kernel.programs import Completed, LinuxPrograms
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.networks.attachment import BoundPort
from jackstay_agent.networks.filter import OWN
from jackstay_agent.networks.service import LINGER, Networks

FOLDER, OUTSIDE = sys.argv[2:4]
RUN = os.path.join(FOLDER, "run")
HOST, WORLD = "192.0.2.1", "192.0.2.2"
DIGEST = "sha256:" + "a" * 64

# Answers every connection, and every datagram, with its own name and the address that it sees asking.
SERVER = """
import socket, sys, threading
name, port = sys.argv[1], int(sys.argv[2])
tcp = socket.create_server(("0.0.0.0", port))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", port))
def datagrams():
    while True:
        _, peer = udp.recvfrom(100)
        udp.sendto(f"{name} {peer[0]}".encode(), peer)
threading.Thread(target=datagrams, daemon=True).start()
print("ready", flush=True)
while True:
    connection, peer = tcp.accept()
    connection.sendall(f"{name} {peer[0]}".encode())
    connection.close()
"""
ASK = """
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(float(sys.argv[4]))
s.bind(("0.0.0.0", int(sys.argv[5])))
try:
    s.connect((address, port))
    if kind == "udp":
        s.send(b"?")
    print(s.recv(100).decode())
except TimeoutError:
    print("silence")
except ConnectionRefusedError:
    print("refused")
"""


class Host:
    """The pieces of an agent on this host, and the processes that play containers."""

    def __init__(self, jobs: spawner.Spawner) -> None:
        self.jobs = jobs
        self.programs = LinuxPrograms()
        self.servers: list[subprocess.Popen[bytes]] = []

    async def open(self) -> None:
        os.makedirs(RUN, exist_ok=True)
        self.database = await Database.open(os.path.join(FOLDER, "metadata.db"))
        self.networks = self.agent()
        await self.networks.recover()

    def agent(self) -> Networks:
        return Networks(config.Network(), RUN, self.database, self.jobs, self.programs)

    async def create(self, letter: str, **settings: str) -> tuple[str, Settings]:
        networks = (NetworkAttachment(**settings),)
        made = Settings(image="image", name=letter, hostname=letter, networks=networks)
        await self.database.write("test", lambda c: self._create(c, letter * 64, made))
        return letter * 64, made

    def _create(self, connection, container: str, settings: Settings) -> None:
        connection.execute("INSERT OR IGNORE INTO blobs VALUES (?, 1, 1)", (DIGEST,))
        connection.execute(
            "INSERT OR IGNORE INTO images (root, media_type, manifest, image_id, chain_id, created, stored)"
            " VALUES (?1, '', ?1, ?1, '', 0, 0)",
            (DIGEST,),
        )
        connection.execute(
            "INSERT INTO containers (id, name, image, image_root, image_id, snapshot, config, state, created)"
            " VALUES (?, ?, '', ?, '', '', '{}', 'created', 0)",
            (container, settings.name, DIGEST),
        )
        self.networks.allocate(connection, container, settings)

    async def state(self, container: str, state: str) -> None:
        await self.database.write(
            "test", lambda c: c.execute("UPDATE containers SET state = ? WHERE id = ?", (state, container))
        )

    async def start(self, container: str, settings: Settings, *ports: Port):
        attachment = await self.networks.connect(container, settings, ports)
        await self.state(container, "running")
        return attachment

    async def stop(self, container: str) -> None:
        await self.state(container, "exited")
        await self.networks.disconnect(container)

    def serve(self, container: str, port: int = 80) -> None:
        argv = [*inside(container), sys.executable, "-c", SERVER, container[0], str(port)]
        server = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        self.servers.append(server)

    async def close(self) -> None:
        for server in self.servers:
            server.kill()
            server.communicate()
        self.networks.close()
        await self.database.close()
        await self.jobs.close()


def inside(container: str) -> list[str]:
    return ["nsenter", f"--net={RUN}/netns/{container}"]


WORLDLY = ["ip", "netns", "exec", OUTSIDE]


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def ask(where: list[str], address: str, port: int, kind: str = "tcp", patience: float = 2, own: int = 0) -> str:
    """What the one at *address* and *port* says, asked from *where* and from the port *own*."""
    return run(*where, sys.executable, "-c", ASK, kind, address, str(port), str(patience), str(own))


def links() -> set[str]:
    return {link["ifname"] for link in json.loads(run("ip", "-j", "link"))}


def rules() -> str:
    return run("nft", "list", "ruleset")


def mounts() -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {RUN}/netns/" in line]


async def eventually(holds, what: str) -> None:
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until, what
        await asyncio.sleep(0.02)


async def reach(host: Host) -> None:
    """Who reaches whom, and as whom, with and without the kernel's filtering of bridged packets."""
    a, settings_a = await host.create("a")
    b, settings_b = await host.create("b")
    published = [
        Port(container_port=80, host_port=8080),
        Port(container_port=80, host_port=8080, protocol="udp"),
        Port(container_port=80, host_port=8081, host_ip="127.0.0.1"),
        Port(container_port=80, host_port=8082, host_ip=HOST),
    ]
    attachment = await host.start(a, settings_a, *published)
    assert (attachment.addresses, attachment.gateway) == (("10.88.0.2",), "10.88.0.1")
    described = await host.networks.describe(a, settings_a)
    assert (described["MacAddress"], described["IPPrefixLen"]) == ("02:42:0a:58:00:02", 16)
    assert attachment.ports[2] == BoundPort("127.0.0.1", 8081, 80, "tcp")
    assert (await host.start(b, settings_b)).addresses == ("10.88.0.3",)
    host.serve(a)
    host.serve(b)
    world = subprocess.Popen([*WORLDLY, sys.executable, "-c", SERVER, "world", "7000"], stdout=subprocess.PIPE)
    host.servers.append(world)
    assert world.stdout.readline() == b"ready\n"
    run(*WORLDLY, "ip", "route", "add", "10.88.0.0/16", "via", HOST)
    for filtered in ("0", "1"):
        with contextlib.suppress(FileNotFoundError):  # a kernel without br_netfilter: both turns are the same
            Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text(filtered)
        for kind in ("tcp", "udp"):
            # Containers among themselves and to the world.
            assert ask(inside(a), "10.88.0.3", 80, kind) == "b 10.88.0.2"
            assert ask(inside(b), WORLD, 7000, kind) == f"world {HOST}"
            # The published port: from the world with the world's address, from the host, from both containers.
            assert ask(WORLDLY, HOST, 8080, kind) == f"a {WORLD}"
            assert ask([], HOST, 8080, kind) == f"a {HOST}"
            assert ask([], "127.0.0.1", 8080, kind) == "a 10.88.0.1"
            assert ask(inside(b), HOST, 8080, kind) == "a 10.88.0.1"
            hairpin = ask(inside(a), HOST, 8080, kind)
            assert hairpin == "a 10.88.0.1", (hairpin, kind, filtered)
        # One on a single address answers there only.
        assert ask([], "127.0.0.1", 8081) == "a 10.88.0.1"
        assert ask(WORLDLY, HOST, 8081) == "refused"
        assert ask(WORLDLY, HOST, 8082) == f"a {WORLD}"
        assert ask([], "127.0.0.1", 8082) == "refused"
        # Not published: not reachable from the world, though it routes packets here, but from the host.
        assert ask(WORLDLY, "10.88.0.2", 80, patience=0.5) == "silence"
        assert ask(WORLDLY, "10.88.0.3", 80, patience=0.5) == "silence"
        assert ask([], "10.88.0.3", 80) == "b 10.88.0.1"


async def loopback_is_closed(host: Host) -> None:
    """A container does not reach the host's loopback services; without the rule it does."""
    a, settings = await host.create("a")
    await host.start(a, settings, Port(container_port=80, host_port=8080))
    server = subprocess.Popen([sys.executable, "-c", SERVER, "secret", "7001"], stdout=subprocess.PIPE)
    host.servers.append(server)
    assert server.stdout.readline() == b"ready\n"
    # A container with NET_ADMIN sends 127.0.0.1 over its wire.
    for command in (
        ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet"],
        ["ip", "addr", "del", "127.0.0.1/8", "dev", "lo"],
        ["ip", "route", "del", "local", "127.0.0.0/8", "table", "local"],
        ["ip", "route", "add", "127.0.0.0/8", "via", "10.88.0.1"],
    ):
        subprocess.run([*inside(a), *command], capture_output=True)
    assert ask(inside(a), "127.0.0.1", 7001, patience=0.5) == "silence"
    await unwatched(host)
    run("nft", "flush", "chain", "ip", "jackstay", "raw-prerouting")
    assert ask(inside(a), "127.0.0.1", 7001).startswith("secret"), (
        "the attack itself must work, else this test says nothing"
    )
    await host.networks.recover()
    assert ask(inside(a), "127.0.0.1", 7001, patience=0.5) == "silence"


async def unwatched(host: Host) -> None:
    """Let nobody make the rules again."""
    keeping = host.networks._keeping
    host.networks._keeping = None
    keeping.cancel()
    await asyncio.wait([keeping])


async def others_reload(host: Host) -> None:
    """A firewall's reload that flushes everything takes the agent's rules along; they are back at once."""
    a, settings = await host.create("a")
    await host.start(a, settings, Port(container_port=80, host_port=8080))
    host.serve(a)
    run("nft", "add", "table", "ip", "somebody")
    await asyncio.sleep(0.3)  # nothing of ours is missing
    kept = rules()
    await unwatched(host)
    run("nft", "flush", "ruleset")
    await asyncio.sleep(0.5)
    assert ask([], HOST, 8080) == "refused", "without the watch they stay away, else this test says nothing"
    await host.networks.recover()
    assert ask([], HOST, 8080) == f"a {HOST}"
    await asyncio.sleep(0)  # let the watch begin
    ours = rules()
    assert ours == kept.replace("table ip somebody {\n}", "").strip()
    run("nft", "flush", "ruleset")
    await eventually(lambda: rules() == ours, "the rules did not come back")
    assert ask([], HOST, 8080) == f"a {HOST}"
    for what in ("table ip jackstay", "chain ip jackstay raw-prerouting", "map ip jackstay published"):
        await asyncio.sleep(OWN)
        run("nft", "flush", *what.split())
        assert rules() != ours
        await eventually(lambda: rules() == ours, f"the rules of the {what} did not come back")
    # What the agent does itself is not taken for that.
    calls: list[object] = []
    real = host.networks._ways.filter._programs

    class Counting:
        async def run(self, argv, **options):
            calls.append(argv)
            return await real.run(argv, **options)

    host.networks._ways.filter._programs = Counting()
    await host.stop(a)
    await asyncio.sleep(0.5)
    assert len(calls) == 1


async def the_namespace(host: Host) -> None:
    """What is in a container's network namespace, on each kind of network."""
    a, settings = await host.create("a", ip="10.88.7.7", mac_address="02:00:00:00:00:07")
    await host.start(a, settings)
    eth0, lo = (json.loads(run(*inside(a), "ip", "-j", "addr", "show", "dev", name))[0] for name in ("eth0", "lo"))
    assert eth0["address"] == "02:00:00:00:00:07"
    assert [(each["local"], each["prefixlen"]) for each in eth0["addr_info"]] == [("10.88.7.7", 16)], "no IPv6"
    assert {"UP", "LOWER_UP"} <= set(eth0["flags"])
    assert "UP" in lo["flags"]
    (default,) = json.loads(run(*inside(a), "ip", "-j", "route", "show", "default"))
    assert default["gateway"] == "10.88.0.1"
    b, none = await host.create("b", network="none")
    attachment = await host.start(b, none, Port(container_port=80, host_port=8080))
    assert attachment.netns_path == f"{RUN}/netns/{b}"
    assert (attachment.addresses, attachment.ports) == ((), ())
    assert [link["ifname"] for link in json.loads(run(*inside(b), "ip", "-j", "link"))] == ["lo"]
    c, other = await host.create("c", network="host")
    assert (await host.start(c, other)).netns_path is None
    for container, network in ((b, none), (c, other)):
        document = await host.networks.describe(container, network)
        assert list(document["Networks"]) == [network.network]
        assert document["IPAddress"] == ""
    document = await host.networks.describe(a, settings, exposed=["80/tcp"])
    assert document["Networks"]["bridge"]["IPAddress"] == document["IPAddress"] == "10.88.7.7"
    assert document["Networks"]["bridge"]["IPPrefixLen"] == 16
    assert document["Ports"] == {"80/tcp": None}
    network = await host.networks.registry.inspect("bridge")
    assert network["Containers"][a]["IPv4Address"] == "10.88.7.7/16"
    assert await host.networks.registry.inspect(network["Id"][:12]) == network
    assert [row.name for row in await host.networks.registry.list()] == ["bridge", "host", "none"]
    for container in (a, b, c):
        await host.stop(container)
    assert (await host.networks.describe(a, settings))["IPAddress"] == ""
    assert mounts() == []


async def nothing_is_left(host: Host) -> None:
    """After `disconnect` the host is as it was, also when it is called twice or for one that never was."""
    before = (links(), rules(), os.listdir(f"{RUN}/netns") if os.path.exists(f"{RUN}/netns") else [])
    a, settings = await host.create("a")
    attachment = await host.start(a, settings, Port(container_port=80), Port(container_port=81, protocol="udp"))
    assert all(port.host_port > 1023 for port in attachment.ports)
    assert links() != before[0]
    assert rules() != before[1]
    assert len(mounts()) == 1
    await host.stop(a)
    await host.stop(a)
    await host.networks.disconnect("f" * 64)
    assert (links(), rules(), os.listdir(f"{RUN}/netns")) == before
    assert mounts() == []
    assert await host.database.read(rows.ports) == []
    assert not (await host.database.read(rows.endpoints))[0].active
    assert host.networks._ways.ports.held == {}
    # And once more with the same address and the same port.
    assert (await host.start(a, settings, Port(container_port=80, host_port=8080))).addresses == attachment.addresses
    host.serve(a)
    assert ask([], HOST, 8080).startswith("a ")
    # Starting what an agent that died had left half started replaces it.
    again = await host.networks.connect(a, settings, [Port(container_port=80, host_port=8080)])
    assert again.addresses == attachment.addresses
    assert len(mounts()) == 1


async def taken(host: Host) -> None:
    """A port of somebody else, of another container, an address that is not here: nothing is left of the attempt."""
    holder = subprocess.Popen([sys.executable, "-c", SERVER, "other", "8080"], stdout=subprocess.PIPE)
    host.servers.append(holder)
    assert holder.stdout.readline() == b"ready\n"
    a, settings = await host.create("a")
    before = (links(), rules())

    async def refused(kind: type[Error], words: str, **port: object) -> None:
        with pytest.raises(kind) as caught:
            await host.networks.connect(a, settings, [Port(container_port=80, host_port=9000), Port(**port)])
        assert words in caught.value.message
        assert caught.value.hint
        assert (links(), rules(), mounts()) == (*before, [])
        assert not [row for row in await host.database.read(rows.ports) if row.container == a]
        assert a not in host.networks._ways.ports.held

    await refused(PortTaken, "0.0.0.0:8080/tcp is taken", container_port=80, host_port=8080)
    await refused(PortTaken, "127.0.0.1:8080/tcp", container_port=80, host_port=8080, host_ip="127.0.0.1")
    await refused(PortTaken, "0.0.0.0:9000", container_port=80, host_port=9000)
    await refused(InvalidArgument, "203.0.113.9", container_port=80, host_ip="203.0.113.9")
    await refused(Unsupported, "sctp", container_port=80, protocol="sctp")
    await refused(InvalidArgument, "2001:db8::9", container_port=80, host_ip="2001:db8::9")
    b, other = await host.create("b")
    await host.start(b, other, Port(container_port=80, host_port=8090))
    before = (links(), rules())
    (kept,) = mounts()

    def only_b() -> list[str]:
        return [line for line in mounts() if line != kept]

    with pytest.raises(PortTaken, match="by the container b"):
        await host.networks.connect(a, settings, [Port(container_port=80, host_port=8090)])
    assert (links(), rules(), only_b()) == (*before, [])
    # Others on the host cannot have a published port.
    taken = subprocess.run([sys.executable, "-c", SERVER, "x", "8090"], capture_output=True, text=True)
    assert "Address already in use" in taken.stderr
    with pytest.raises(AddressTaken, match=r"10\.88\.0\.3"):
        await host.create("c", ip="10.88.0.3")


async def failure_is_undone(host: Host) -> None:
    """When nft fails, or the caller goes away in the middle, everything is undone."""
    a, settings = await host.create("a")
    before = (links(), rules())
    real = host.networks._ways.filter._programs

    class Failing:
        async def run(self, argv, **options):
            return Completed(1, b"", b"Error: no such thing\n")

    class Slow:
        async def run(self, argv, **options):
            started.set()
            await asyncio.sleep(0.3)
            return await real.run(argv, **options)

    started = asyncio.Event()
    host.networks._ways.filter._programs = Failing()
    with pytest.raises(RuntimeFailed, match="no such thing"):
        await host.networks.connect(a, settings, [Port(container_port=80, host_port=8080)])
    assert (links(), mounts()) == (before[0], [])
    host.networks._ways.filter._programs = Slow()
    attempt = asyncio.create_task(host.networks.connect(a, settings, [Port(container_port=80, host_port=8080)]))
    await started.wait()
    attempt.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await attempt
    assert attempt.cancelled()
    assert (links(), rules(), mounts()) == (*before, [])
    assert await host.database.read(rows.ports) == []
    assert host.networks._ways.ports.held == {}


async def many_at_once(host: Host) -> None:
    """Twenty containers that start at once, and stop at once."""
    made = [await host.create(letter) for letter in "abcdefghijklmnopqrst"]
    before = (links(), rules())
    begun = time.monotonic()
    attachments = await asyncio.gather(
        *(host.start(container, settings, Port(container_port=80)) for container, settings in made)
    )
    took = time.monotonic() - begun
    print(f"20 connections took {took * 1000:.0f} ms")
    assert len({attachment.addresses for attachment in attachments}) == 20
    assert len({attachment.ports[0].host_port for attachment in attachments}) == 20
    for attachment in attachments:
        assert f"{attachment.addresses[0]}:80" in rules()
    await asyncio.gather(*(host.stop(container) for container, _settings in made))
    assert (links(), rules(), mounts()) == (*before, [])


async def flows_follow(host: Host) -> None:
    """Who keeps sending from one UDP port comes to the container that has the port now, which forgetting does."""
    a, settings_a = await host.create("a")
    b, settings_b = await host.create("b")
    port = Port(container_port=80, host_port=8080, protocol="udp")

    def steady(patience: float = 2) -> str:
        return ask(WORLDLY, HOST, 8080, "udp", patience, own=5555)

    assert steady() == "refused"
    await host.start(a, settings_a, port)
    host.serve(a)
    assert steady() == f"a {WORLD}"
    await host.stop(a)
    await host.start(b, settings_b, port)
    host.serve(b)
    assert steady() == f"b {WORLD}"

    class Forgetless:
        async def run(self, job, argument, descriptors=()):
            if job.endswith(":forget_ports"):
                return None
            if job.endswith(":disconnect"):
                argument = [*argument[:2], []]
            return await host.jobs.run(job, argument, descriptors)

    host.networks._ways.jobs = Forgetless()
    await host.stop(b)
    await asyncio.sleep(LINGER + 0.5)  # its server still has the namespace, and so the link
    await host.start(a, settings_a, port)
    host.serve(a)
    assert steady(0.5) in ("silence", "refused"), "nothing needed to be forgotten, so this test says nothing"


async def an_address_moves(host: Host) -> None:
    """Who gets the address of a container that was removed has it alone, also while a process is left in there."""
    a, settings_a = await host.create("a")
    attachment = await host.start(a, settings_a)
    host.serve(a)
    old = {name for name in links() if name.startswith("veth")}
    assert len(old) == 1
    await host.stop(a)
    await host.database.write("test", lambda c: c.execute("DELETE FROM containers WHERE id = ?", (a,)))
    assert old <= links()
    b, settings_b = await host.create("b")
    assert (await host.start(b, settings_b)).addresses == attachment.addresses
    assert not old & links()
    host.serve(b)
    assert ask([], attachment.addresses[0], 80) == "b 10.88.0.1"
    await asyncio.sleep(LINGER + 0.5)  # the sweep after the first one's end takes nothing of the other's
    assert ask([], attachment.addresses[0], 80) == "b 10.88.0.1"


async def restart(host: Host) -> None:
    """A new agent finds living containers again, and takes away what the dead left."""
    a, settings_a = await host.create("a")
    b, settings_b = await host.create("b")
    c, settings_c = await host.create("c", network="none")
    await host.start(a, settings_a, Port(container_port=80, host_port=8080))
    await host.start(b, settings_b, Port(container_port=80, host_port=8081))
    await host.start(c, settings_c)
    host.serve(a)
    host.networks.close()
    await host.state(b, "exited")  # died with the agent, so nobody called disconnect
    run("nft", "delete", "table", "ip", "jackstay")
    run("ip", "link", "add", "veth0123456", "type", "veth", "peer", "name", "stray")  # somebody else's
    run("ip", "link", "add", "veth1234567", "master", "jackstay0", "type", "veth", "peer", "name", "leftover")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    host.networks = host.agent()
    await host.networks.recover()
    assert ask(WORLDLY, HOST, 8080) == f"a {WORLD}"
    assert ask(WORLDLY, HOST, 8081) == "refused"
    assert "veth0123456" in links()
    assert "veth1234567" not in links()
    assert sorted(os.listdir(f"{RUN}/netns")) == [a, c]
    assert len([name for name in links() if name.startswith("veth")]) == 2
    taken = subprocess.run([sys.executable, "-c", SERVER, "x", "8080"], capture_output=True, text=True)
    assert "Address already in use" in taken.stderr
    assert list(await host.networks.bound()) == [a]
    state = (links(), rules(), mounts())
    await host.networks.recover()
    assert (links(), rules(), mounts()) == state
    # Somebody takes the bridge away under a running container.
    run("ip", "link", "del", "jackstay0")
    await host.networks.recover()
    assert ask(WORLDLY, HOST, 8080) == f"a {WORLD}"
    run("ip", "link", "del", "jackstay0")
    await host.start(b, settings_b)
    host.serve(b)
    assert ask([], "10.88.0.3", 80).startswith("b ")


async def reboot(host: Host) -> None:
    """After a reboot the run folder, links and rules are gone, and the rows say "running"."""
    a, settings = await host.create("a")
    await host.start(a, settings, Port(container_port=80, host_port=8080))
    identity = (await host.networks.registry.inspect("bridge"))["Id"]
    host.networks.close()
    run("umount", f"{RUN}/netns/{a}")
    run("rm", "-r", f"{RUN}/netns")
    await eventually(lambda: not [name for name in links() if name.startswith("veth")], "the namespace stays")
    run("ip", "link", "del", "jackstay0")
    run("nft", "flush", "ruleset")
    host.networks = host.agent()
    await host.networks.recover()
    assert await host.networks.bound() == {}
    assert "8080" not in rules()
    assert (await host.networks.registry.inspect("bridge"))["Id"] == identity
    await host.networks.disconnect(a)
    assert (await host.start(a, settings, Port(container_port=80, host_port=8080))).addresses == ("10.88.0.2",)


async def start_and_stop(host: Host) -> None:
    """What a fault point cuts: the whole of a container's time on the network."""
    a, settings = await host.create("a")
    await host.start(a, settings, Port(container_port=80, host_port=8080), Port(container_port=53, protocol="udp"))
    await host.stop(a)


async def after_the_cut(host: Host) -> None:
    """The agent died somewhere in `start_and_stop`, before the container was running or after it had ended."""
    assert mounts() == []
    assert not os.path.exists(f"{RUN}/netns") or os.listdir(f"{RUN}/netns") == []
    assert not [name for name in links() if name.startswith("veth")]
    assert "8080" not in rules()
    assert await host.database.read(rows.ports) == []
    assert not any(row.active for row in await host.database.read(rows.endpoints))
    b, settings = await host.create("b")
    await host.start(b, settings, Port(container_port=80, host_port=8080))
    host.serve(b)
    assert ask(WORLDLY, HOST, 8080) == f"b {WORLD}"


async def main(scenario: str, jobs: spawner.Spawner) -> None:
    host = Host(jobs)
    await host.open()
    try:
        await globals()[scenario](host)
    finally:
        await host.close()


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    asyncio.run(main(sys.argv[1], spawner.start(["jackstay_agent.networks.netlink", "jackstay_agent.networks.flows"])))
