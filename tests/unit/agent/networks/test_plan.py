from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.networks.plan import Actual, Bridge, Desired, Found, Step, overlaps, steps

BRIDGES = (
    Bridge("jackstay0", "10.88.0.1/16", "02:42:0a:58:00:01", mark="jackstay network 0"),
    Bridge("jk-1", "10.89.0.1/24", "02:42:0a:59:00:01", "fd00::1/64", "jackstay network 1", mtu=1400),
    Bridge("jk-2", "10.89.1.1/24", "02:42:0a:59:01:01", mark="jackstay network 2", internal=True),
)
STALE = "jk-9"
NAMES = st.sampled_from([f"veth{number:07x}" for number in range(6)])
IDS = st.sampled_from(["a", "b", "c", "d"])


def simulate(actual: Actual, todo: list[Step]) -> Actual:
    """What `netlink.apply` does, on the value."""
    links, bridges = dict(actual.interfaces), dict(actual.bridges)

    def change(name: str, **values: object) -> None:
        bridges[name] = replace(bridges[name], **values)

    for step in todo:
        name = step.subject
        match step.kind:
            case "add_bridge":
                assert name not in bridges
                bridges[name] = Found()
                links[name] = ""
            case "mark":
                change(name, mark=step.value)
            case "mtu":
                change(name, mtu=int(step.value))
            case "ipv6":
                change(name, ipv6=True)
            case "remove_address":
                change(name, addresses=bridges[name].addresses - {step.value})
            case "add_address":
                assert ":" not in step.value or bridges[name].ipv6
                change(name, addresses=bridges[name].addresses | {step.value})
            case "bridge_up":
                change(name, up=True)
            case "route_localnet":
                change(name, route_localnet=True)
            case "forward":
                actual = replace(actual, forwarding=True)
            case "forward6":
                actual = replace(actual, forwarding6=True)
            case "attach":
                links[name] = step.value
            case "delete_link":
                del links[name]
                bridges.pop(name, None)
            case "remove_netns":
                actual = replace(actual, netns=actual.netns - {name})
    return replace(actual, interfaces=tuple(links.items()), bridges=bridges)


FOUND = st.builds(
    Found,
    st.booleans(),
    st.frozensets(st.sampled_from(["10.88.0.1/16", "10.9.0.1/24", "fd00::1/64"])),
    st.booleans(),
    st.sampled_from(["", "mine", "jackstay network 1"]),
    st.sampled_from([1500, 1400]),
    st.booleans(),
)


@st.composite
def actuals(draw):
    bridges = draw(st.dictionaries(st.sampled_from([bridge.name for bridge in BRIDGES]), FOUND))
    if draw(st.booleans()):
        bridges[STALE] = Found(mark="jackstay network 9")
    links = draw(st.dictionaries(NAMES, st.sampled_from(["", "docker0", *bridges])))
    return Actual(
        bridges=bridges,
        forwarding=draw(st.booleans()),
        forwarding6=draw(st.booleans()),
        interfaces=(("eth0", ""), ("docker0", ""), *links.items(), *((name, "") for name in bridges)),
        netns=draw(st.frozensets(IDS)),
    )


@given(
    st.lists(st.sampled_from(BRIDGES), min_size=1, unique=True),
    st.dictionaries(NAMES, st.integers(0, 2)),
    st.frozensets(IDS),
    actuals(),
)
def test_the_steps_lead_to_what_is_wanted_and_touch_nothing_else(bridges, interfaces, netns, actual):
    wanted = {name: bridges[number % len(bridges)].name for name, number in interfaces.items()}
    there = dict(actual.interfaces)
    wanted = {name: bridge for name, bridge in wanted.items() if name in there}
    desired = Desired(tuple(bridges), wanted, netns)
    after = simulate(actual, steps(desired, actual))
    assert steps(desired, after) == []
    assert after.forwarding
    assert STALE not in after.bridges
    assert after.netns <= desired.netns
    for bridge in bridges:
        found = after.bridges[bridge.name]
        assert found.up
        assert found.mark == bridge.mark
        assert found.addresses == bridge.addresses
        assert found.route_localnet or bridge.internal
        assert after.forwarding6 or not bridge.address6
    links = dict(after.interfaces)
    for name, master in there.items():
        if name in wanted:
            assert links[name] == wanted[name]
        elif name in actual.bridges or master in actual.bridges:
            continue
        else:
            assert links[name] == master  # docker's pairs have names like ours
    assert not [name for name, master in links.items() if master in after.bridges and name not in wanted]


def test_a_bridge_of_somebody_else_stays():
    actual = Actual(bridges={"br0": Found(mark="mine")}, interfaces=(("br0", ""),), forwarding=True)
    assert ("delete_link", "br0") not in [
        (step.kind, step.subject) for step in steps(Desired((), {}, frozenset()), actual)
    ]


def test_overlapping_networks_of_the_host_are_named():
    others = (("podman0", "10.88.0.1/16"), ("eth0", "192.0.2.4/24"), ("wg0", "10.0.0.1/8"), ("eth0", "fd00::1/64"))
    assert overlaps("10.88.0.0/16", others) == [("podman0", "10.88.0.1/16"), ("wg0", "10.0.0.1/8")]
    assert overlaps("fd00::/48", others) == [("eth0", "fd00::1/64")]
