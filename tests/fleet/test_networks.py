"""Networks that users make, seen from inside containers and on the host."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.conftest import settled
from tests.lab.emptying import empty, empty_of_containers
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120, func_only=True)]  # many commands each


@pytest.fixture(scope="module")
def web1(shared_lab: Lab, base_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web1, which has ``base:1``."""
    laptop = Laptop(shared_lab)
    laptop.environment |= {"JACKSTAY_HOST": "web1"}
    laptop.ok("load", "-i", base_archive)
    yield laptop
    host = shared_lab.hosts["web1"]
    empty(host)
    assert settled(host) == []


@pytest.fixture
def host(shared_lab: Lab) -> Host:
    """The host itself."""
    return shared_lab.hosts["web1"]


@pytest.fixture(autouse=True)
def emptied(web1: Laptop, host: Host) -> Iterator[None]:
    """Every test leaves no container and no network."""
    yield
    empty_of_containers(host)
    assert own_bridges(host) == []


def own_bridges(host: Host) -> list[str]:
    """The bridges of the host's that are not the standard network's."""
    links = json.loads(host.namespace.net("ip", "-json", "link", "show", "type", "bridge"))
    return [link["ifname"] for link in links if link["ifname"] != "jackstay0"]


def network(web1: Laptop, name: str) -> dict[str, Any]:
    found: dict[str, Any] = data(web1.ok("--json", "network", "inspect", name))[0]
    return found


def subnets(web1: Laptop, name: str) -> list[str]:
    return [each["Subnet"] for each in network(web1, name)["IPAM"]["Config"]]


def serve(web1: Laptop, name: str, *flags: str) -> None:
    """A container that answers on port 80 with its name."""
    script = f"mkdir -p /w && echo {name} >/w/index.html && exec busybox httpd -f -h /w"
    web1.ok("run", "-d", "--name", name, *flags, "base:1", "sh", "-c", script)


def ask(web1: Laptop, container: str, address: str, port: int = 80, patience: int = 5) -> str:
    """What *container* is told at that address and port, or "" when nothing is; it may take a moment to be served."""
    once = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w {patience} {address} {port} | tail -n 1"
    loop = f'for i in $(seq {20 if patience == 5 else 1}); do told=$({once}); [ -n "$told" ] && break; sleep 0.1; done'
    return web1.ok("exec", container, "sh", "-c", f"{loop}; echo $told").stdout.strip()


def test_create_list_inspect_remove(web1: Laptop, host: Host) -> None:
    identity = web1.ok("network", "create", "shop", "--label", "tier=front").stdout.strip()
    web1.ok(
        *("network", "create", "back", "--driver", "bridge", "--internal", "--subnet", "10.99.0.0/16"),
        *("--gateway", "10.99.0.9", "--ip-range", "10.99.5.0/24", "-o", "com.docker.network.bridge.name=backbr"),
        *("--subnet", "fd12::/64", "--opt", "com.docker.network.driver.mtu=1400"),
    )
    web1.ok("network", "create", "six", "--ipv6")
    listed = web1.ok("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Internal}} {{.IPv6}} {{.Labels}}").lines
    assert listed == [
        "back bridge true true ",
        "bridge bridge false false ",
        "host host false false ",
        "none null false false ",
        "shop bridge false false tier=front",
        "six bridge false true ",
    ]
    for text, names in [
        ("label=tier", ["shop"]),
        ("label=tier=back", []),
        ("type=custom", ["back", "shop", "six"]),
        ("driver=null", ["none"]),
        ("name=^s", ["shop", "six"]),
        (f"id={identity[:12]}", ["shop"]),
        ("dangling=true", ["back", "shop", "six"]),
    ]:
        assert web1.ok("network", "ls", "--filter", text, "--format", "{{.Name}}").lines == names
    assert "invalid filter 'wheels=4'" in web1.run("network", "ls", "--filter", "wheels=4").ended(1).stderr

    shop, back, six = (network(web1, name) for name in ("shop", "back", "six"))
    assert (shop["Id"], shop["Labels"], shop["Internal"], shop["EnableIPv6"]) == (
        identity,
        {"tier": "front"},
        False,
        False,
    )
    assert back["IPAM"]["Config"] == [
        {"Subnet": "10.99.0.0/16", "IPRange": "10.99.5.0/24", "Gateway": "10.99.0.9"},
        {"Subnet": "fd12::/64", "Gateway": "fd12::1"},
    ]
    assert back["Internal"]
    chosen = [shop["IPAM"]["Config"][0]["Subnet"], *subnets(web1, "six")]
    assert len(set(chosen)) == 3
    assert chosen[2].startswith("fd")
    link = json.loads(host.namespace.net("ip", "-json", "addr", "show", "backbr"))[0]
    assert link["mtu"] == 1400
    assert {"10.99.0.9", "fd12::1"} <= {each["local"] for each in link["addr_info"]}

    assert web1.ok("network", "rm", "shop", six["Id"][:12]).lines == ["shop", "six"]
    assert "network shop not found" in web1.run("network", "rm", "shop").ended(1).stderr
    web1.ok("network", "rm", "-f", "shop")
    assert web1.ok("network", "prune", "-f", "--filter", "until=1h").lines == []
    assert web1.ok("network", "prune", "-f", "--filter", "label!=x").lines == ["Deleted Networks:", "back", ""]
    assert "backbr" not in host.namespace.net("ip", "link")


