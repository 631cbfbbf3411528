"""``--network`` of run, and the subnets of ``network create``."""

from __future__ import annotations

import pytest

from jackstay.cli.parsing.networks import parse_networks
from jackstay.cli.parsing.subnets import parse_subnets
from jackstay.client import messages
from jackstay.errors import UsageError

Network = messages.NetworkAttachment


def test_networks() -> None:
    assert parse_networks([]) == []
    assert parse_networks(["a", "b"]) == [Network(network="a"), Network(network="b")]
    long = "name=a,alias=x,alias=y,ip=10.0.0.2,ip6=fd00::2,mac-address=02:00:00:00:00:01"
    whole = Network(network="a", aliases=["x", "y"], ip="10.0.0.2", ip6="fd00::2", mac_address="02:00:00:00:00:01")
    assert parse_networks([long, "b"]) == [whole, Network(network="b")]
    flags = parse_networks(
        ["name=a,alias=x"], aliases=["y"], ip="10.0.0.2", ip6="fd00::2", mac_address=whole.mac_address
    )
    assert flags == [whole]
    assert parse_networks([], ip="10.0.0.2") == [Network(ip="10.0.0.2")]


@pytest.mark.parametrize(
    ("networks", "told"),
    [
        (["a", "a"], "given twice"),
        (["host", "a"], "--network host stands alone"),
        (["a", "container:b"], "--network container:b stands alone"),
        ([""], "missing"),
        (["alias=x"], "name= is missing"),
        (["name=a,speed=9"], "'speed=9' is not known"),
        (["name=a,ip="], "'ip=' is not known"),
        (["name=a,ip=1.1.1.1,ip=1.1.1.2"], "ip= is given twice"),
    ],
)
def test_networks_that_cannot_be(networks: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_networks(networks)


def test_an_address_is_of_one_network() -> None:
    with pytest.raises(UsageError, match="are for one network"):
        parse_networks(["a", "b"], ip="10.0.0.2")
    with pytest.raises(UsageError, match="--ip and ip= of --network"):
        parse_networks(["name=a,ip=10.0.0.3"], ip="10.0.0.2")


def test_subnets() -> None:
    assert parse_subnets(["fd00::/64", "10.5.0.0/16"], ["10.5.0.9", "fd00::9"], ["10.5.1.0/24"]) == [
        messages.Subnet(subnet="fd00::/64", gateway="fd00::9"),
        messages.Subnet(subnet="10.5.0.0/16", gateway="10.5.0.9", ip_range="10.5.1.0/24"),
    ]
    for subnets, gateways, ranges in [
        (["x"], [], []),
        ([], ["10.5.0.1"], []),
        (["10.5.0.0/16"], ["10.6.0.1"], []),
        (["10.5.0.0/16"], ["10.5.0.1", "10.5.0.2"], []),
        (["10.5.0.0/16"], [], ["10.0.0.0/8"]),
    ]:
        with pytest.raises(UsageError):
            parse_subnets(subnets, gateways, ranges)
