"""The shape of the batch; what the rules do to packets is in `test_on_a_host.py`."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.networks.ruleset import BridgeNetwork, Forward, remove, render

NETWORK = BridgeNetwork("jackstay0", "10.88.0.0/16")
FORWARDS = st.lists(
    st.builds(
        Forward,
        st.sampled_from(["tcp", "udp"]),
        st.sampled_from(["", "127.0.0.1", "192.0.2.1"]),
        st.integers(1, 65535),
        st.sampled_from(["10.88.0.2", "10.88.0.3"]),
        st.integers(1, 65535),
    ),
    unique_by=lambda forward: (forward.protocol, forward.host_ip, forward.host_port),
)


def commands(batch: bytes) -> list[dict]:
    return json.loads(batch)["nftables"]


def test_the_batch_replaces_the_table_whole_and_touches_no_other():
    batch = commands(render([NETWORK], []))
    assert [list(command) for command in batch[:3]] == [["add"], ["delete"], ["add"]]
    for command in batch:
        (body,) = command.values()
        ((kind, value),) = body.items()
        assert value["family"] in ("ip", "ip6")
        assert value["name" if kind == "table" else "table"] == "jackstay"
    removed = [command["delete"]["table"]["family"] for command in commands(remove()) if "delete" in command]
    assert removed == ["ip", "ip6"]


def test_the_table_of_ipv6_is_there_for_networks_with_ipv6():
    def added(*networks: BridgeNetwork, six: bool = True) -> list[str]:
        batch = commands(render(networks, [], six=six))
        return [c["add"]["rule"]["chain"] for c in batch if c.get("add", {}).get("rule", {}).get("family") == "ip6"]

    assert added(NETWORK) == []
    assert added(BridgeNetwork("jk-1", "10.89.0.0/24", "fd00::/64")) == ["nat-postrouting", *["forward"] * 3]
    assert added(BridgeNetwork("jk-1", "10.89.0.0/24", "fd00::/64", internal=True)) == ["forward"] * 2
    assert "ip6" not in render([NETWORK], [], six=False).decode()


@given(FORWARDS)
def test_every_port_leads_to_a_chain_that_exists_and_translates_to_its_target(forwards):
    batch = [command["add"] for command in commands(render([NETWORK], forwards)) if "add" in command]
    chains = [body["chain"]["name"] for body in batch if "chain" in body]
    assert len(chains) == len(set(chains))
    targets = {
        body["rule"]["chain"]: body["rule"]["expr"][1]["dnat"]
        for body in batch
        if "rule" in body and body["rule"]["chain"].startswith("to-")
    }
    found = set()
    for body in batch:
        if "map" in body:
            for key, verdict in body["map"].get("elem", []):
                chain = verdict["goto"]["target"]
                assert chain in chains
                *address, protocol, port = key["concat"]
                target = targets[chain]
                found.add((protocol, address[0] if address else "", port, target["addr"], target["port"]))
    assert found == {(f.protocol, f.host_ip, f.host_port, f.address, f.port) for f in forwards}


@given(FORWARDS)
def test_the_order_of_the_rows_does_not_matter(forwards):
    assert render([NETWORK], forwards) == render([NETWORK], reversed(forwards))