def test_what_cannot_be_created_or_removed(web1: Laptop, host: Host) -> None:
    web1.ok("network", "create", "taken", "--subnet", "10.77.0.0/24")
    own = host.address.rsplit(".", 1)[0] + ".0/24"
    for arguments, told in [
        (["taken"], "network with name taken already exists"),
        (["host"], "host is the name of a predefined network"),
        (["a/b"], "is no name for a network"),
        (["x", "--subnet", "10.77.0.0/16"], "overlaps network taken (10.77.0.0/24)"),
        (["x", "--subnet", "10.88.4.0/24"], "overlaps network bridge (10.88.0.0/16)"),
        (["x", "--subnet", own], "on this host"),
        (["x", "--subnet", "10.78.0.1/24"], "has host bits set"),
        (["x", "--subnet", "10.78.0.0/24", "--subnet", "10.79.0.0/24"], "one subnet of each family"),
        (["x", "--gateway", "10.78.0.1"], "--gateway 10.78.0.1: no matching subnet"),
        (["x", "--subnet", "10.78.0.0/24", "--ip-range", "10.79.0.0/25"], "no matching subnet"),
        (["x", "--driver", "macvlan"], "the driver 'macvlan' is not supported"),
        (["x", "-o", "speed=fast"], "unknown option 'speed'"),
        (["x", "-o", "com.docker.network.bridge.name=lo"], "the host has an interface lo"),
    ]:
        ran = web1.run("network", "create", *arguments)
        assert ran.code in (1, 2), ran
        assert told in ran.stderr
    assert "bridge is a pre-defined network" in web1.run("network", "rm", "bridge").ended(1).stderr
    web1.ok("create", "--name", "user", "--network", "taken", "base:1", "true")
    assert "network taken is in use by user" in web1.run("network", "rm", "taken").ended(1).stderr
    assert web1.ok("network", "prune", "-f").lines == []
    refused = web1.run("run", "--network", "nowhere", "base:1", "true").ended(125)
    assert "network nowhere not found" in refused.stderr


