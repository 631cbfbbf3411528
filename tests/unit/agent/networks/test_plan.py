from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.networks.plan import Actual, Bridge, Desired, Step, overlaps, steps

BRIDGE = Bridge("jackstay0", "10.88.0.1/16", "02:42:0a:58:00:01")
NAMES = st.sampled_from([f"veth{number:07x}" for number in range(6)])
IDS = st.sampled_from(["a", "b", "c", "d"])


def simulate(actual: Actual, todo: list[Step]) -> Actual:
    """What `netlink.apply` does, on the value."""
    links = dict(actual.interfaces)
    for step in todo:
        match step.kind:
            case "add_bridge":
                assert not actual.exists
                actual = replace(actual, exists=True)
                links[step.subject] = ""
            case "remove_address":
                actual = replace(actual, addresses=actual.addresses - {step.value})
            case "add_address":
                actual = replace(actual, addresses=actual.addresses | {step.value})
            case "bridge_up":
                actual = replace(actual, up=True)
            case "route_localnet":
                actual = replace(actual, route_localnet=True)
            case "forward":
                actual = replace(actual, forwarding=True)
            case "attach":
                links[step.subject] = step.value
            case "delete_link":
                del links[step.subject]
            case "remove_netns":
                actual = replace(actual, netns=actual.netns - {step.subject})
    return replace(actual, interfaces=tuple(links.items()))


@st.composite
def actuals(draw):
    exists = draw(st.booleans())
    masters = st.sampled_from(["", "docker0", *(["jackstay0"] if exists else [])])
    links = draw(st.dictionaries(NAMES, masters))
    return Actual(
        exists=exists,
        up=exists and draw(st.booleans()),
        addresses=draw(st.frozensets(st.sampled_from(["10.88.0.1/16", "10.9.0.1/24"]))) if exists else frozenset(),
        route_localnet=exists and draw(st.booleans()),
        forwarding=draw(st.booleans()),
        interfaces=(("eth0", ""), *links.items(), *((("jackstay0", ""),) if exists else ())),
        netns=draw(st.frozensets(IDS)),
    )


@given(st.frozensets(NAMES), st.frozensets(IDS), actuals())
def test_the_steps_lead_to_what_is_wanted_and_touch_nothing_else(interfaces, netns, actual):
    desired = Desired(BRIDGE, interfaces, netns)
    after = simulate(actual, steps(desired, actual))
    assert steps(desired, after) == []
    assert after.exists
    assert after.up
    assert after.forwarding
    assert after.route_localnet
    assert after.addresses == {BRIDGE.address}
    assert after.netns <= desired.netns
    before, links = dict(actual.interfaces), dict(after.interfaces)
    for name, master in before.items():
        if name in interfaces:
            assert links[name] == "jackstay0"
        elif master == "jackstay0":
            assert name not in links
        else:
            assert links[name] == master  # docker's pairs have names like ours


def test_overlapping_networks_of_the_host_are_named():
    actual = Actual(others=(("podman0", "10.88.0.1/16"), ("eth0", "192.0.2.4/24"), ("wg0", "10.0.0.1/8")))
    assert overlaps(BRIDGE, actual) == [("podman0", "10.88.0.1/16"), ("wg0", "10.0.0.1/8")]
