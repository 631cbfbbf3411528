"""Published ports: who reaches a container by which address of its host, and who does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.two_hosts import FD1, WORKS, at_web1, eventually, page, python, two_hosts
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop

pytestmark = pytest.mark.lab

PYTHON = ["-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro"]  # the machine's, to mount

# Port 7 answers an end of input with what it was given; port 8 never reads; datagrams come back with their sender.
SERVER = """
import socket, threading
def given(connection):
    with connection:
        data = b""
        while piece := connection.recv(1 << 16):
            data += piece
        connection.sendall(b"given " + data)
def echo():
    with socket.create_server(("", 7)) as server:
        while True:
            threading.Thread(target=given, args=(server.accept()[0],)).start()
def deaf(kept=[]):
    with socket.create_server(("", 8)) as server:
        while True:
            kept.append(server.accept())
for role in (echo, deaf):
    threading.Thread(target=role).start()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
    datagrams.bind(("", 53))
    print("ready", flush=True)
    while True:
        data, sender = datagrams.recvfrom(1 << 16)
        datagrams.sendto(data + b" back", sender)
"""


@pytest.fixture(scope="module")
def lab(base_archive: Path, web_archive: Path) -> Iterator[Lab]:
    """Hosts of this file's own."""
    with two_hosts(base_archive, web_archive) as lab:
        yield lab


@pytest.fixture
def laptop(lab: Lab) -> Iterator[Laptop]:
    """A laptop whose commands go to web1."""
    with at_web1(lab) as laptop:
        yield laptop


@pytest.fixture
def web1(lab: Lab) -> Host:
    """Where the containers run."""
    return lab.hosts["web1"]


@pytest.fixture
def web2(lab: Lab) -> Host:
    """Another host of the same network."""
    return lab.hosts["web2"]


def test_by_every_address(laptop: Laptop, web1: Host, web2: Host) -> None:
    forms = ["8080:80", "127.0.0.1:8081:80", "[::1]:8082:80", f"[{FD1}]:8083:80", f"{web1.address}:8084:80"]
    forms += ["[::]:8085:80", "8086-8087:79-80"]
    laptop.ok("run", "-d", "--name", "app", *(word for form in forms for word in ("-p", form)), "httpd:1.1")
    laptop.ok("run", "-d", "--name", "sibling", "base:1", "sleep", "600")
    eventually(WORKS, page, web1, web1.address, 8080)
    assert laptop.ok("port", "app", "80").lines == [
        "0.0.0.0:8080",
        "[::]:8080",
        "127.0.0.1:8081",
        "[::1]:8082",
        f"[{FD1}]:8083",
        f"{web1.address}:8084",
        "[::]:8085",
        "0.0.0.0:8087",
        "[::]:8087",
    ]
    reached = {
        (host.name, address, port)
        for host, addresses in ((web1, ("127.0.0.1", "::1", web1.address, FD1)), (web2, (web1.address, FD1)))
        for address in addresses
        for port in range(8080, 8088)
        if page(host, address, port) == WORKS
    }
    everywhere = {("web1", address) for address in ("127.0.0.1", "::1", web1.address, FD1)}
    everywhere |= {("web2", address) for address in (web1.address, FD1)}
    assert reached == {
        *((host, address, port) for host, address in everywhere for port in (8080, 8087)),
        ("web1", "127.0.0.1", 8081),
        ("web1", "::1", 8082),
        *((host, FD1, 8083) for host in ("web1", "web2")),
        *((host, web1.address, 8084) for host in ("web1", "web2")),
        *((host, address, 8085) for host, address in everywhere if ":" in address),
    }
    for name in ("app", "sibling"):  # from containers by the host's address, its own too
        for port in (8080, 8084):
            got = laptop.ok("exec", name, "wget", "-qO-", f"http://{web1.address}:{port}/").stdout
            assert got == WORKS, (name, port)


def test_the_loopback_is_the_hosts_own(laptop: Laptop, web1: Host, web2: Host) -> None:
    """Another host sends packets for 127.0.0.1 over the wire, and this one would take them, as with kube-proxy."""
    laptop.ok("run", "-d", "--name", "app", "-p", "127.0.0.1:8081:80", "httpd:1.1")
    eventually(WORKS, page, web1, "127.0.0.1", 8081)
    for host in (web1, web2):
        host.namespace.sysctl("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1")
    web2.namespace.ip("addr del 127.0.0.1/8 dev lo", f"route add 127.0.0.0/8 via {web1.address}")
    try:
        assert page(web2, "127.0.0.1", 8081, patience=0.5) == ""
        web1.agent.stop()  # which would make them again
        web1.exec(["nft", "flush", "chain", "ip", "jackstay", "raw-prerouting"])
        assert page(web2, "127.0.0.1", 8081) == WORKS, "the attack itself must work, else this test says nothing"
        web1.agent.start()
        eventually(WORKS, page, web1, "127.0.0.1", 8081)
        assert page(web2, "127.0.0.1", 8081, patience=0.5) == ""
    finally:
        web2.namespace.ip("route del 127.0.0.0/8", "addr add 127.0.0.1/8 dev lo")
        for host in (web1, web2):
            host.namespace.sysctl("/proc/sys/net/ipv4/conf/eth0/route_localnet", "0")


