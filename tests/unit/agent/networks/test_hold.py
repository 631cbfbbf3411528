"""Ports of this machine's loopback, bound and let go."""

from __future__ import annotations

import errno
import socket

import pytest

from jackstay_agent.containers.settings import Port
from jackstay_agent.errors import InvalidArgument, PortTaken, Unsupported
from jackstay_agent.networks.attachment import BoundPort
from jackstay_agent.networks.hold import hold

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def bindable(address: str, number: int, protocol: str) -> bool:
    """Whether somebody else could have the port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, KINDS[protocol]) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(protocol == "tcp"))
        try:
            other.bind((address, number))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
        return True


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("asked", "address", "places", "listens"),
    [
        ("", "", ["127.0.0.1", "::1"], True),
        ("0.0.0.0", "", ["127.0.0.1", "::1"], True),
        ("127.0.0.1", "127.0.0.1", ["127.0.0.1"], False),
        ("[::1]", "::1", ["::1"], True),
        ("0:0::1", "::1", ["::1"], True),
        ("::", "::", ["::1"], True),
        ("::ffff:127.0.0.1", "127.0.0.1", ["127.0.0.1"], False),
    ],
)
def test_a_held_port_is_nobody_elses(protocol: str, asked: str, address: str, places: list[str], listens: bool) -> None:
    held = hold(Port(container_port=80, host_ip=asked, protocol=protocol))
    try:
        assert held.port == BoundPort(address, held.port.host_port, 80, protocol)
        assert (held.listener is not None) == listens
        assert [bindable(place, held.port.host_port, protocol) for place in places] == [False] * len(places)
        again = Port(container_port=81, host_ip=places[0], host_port=held.port.host_port, protocol=protocol)
        with pytest.raises(PortTaken, match=rf":{held.port.host_port}/{protocol} is taken$"):
            hold(again)
    finally:
        held.close()
    hold(again).close()


def test_another_free_port_is_chosen_when_one_family_has_it_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[int] = []
    real = socket.socket.bind

    def bind(self: socket.socket, place: tuple[str, int]) -> None:
        if self.family == socket.AF_INET6 and len(chosen) < 2:
            chosen.append(place[1])
            raise OSError(errno.EADDRINUSE, "in use")
        real(self, place)

    monkeypatch.setattr("socket.socket.bind", bind)
    held = hold(Port(container_port=80))
    assert held.listener is not None
    assert held.listener.getsockname()[1] == held.port.host_port
    held.close()
    chosen.clear()
    with pytest.raises(PortTaken, match=r"port \[::\]:\d+/tcp is taken"):
        hold(Port(container_port=80, host_port=held.port.host_port))


def test_the_first_free_one_of_a_range() -> None:
    first = hold(Port(container_port=80, host_ip="127.0.0.1"))
    number = first.port.host_port
    wanted = Port(container_port=80, host_ip="127.0.0.1", host_port=number, host_port_end=number + 20)
    second = hold(wanted)
    assert number < second.port.host_port <= number + 20
    again = Port(container_port=80, host_ip="127.0.0.1", host_port=number, host_port_end=second.port.host_port)
    with pytest.raises(PortTaken, match=rf"^ports 127\.0\.0\.1:{number}-{second.port.host_port}/tcp are all taken$"):
        hold(again)
    first.close()
    third = hold(again)
    assert third.port == BoundPort("127.0.0.1", number, 80, "tcp")
    for each in (second, third):
        each.close()


def test_a_host_without_ipv6_publishes_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without(family: int = -1, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported")
        return real(family, *rest)

    monkeypatch.setattr("jackstay_agent.networks.hold.socket.socket", without)
    held = hold(Port(container_port=80))
    assert held.listener is None
    held.close()
    with pytest.raises(InvalidArgument, match="::1 is not an address of this host"):
        hold(Port(container_port=80, host_ip="::1"))


@pytest.mark.parametrize(
    ("kind", "words", "fields"),
    [
        (Unsupported, "ports of sctp", {"container_port": 80, "protocol": "sctp"}),
        (InvalidArgument, "70000:80 is not a pair of ports", {"container_port": 80, "host_port": 70000}),
        (InvalidArgument, "81:80 is not", {"container_port": 80, "host_port": 81, "host_port_end": 80}),
        (InvalidArgument, "'host' is not an IP address", {"container_port": 80, "host_ip": "host"}),
        (
            InvalidArgument,
            "2001:db8::9 is not an address of this host",
            {"container_port": 80, "host_ip": "2001:db8::9"},
        ),
        (InvalidArgument, "fe80::1%none is not an address", {"container_port": 80, "host_ip": "fe80::1%none"}),
    ],
)
def test_what_cannot_be_published(kind: type[Exception], words: str, fields: dict[str, object]) -> None:
    with pytest.raises(kind, match=words):
        hold(Port(**fields))