def test_networks_do_not_see_each_other(web1: Laptop, host: Host) -> None:
    web1.ok("network", "create", "red", "--subnet", "10.71.0.0/24")
    web1.ok("network", "create", "blue", "--subnet", "10.72.0.0/24")
    web1.ok("network", "create", "inner", "--internal", "--subnet", "10.73.0.0/24")
    serve(web1, "red1", "--network", "red", "-p", "8071:80")
    serve(web1, "red2", "--network", "red")
    serve(web1, "blue1", "--network", "blue")
    serve(web1, "in1", "--network", "inner")
    serve(web1, "in2", "--network", "inner")
    assert ask(web1, "red2", "10.71.0.2") == "red1"
    assert ask(web1, "in2", "10.73.0.2") == "in1"
    assert ask(web1, "red2", host.address, 8071) == "red1"
    assert ask(web1, "blue1", host.address, 8071) == "red1"  # what is published is for all
    for who, where in [
        ("blue1", "10.71.0.2"),
        ("red1", "10.72.0.2"),
        ("red1", "10.73.0.2"),
        ("in1", "10.71.0.2"),
    ]:
        assert ask(web1, who, where, patience=1) == "", (who, where)
    assert ask(web1, "in1", host.address, 8071, patience=1) == ""
    # Without the rules it would: the containers do have ways to each other.
    assert web1.ok("exec", "in1", "ip", "route").lines == ["10.73.0.0/24 dev eth0 scope link  src 10.73.0.2 "]
    web1.ok("exec", "blue1", "ip", "route", "get", "10.71.0.2")
    inside = network(web1, "red")["Containers"]
    assert {each["Name"]: each["IPv4Address"] for each in inside.values()} == {
        "red1": "10.71.0.2/24",
        "red2": "10.71.0.3/24",
    }

    host.agent.kill()
    host.exec(["nft", "flush", "ruleset"])
    host.agent.start()
    assert ask(web1, "red2", "10.71.0.2") == "red1"
    assert ask(web1, "red2", host.address, 8071) == "red1"
    assert ask(web1, "blue1", "10.71.0.2", patience=1) == ""
    assert ask(web1, "in1", "10.71.0.2", patience=1) == ""
    assert ask(web1, "in2", "10.73.0.2") == "in1"


def settings(web1: Laptop, name: str) -> dict[str, Any]:
    found: dict[str, Any] = data(web1.ok("--json", "inspect", name))[0]["NetworkSettings"]
    return found


def interfaces(web1: Laptop, name: str) -> list[str]:
    """The addresses of *name*'s interfaces, each with its interface, and the default routes."""
    script = (
        "ip -o addr show scope global | awk '{ print $2, $4 }'; "
        '(ip route; ip -6 route) | awk \'$1 == "default" { print "out", $3, $5 }\''
    )
    return sorted(web1.ok("exec", name, "sh", "-c", script).lines)


def test_several_networks(web1: Laptop, host: Host) -> None:
    web1.ok("network", "create", "inner", "--internal", "--subnet", "10.71.0.0/24")
    web1.ok(
        "network", "create", "six", "--subnet", "10.72.0.0/24", "--subnet", "fd72::/64", "--ip-range", "fd72::80/121"
    )
    web1.ok(
        *("run", "-d", "--name", "many", "--network", "inner", "-p", "8072:80"),
        *(
            "--network",
            "name=six,alias=db,alias=store,ip=10.72.0.9,mac-address=02:00:00:00:00:09",
            "--network",
            "bridge",
        ),
        *("base:1", "sh", "-c", "mkdir -p /w && echo many >/w/index.html && exec busybox httpd -f -h /w"),
    )
    assert interfaces(web1, "many") == [
        "eth0 10.71.0.2/24",
        "eth1 10.72.0.9/24",
        "eth1 fd72::80/64",
        "eth2 10.88.0.2/16",
        "out 10.72.0.1 eth1",
        "out fd72::1 eth1",
    ]
    shown = settings(web1, "many")
    assert list(shown["Networks"]) == ["inner", "six", "bridge"]
    assert shown["IPAddress"] == "10.88.0.2"
    six = shown["Networks"]["six"]
    assert (six["IPAddress"], six["GlobalIPv6Address"], six["GlobalIPv6PrefixLen"]) == ("10.72.0.9", "fd72::80", 64)
    assert (six["MacAddress"], six["Gateway"], six["IPv6Gateway"]) == ("02:00:00:00:00:09", "10.72.0.1", "fd72::1")
    assert six["Aliases"] == ["db", "store"]
    assert web1.ok("ps", "--format", "{{.Networks}}").lines == ["inner,six,bridge"]
    for text, names in [("six", ["many"]), ("inner", ["many"]), ("host", [])]:
        assert web1.ok("ps", "--filter", f"network={text}", "--format", "{{.Names}}").lines == names
    inside = network(web1, "six")["Containers"]
    assert [each["IPv6Address"] for each in inside.values()] == ["fd72::80/64"]

    serve(web1, "near", "--network", "six", "--ip6", "fd72::9")
    assert ask(web1, "near", "fd72::80") == "many"
    assert ask(web1, "near", "10.72.0.9") == "many"
    assert ask(web1, "near", host.address, 8072) == "many"
    assert host.exec(["busybox", "ping", "-c", "1", "-W", "5", "fd72::9"]).returncode == 0
    for flags, told in [
        ("--network six --ip 10.72.0.9", "the address 10.72.0.9 is taken"),
        ("--network six --ip6 fd72::80", "the address fd72::80 is taken"),
        ("--network six --ip 10.72.0.1", "the address 10.72.0.1 is taken"),
        ("--network six --ip 10.73.0.2", "10.73.0.2 is not an address of the network's subnet 10.72.0.0/24"),
        ("--network inner --ip6 fd72::5", "the network inner has no IPv6"),
        ("--network six --mac-address 01:00:00:00:00:00", "is not the address of one interface"),
        ("--network six --network host", "--network host stands alone"),
        ("--network six --network six", "--network six is given twice"),
        ("--network none --ip 10.72.0.5", "no addresses and aliases on the network none"),
    ]:
        refused = web1.run("run", "--rm", *flags.split(), "base:1", "true")
        assert refused.code in (2, 125), refused
        assert told in refused.stderr
    web1.ok("stop", "-t", "0", "many")
    assert settings(web1, "many")["Networks"]["six"]["IPAddress"] == ""
    web1.ok("start", "many")
    assert interfaces(web1, "many")[1:3] == ["eth1 10.72.0.9/24", "eth1 fd72::80/64"]


