from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.errors import AddressTaken, InvalidArgument
from jackstay_agent.networks import addresses

SUBNET = "10.88.0.0/29"  # .0 network, .1 gateway, .2 to .6, .7 broadcast


def test_the_gateway_is_the_first_address():
    assert addresses.gateway_of(SUBNET) == "10.88.0.1"
    assert addresses.prefix_of(SUBNET) == 29


@given(st.sets(st.integers(2, 6)))
def test_the_lowest_free_address_is_given_until_none_is_left(taken):
    used = {f"10.88.0.{number}" for number in taken}
    free = [number for number in range(2, 7) if number not in taken]
    if free:
        assert addresses.next_free(SUBNET, used) == f"10.88.0.{free[0]}"
    else:
        with pytest.raises(AddressTaken, match=r"10\.88\.0\.0/29"):
            addresses.next_free(SUBNET, used)


@given(st.integers(8, 30), st.integers(0, 2**32 - 1), st.sets(st.integers(0, 20)))
def test_what_is_given_can_be_asked_for(prefix, number, taken):
    subnet = str(ipaddress.IPv4Network((number, prefix), strict=False))
    base = ipaddress.IPv4Network(subnet)
    used = {str(base[position]) for position in taken if position < base.num_addresses}
    try:
        given_address = addresses.next_free(subnet, used)
    except AddressTaken:
        return
    assert addresses.asked(subnet, used, given_address) == given_address
    assert given_address not in used
    assert given_address != addresses.gateway_of(subnet)


@pytest.mark.parametrize("address", ["10.88.0.0", "10.88.0.7", "10.88.1.2", "ten", "10.88.0.02", "::1", ""])
def test_an_address_that_no_container_can_have_is_refused(address):
    with pytest.raises(InvalidArgument):
        addresses.asked(SUBNET, set(), address)


@pytest.mark.parametrize("address", ["fd00::2", "fd00::2%x", "fd00::9%x", f"fd00::9%\n{'a' * 64} 10.0.0.9  victim"])
def test_no_zone_hides_that_an_address_is_taken_or_adds_lines(address):
    with pytest.raises((AddressTaken, InvalidArgument)):
        addresses.asked("fd00::/64", {"fd00::2"}, address)


@pytest.mark.parametrize("address", ["10.88.0.1", "10.88.0.3"])
def test_a_taken_address_is_refused_by_name(address):
    with pytest.raises(AddressTaken, match=address):
        addresses.asked(SUBNET, {"10.88.0.3"}, address)


@pytest.mark.parametrize("subnet", ["10.88.0.1/16", "10.0.0.0/7", "10.88.0.0/31", "fd00::/64", "x"])
def test_a_subnet_that_cannot_work_is_refused(subnet):
    with pytest.raises(InvalidArgument):
        addresses.gateway_of(subnet)


def test_the_mac_follows_from_the_address():
    assert addresses.mac_of("10.88.0.255") == "02:42:0a:58:00:ff"


def test_an_asked_mac_is_checked():
    assert addresses.asked_mac("02-42-AC-11-00-02") == "02:42:ac:11:00:02"
    for bad in ("01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "02:42", "02:42:ac:11:00:02\n"):
        with pytest.raises(InvalidArgument):
            addresses.asked_mac(bad)


def test_interface_names_fit_the_kernel_and_differ():
    first = addresses.interface_name("a" * 64, "net", set())
    assert first == addresses.interface_name("a" * 64, "net", set())
    second = addresses.interface_name("a" * 64, "net", {first})
    assert second != first
    assert all(len(name) == 11 and name.startswith("veth") for name in (first, second))


def test_addresses_of_ipv6_of_a_range_and_beside_another_gateway():
    assert addresses.next_free("fd00::/64", {"fd00::2"}) == "fd00::3"
    assert addresses.next_free(SUBNET, set(), "10.88.0.2") == "10.88.0.1"
    assert addresses.next_free("10.88.0.0/16", {"10.88.5.0"}, "10.88.5.1", "10.88.5.0/24") == "10.88.5.2"
    assert addresses.asked("fd00::/64", set(), "fd00:0::9") == "fd00::9"
    with pytest.raises(InvalidArgument, match="not an IPv6 address"):
        addresses.asked("fd00::/64", set(), "10.88.0.2")
    with pytest.raises(AddressTaken):
        addresses.asked(SUBNET, set(), "10.88.0.6", "10.88.0.6")
