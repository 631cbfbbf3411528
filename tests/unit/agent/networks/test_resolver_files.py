from __future__ import annotations

import pytest

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.networks.resolver_files import FALLBACK, hosts, resolv_conf, source_of, split_extra


def test_hosts_names_loopback_the_extra_ones_and_the_container():
    extra = ["db:10.0.0.9", "six:[2001:db8::1]", "gw=host-gateway"]
    text = hosts("web", ["10.88.0.2", "fd00::2"], extra, host_gateway="10.88.0.1")
    lines = text.splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    assert lines[-5:-2] == ["10.0.0.9\tdb", "2001:db8::1\tsix", "10.88.0.1\tgw"]
    assert lines[-2:] == ["10.88.0.2\tweb", "fd00::2\tweb"]
    assert "web" not in hosts("web", [])


@pytest.mark.parametrize(
    "entry", ["db", "db:", ":1.2.3.4", "db:ten", "d b:1.2.3.4", "a\tb:1.2.3.4", "a\n1.2.3.4 bank:1.2.3.4"]
)
def test_a_malformed_extra_host_is_refused(entry):
    with pytest.raises(InvalidArgument):
        hosts("web", [], [entry])


def test_an_extra_host_may_be_ipv6_without_brackets():
    assert split_extra("six:2001:db8::1") == ("six", "2001:db8::1")


def test_host_gateway_needs_a_gateway():
    with pytest.raises(InvalidArgument, match="gateway"):
        hosts("web", [], ["gw:host-gateway"])


HOST = """# made by hand
domain old.example
search a.example b.example
nameserver 127.0.0.53
nameserver 192.0.2.53
nameserver fe80::1%eth0
nameserver ::1
options edns0 trust-ad
"""


def test_servers_that_a_container_cannot_reach_are_dropped():
    assert resolv_conf(HOST) == "nameserver 192.0.2.53\nsearch a.example b.example\noptions edns0 trust-ad\n"


def test_without_any_the_public_ones_are_used_and_the_file_says_so():
    text = resolv_conf("nameserver 127.0.0.1\n")
    assert text.startswith("# The host names no server")
    assert text.splitlines()[1:] == [f"nameserver {server}" for server in FALLBACK]
    assert resolv_conf("nameserver 127.0.0.1\n", keep_loopback=True) == "nameserver 127.0.0.1\n"


def test_what_is_asked_for_comes_first():
    assert resolv_conf(HOST, ["9.9.9.9"], ["."]) == "nameserver 9.9.9.9\noptions edns0 trust-ad\n"
    assert "search c.example\n" in resolv_conf(HOST, [], ["c.example"])
    assert resolv_conf(HOST, options=["ndots:2"]).endswith("\noptions ndots:2\n")
    with pytest.raises(InvalidArgument, match="nine"):
        resolv_conf(HOST, ["nine"])


def test_the_stub_of_systemd_resolved_is_looked_behind():
    assert source_of("nameserver 127.0.0.53\noptions edns0\n") == "/run/systemd/resolve/resolv.conf"
    assert source_of("nameserver 127.0.0.53\nnameserver 192.0.2.1\n") == "/etc/resolv.conf"
    assert source_of("") == "/etc/resolv.conf"


@pytest.mark.parametrize("zone", ["%eth0", "%\nnameserver 192.0.2.66", "% x"])
def test_an_address_has_no_zone_that_could_be_another_line(zone):
    with pytest.raises(InvalidArgument):
        resolv_conf(HOST, ["fe80::1" + zone])
    with pytest.raises(InvalidArgument):
        hosts("box", [], ["db:fe80::1" + zone])