def test_connect_and_disconnect(web1: Laptop, host: Host) -> None:
    web1.ok("network", "create", "red", "--subnet", "10.71.0.0/24")
    web1.ok("network", "create", "blue", "--subnet", "10.72.0.0/24", "--subnet", "fd72::/64")
    serve(web1, "red1", "--network", "red", "-p", "8073:80")
    serve(web1, "blue1", "--network", "blue")
    place = ("--alias", "db", "--ip", "10.72.0.9", "--ip6", "fd72::9", "--mac-address", "02:00:00:00:72:09")
    web1.ok("network", "connect", *place, "blue", "red1")
    both = ["eth0 10.71.0.2/24", "eth1 10.72.0.9/24", "eth1 fd72::9/64", "out 10.71.0.1 eth0", "out fd72::1 eth1"]
    assert interfaces(web1, "red1") == both
    assert ask(web1, "blue1", "10.72.0.9") == "red1"
    assert ask(web1, "red1", "10.72.0.2") == "blue1"
    blue = settings(web1, "red1")["Networks"]["blue"]
    assert (blue["Aliases"], blue["MacAddress"]) == (["db"], "02:00:00:00:72:09")
    assert web1.ok("exec", "red1", "cat", "/sys/class/net/eth1/address").stdout == "02:00:00:00:72:09\n"
    assert web1.ok("ps", "--filter", "network=blue", "--format", "{{.Names}}: {{.Networks}}").lines == [
        "blue1: blue",
        "red1: red,blue",
    ]
    for arguments, told in [
        (["connect", "blue", "red1"], "already exists in network blue"),
        (["connect", "red", "blue1", "--ip", "10.71.0.2"], "the address 10.71.0.2 is taken"),
        (["connect", "nowhere", "red1"], "network nowhere not found"),
        (["connect", "red", "nobody"], "no such container: nobody"),
        (["connect", "host", "red1"], "cannot be connected to the network host"),
        (["disconnect", "bridge", "red1"], "is not connected to network bridge"),
        (["rm", "blue"], "network blue is in use by red1, blue1"),
    ]:
        assert told in web1.run("network", *arguments).ended(1).stderr
    web1.ok("network", "disconnect", "-f", "bridge", "red1")

    host.agent.kill()
    host.agent.start()
    assert interfaces(web1, "red1") == both
    web1.ok("network", "disconnect", "red", "red1")  # its way out, and what it has published, move on
    assert interfaces(web1, "red1") == [
        "eth1 10.72.0.9/24",
        "eth1 fd72::9/64",
        "out 10.72.0.1 eth1",
        "out fd72::1 eth1",
    ]
    assert ask(web1, "blue1", host.address, 8073) == "red1"
    web1.ok("network", "connect", "red", "red1")
    assert interfaces(web1, "red1")[0] == "eth0 10.71.0.2/24"

    web1.ok("stop", "-t", "0", "red1")
    web1.ok("network", "disconnect", "blue", "red1")
    web1.ok("network", "connect", "bridge", "red1")
    web1.ok("start", "red1")
    assert interfaces(web1, "red1") == ["eth0 10.71.0.2/24", "eth1 10.88.0.2/16", "out 10.71.0.1 eth0"]
    web1.ok("network", "disconnect", "red", "red1")
    web1.ok("network", "disconnect", "bridge", "red1")
    assert interfaces(web1, "red1") == []
    assert web1.ok("port", "red1").lines == []
    web1.ok("network", "rm", "red")
    web1.ok("run", "-d", "--name", "none1", "--network", "none", "base:1", "sleep", "60")
    refused = web1.run("network", "connect", "blue", "none1").ended(1).stderr
    assert "created with --network none, which stands alone" in refused


