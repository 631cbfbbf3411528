from __future__ import annotations

from jackstay_agent.metadata.networks import EndpointRow, NetworkRow
from jackstay_agent.networks.endpoints import argument, bridge_of, gateways

INNER = NetworkRow("1", "inner", "bridge", "jk-1", "10.71.0.0/24", "10.71.0.1", 0, internal=True)
PLAIN = NetworkRow("2", "plain", "bridge", "jk-2", "10.72.0.0/24", "10.72.0.9", 0)
SIX = NetworkRow(
    *("3", "six", "bridge", "jk-3", "10.73.0.0/24", "10.73.0.1", 0),
    subnet6="fd73::/64",
    gateway6="fd73::1",
    options={"com.docker.network.driver.mtu": "1400"},
)
NETWORKS = {row.id: row for row in (INNER, PLAIN, SIX)}


def place(network: NetworkRow, ordinal: int, address6: str = "") -> EndpointRow:
    address = f"{network.subnet.rpartition('.')[0]}.5"
    return EndpointRow(
        "c", "c", network.id, address, "02:00:00:00:00:05", f"veth{ordinal}", True, address6, (), ordinal
    )


def test_the_first_network_that_leads_out_has_the_default_route_of_each_family() -> None:
    places = [place(INNER, 0), place(PLAIN, 1), place(SIX, 2, "fd73::5")]
    made = [argument(each, places, NETWORKS) for each in places]
    assert [(each["name"], each["gateway"], each["gateway6"]) for each in made] == [
        ("eth0", "", ""),
        ("eth1", "10.72.0.9", ""),
        ("eth2", "", "fd73::1"),
    ]
    assert [(each["cidr"], each["cidr6"]) for each in made][1:] == [
        ("10.72.0.5/24", ""),
        ("10.73.0.5/24", "fd73::5/64"),
    ]
    assert gateways(places, NETWORKS) == [["eth1", "10.72.0.9"], ["eth2", "fd73::1"]]
    assert gateways(places[:1], NETWORKS) == []


def test_the_bridge_of_a_network() -> None:
    bridge = bridge_of(SIX)
    assert (bridge.address, bridge.address6, bridge.mtu) == ("10.73.0.1/24", "fd73::1/64", 1400)
    assert (bridge.mark, bridge.internal) == ("jackstay network 3", False)
    assert bridge_of(INNER).internal
