from __future__ import annotations

import ipaddress

import pytest

from jackstay_agent.errors import AddressTaken, InvalidArgument
from jackstay_agent.networks.subnets import POOLS, Subnet, checked, choose4, choose6, clash


def test_the_first_free_subnet_is_chosen():
    assert choose4([("network bridge", "10.88.0.0/16")]) == Subnet("10.89.0.0/24", "10.89.0.1")
    taken = [("network a", "10.89.0.0/24"), ("eth0", "10.89.1.7/24"), ("eth0", "fd00::1/64")]
    assert choose4(taken).subnet == "10.89.2.0/24"
    assert choose4([("wg0", "10.0.0.0/8")]).subnet == "172.16.0.0/24"
    with pytest.raises(AddressTaken, match="no subnet is free"):
        choose4([("everything", pool) for pool in POOLS])


def test_a_subnet_of_ipv6_is_of_ones_own():
    found = choose6([])
    network = ipaddress.IPv6Network(found.subnet)
    assert network.subnet_of(ipaddress.IPv6Network("fd00::/8"))
    assert network.prefixlen == 64
    assert found.gateway == str(network[1])
    assert found != choose6([])


def test_what_was_asked_for_is_made_canonical():
    assert checked("10.5.0.0/16", "", "") == Subnet("10.5.0.0/16", "10.5.0.1")
    asked = checked("fd00:0::/64", "fd00::5", "fd00::100/120")
    assert asked == Subnet("fd00::/64", "fd00::5", "fd00::100/120")


@pytest.mark.parametrize(
    ("subnet", "gateway", "ip_range"),
    [
        ("10.5.0.1/16", "", ""),
        ("ten", "", ""),
        ("10.5.0.0/31", "", ""),
        ("224.0.0.0/24", "", ""),
        ("127.0.0.0/8", "", ""),
        ("10.5.0.0/16", "10.6.0.1", ""),
        ("10.5.0.0/16", "10.5.0.0", ""),
        ("10.5.0.0/16", "fd00::1", ""),
        ("fd05::/64", "fd05::9%\nfd05::8", ""),
        ("10.5.0.0/16", "", "10.6.0.0/24"),
        ("10.5.0.0/16", "", "fd00::/120"),
    ],
)
def test_what_cannot_be_is_refused(subnet, gateway, ip_range):
    with pytest.raises(InvalidArgument):
        checked(subnet, gateway, ip_range)


def test_who_has_addresses_of_a_subnet():
    networks, addresses = [("network a", "10.89.0.0/24")], [("eth0", "192.0.2.1/24")]
    routes = [("wg0", "10.0.0.0/8"), ("wg0", "10.5.7.0/24")]
    assert clash("10.89.0.128/25", networks, addresses, routes) == "network a (10.89.0.0/24)"
    assert clash("192.0.0.0/16", networks, addresses, routes) == "eth0 (192.0.2.1/24)"
    assert clash("10.5.0.0/16", networks, addresses, routes) == "wg0 (10.5.7.0/24)"
    assert clash("10.6.0.0/16", networks, addresses, routes) == ""
    assert clash("fd00::/64", networks, addresses, routes) == ""
