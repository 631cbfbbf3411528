from __future__ import annotations

from jackstay_agent.metadata.networks import EndpointRow, NetworkRow
from jackstay_agent.networks.dns_files import files

SHOP = NetworkRow(
    "1" * 64, "shop", "bridge", "jk-1", "10.89.0.0/24", "10.89.0.1", 0, subnet6="fd00::/64", gateway6="fd00::1"
)
BACK = NetworkRow("2" * 64, "back", "bridge", "jk-2", "10.89.1.0/24", "10.89.1.1", 0, internal=True)
BRIDGE = NetworkRow("3" * 64, "bridge", "bridge", "jackstay0", "10.88.0.0/16", "10.88.0.1", 0)


def place(letter: str, name: str, network: NetworkRow, address: str, address6: str = "", *aliases: str, active=True):
    return EndpointRow(letter * 64, name, network.id, address, "", "", active, address6, aliases)


def test_a_file_for_every_network_with_containers_that_run():
    places = [
        place("a", "Web", SHOP, "10.89.0.2", "fd00::2", "www", "web"),
        place("b", "db", SHOP, "10.89.0.3", "fd00::3"),
        place("c", "gone", SHOP, "10.89.0.4", active=False),
        place("c", "gone", BACK, "10.89.1.4", active=False),
        place("a", "Web", BRIDGE, "10.88.0.2"),
    ]
    assert files([SHOP, BACK, BRIDGE], places, {"b" * 64: ["9.9.9.9", "fd00::9"]}) == {
        SHOP.id: "10.89.0.1,fd00::1\n"
        f"{'a' * 64} 10.89.0.2 fd00::2 web,www,aaaaaaaaaaaa\n"
        f"{'b' * 64} 10.89.0.3 fd00::3 db,bbbbbbbbbbbb 9.9.9.9,fd00::9\n"
    }
    assert files([SHOP, BACK, BRIDGE], places[2:], {}) == {}
    assert files([BACK], [place("a", "one", BACK, "10.89.1.2")], {}) == {
        f"{BACK.id}%int": f"10.89.1.1\n{'a' * 64} 10.89.1.2  one,aaaaaaaaaaaa 0.0.0.1\n"
    }