ASK_HALF_CLOSED = """
with socket.create_connection(("::1", 8007)) as ours:
    ours.sendall(b"x" * 3_000_000)
    ours.shutdown(socket.SHUT_WR)
    answer = b""
    while piece := ours.recv(1 << 16):
        answer += piece
print(answer[:5].decode(), len(answer))
"""
FILL = """
with socket.create_connection(("::1", 8008)) as ours:
    ours.settimeout(0.5)
    sent = 0
    try:
        while sent < 200_000_000:
            sent += ours.send(bytes(1 << 16))
    except TimeoutError:
        pass
print(sent)
"""
DATAGRAM = """
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ours:
    ours.settimeout(5)
    ours.connect(("{}", 8053))  # connected: an answer from another address would not come
    ours.send(b"there and")
    print(ours.recv(100).decode())
"""
KEPT = """
import socket
with socket.create_connection(("::1", 8007)) as ours:
    ours.sendall(b"begun")
    print("connected", flush=True)
    ours.settimeout(10)
    try:
        print("got", ours.recv(100))
    except ConnectionResetError:
        print("got b''")
"""


def test_what_ipv6_passes_on(laptop: Laptop, web1: Host, web2: Host) -> None:
    published = ["-p", "8007:7", "-p", "[::1]:8008:8", "-p", "8053:53/udp"]
    laptop.ok("run", "-d", "--name", "app", *PYTHON, *published, "base:1", "/usr/bin/python3", "-c", SERVER)
    eventually("ready\n", lambda: laptop.ok("logs", "app").stdout)
    # Each direction ends for itself, and nothing of three megabytes is lost.
    assert python(web1, ASK_HALF_CLOSED) == "given 3000006"
    # Who is not read from is not read from: only the kernel's buffers fill.
    assert 0 < int(python(web1, FILL)) < 50_000_000
    for host, address in ((web1, "::1"), (web1, FD1), (web2, FD1)):
        assert python(host, DATAGRAM.format(address)) == "there and back"
    # An agent that died is followed by one that passes on again, and a container that ends takes everything along.
    web1.agent.kill()
    web1.agent.start()
    assert python(web1, ASK_HALF_CLOSED) == "given 3000006"
    assert python(web2, DATAGRAM.format(FD1)) == "there and back"
    kept = subprocess.Popen(web1.command([sys.executable, "-c", KEPT]), stdout=subprocess.PIPE, text=True)
    assert kept.stdout is not None
    assert kept.stdout.readline() == "connected\n"
    laptop.ok("stop", "-t", "0", "app")
    assert listening(web1) == []
    assert kept.communicate(timeout=20)[0] == "got b''\n"
    laptop.ok("start", "app")
    eventually("ready\nready\n", lambda: laptop.ok("logs", "app").stdout)
    assert python(web1, ASK_HALF_CLOSED) == "given 3000006"


def listening(host: Host) -> list[str]:
    """Whoever still listens on a published port."""
    return host.exec(["ss", "-Hlntu", "sport >= :8000 and sport <= :8999"]).stdout.splitlines()


HOLD = """
import socket
with socket.create_server(("127.0.0.1", 8100)), socket.create_server(("::1", 8101), family=socket.AF_INET6):
    print("ready", flush=True)
    input()
"""


def test_taken_ports(laptop: Laptop, web1: Host) -> None:
    command = web1.command([sys.executable, "-c", HOLD])
    laptop.ok("run", "-d", "--name", "other", "-p", "[::1]:8103:80", "httpd:1.1")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        for form, told in [
            ("8099-8100:80-81", "port 0.0.0.0:8100/tcp is taken"),
            ("8101:80", "port [::]:8101/tcp is taken"),
            ("[::1]:8103:80", "port [::1]:8103/tcp is taken by the container other"),
            ("[fd07::9]:8104:80", "fd07::9 is not an address of this host"),
        ]:
            ran = laptop.run("run", "-d", "--name", "app", "-p", form, "httpd:1.1").ended(125)
            error, hint = ran.stderr.strip().splitlines()
            assert told in error, form
            assert hint, form
        holder.communicate("\n")
    # What is free can be had, and of a range for one port the first that is free.
    laptop.ok("run", "-d", "--name", "app", "-p", "8099-8102:80-83", "-p", "[::1]:8103-8105:80", "httpd:1.1")
    assert laptop.ok("port", "app", "80").lines == ["0.0.0.0:8099", "[::]:8099", "[::1]:8104"]
    eventually(WORKS, page, web1, "::1", 8104)