def look_up(web1: Laptop, container: str, *names: str) -> list[str]:
    """What *container* is told for each of *names*: its addresses, "" for none."""
    addresses = "awk '/^Name:/ { named = 1 } named && /^Address/ { print $NF }' | sort | xargs"
    each = f"for name in {' '.join(names)}; do timeout 5 nslookup $name 2>/dev/null | {addresses}; done"
    return web1.ok("exec", container, "sh", "-c", each).lines


def eventually(web1: Laptop, container: str, told: dict[str, str]) -> None:
    """*container* is *told* that for those names; a moment may pass until a change is known."""
    until = time.monotonic() + 15
    while (found := look_up(web1, container, *told)) != list(told.values()):
        assert time.monotonic() < until, (found, told)


def test_names(web1: Laptop, host: Host) -> None:
    web1.ok("network", "create", "red", "--subnet", "10.71.0.0/24", "--subnet", "fd71::/64")
    web1.ok("network", "create", "inner", "--internal", "--subnet", "10.72.0.0/24")
    assert host.exec(["pgrep", "aardvark-dns"]).returncode == 1
    sleep = ["base:1", "sleep", "300"]
    web1.ok("run", "-d", "--name", "red1", "--network", "red", "--network-alias", "db", "--network-alias", "up", *sleep)
    web1.ok("run", "-d", "--name", "both", "--network", "name=red,alias=db", "--network", "inner", *sleep)
    web1.ok("run", "-d", "--name", "in1", "--network", "inner", *sleep)
    look = "grep nameserver /etc/resolv.conf"
    assert web1.ok("exec", "both", "sh", "-c", look).lines == ["nameserver 10.71.0.1", "nameserver 10.72.0.1"]
    identity = web1.ok("ps", "-q", "--filter", "name=red1").stdout.strip()
    seen = {"red1": "10.71.0.2 fd71::2", "up": "10.71.0.2 fd71::2", identity: "10.71.0.2 fd71::2"}
    # "both" sees its second network, too.
    eventually(web1, "both", {**seen, "db": "10.71.0.2 10.71.0.3 fd71::2 fd71::3", "in1": "10.72.0.3"})
    eventually(web1, "in1", {"both": "10.72.0.2", "red1": ""})
    eventually(web1, "red1", {"both": "10.71.0.3 fd71::3", "in1": ""})

    kept = host.exec(["pgrep", "aardvark-dns"]).stdout
    assert len(kept.split()) == 1
    both = data(web1.ok("--json", "inspect", "both"))[0]["Id"]
    host.agent.kill()
    inside = ["nsenter", f"--net=/run/jackstay/netns/{both}", "busybox", "nslookup", "red1", "10.71.0.1"]
    assert "Address: 10.71.0.2" in host.exec(inside).stdout
    host.agent.start()
    assert host.exec(["pgrep", "aardvark-dns"]).stdout == kept
    host.exec(["pkill", "-KILL", "aardvark-dns"])
    eventually(web1, "both", seen)
    assert host.exec(["pgrep", "aardvark-dns"]).stdout not in ("", kept)

    web1.ok("rename", "red1", "crimson")
    eventually(web1, "both", {"crimson": "10.71.0.2 fd71::2", "red1": ""})
    web1.ok("stop", "-t", "0", "crimson")
    web1.ok("network", "connect", "--alias", "late", "red", "in1")
    eventually(web1, "both", {"crimson": "", "db": "10.71.0.3 fd71::3", "late": "10.71.0.4 fd71::4"})
    web1.ok("network", "disconnect", "red", "in1")
    eventually(web1, "both", {"late": ""})
    web1.ok("rm", "-f", "both", "in1")
    assert host.exec(["pgrep", "aardvark-dns"]).returncode == 1


NAMESERVER = """
import select, socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
while server in select.select([server, sys.stdin], [], [])[0]:
    question, peer = server.recvfrom(600)
    end = question.index(bytes(1), 12) + 5
    print(question[12:end], flush=True)
    found = bytes.fromhex("c00c0001000100000001" "0004c000024d") if question[end - 4 : end - 2] == b"\\0\\x01" else b""
    count = bytes([0, 1]) if found else bytes(2)
    server.sendto(question[:2] + bytes.fromhex("81800001") + count + bytes(4) + question[12:end] + found, peer)
"""
"""Tells everybody 192.0.2.77 for every name, and prints what it was asked, until its input ends."""


def test_names_of_the_world(web1: Laptop, host: Host) -> None:
    web1.ok("network", "create", "red", "--subnet", "10.71.0.0/24")
    web1.ok("network", "create", "inner", "--internal", "--subnet", "10.72.0.0/24")
    asks = ["--dns", host.address, "base:1", "sleep", "300"]
    web1.ok("run", "-d", "--name", "free", "--network", "red", *asks)
    web1.ok("run", "-d", "--name", "shut", "--network", "inner", *asks)
    web1.ok("run", "-d", "--name", "plain", *asks)
    command = host.command([sys.executable, "-c", NAMESERVER, host.address])
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        eventually(web1, "free", {"up.example": "192.0.2.77", "free": "10.71.0.2"})
        eventually(web1, "plain", {"up.example": "192.0.2.77"})
        eventually(web1, "shut", {"shut": "10.72.0.2"})
        assert web1.run("exec", "shut", "timeout", "1", "nslookup", "secret.example").code != 0
    finally:
        asked, _ = server.communicate(timeout=20)
    assert "example" in asked
    assert "secret" not in asked


def test_the_network_of_another_container(web1: Laptop) -> None:
    web1.ok("network", "create", "red", "--subnet", "10.71.0.0/24")
    serve(web1, "owner", "--network", "red", "-h", "owns", "--add-host", "extra:192.0.2.9", "-p", "8074:80")
    web1.ok("run", "-d", "--name", "guest", "--network", "container:owner", "base:1", "sleep", "300")
    web1.ok("run", "-d", "--name", "third", "--network", "container:guest", "base:1", "sleep", "300")
    look = "hostname; cat /etc/hosts /etc/resolv.conf; readlink /proc/self/ns/net; ip -o addr"
    seen = web1.ok("exec", "owner", "sh", "-c", look).stdout
    assert "192.0.2.9\textra" in seen
    for name in ("guest", "third"):
        assert web1.ok("exec", name, "sh", "-c", look).stdout == seen
        assert ask(web1, name, "127.0.0.1") == "owner"
    owner, guest = (data(web1.ok("--json", "inspect", name))[0] for name in ("owner", "guest"))
    assert guest["HostConfig"]["NetworkMode"] == f"container:{owner['Id']}"
    assert guest["HostsPath"] == owner["HostsPath"]
    assert guest["NetworkSettings"]["Networks"] == {}
    for flags, told in [
        ("-p 80:80", "port publishing and the container type network mode"),
        ("-h mine", "hostname and the container type network mode"),
        ("--ip 10.71.0.9", "addresses and aliases and the container type network mode"),
        ("--sysctl net.ipv4.ip_forward=1", "not allowed in host network namespace"),
    ]:
        ran = web1.run("run", "--rm", "--network", "container:owner", *flags.split(), "base:1", "true").ended(125)
        assert told in ran.stderr
    assert "stands alone" in web1.run("network", "connect", "red", "guest").ended(1).stderr
    web1.ok("stop", "-t", "0", "owner", "guest")
    assert "cannot join network of a non running container" in web1.run("start", "guest").ended(1).stderr
    web1.ok("start", "owner", "guest")
    assert ask(web1, "guest", "127.0.0.1") == "owner"
    web1.ok("rm", "-f", "owner", "guest")
