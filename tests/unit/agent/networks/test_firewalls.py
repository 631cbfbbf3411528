"""What is put into other firewalls, from what they say they have. The effect is in `fleet/test_other_firewalls.py`."""

from __future__ import annotations

import json

import pytest

from jackstay_agent.networks.firewalls import Firewall, firewalld_changes, iptables_changes, seen

DOCKER = """-P INPUT ACCEPT
-P FORWARD DROP
-P OUTPUT ACCEPT
-N DOCKER
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -o br-0123456789ab -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER-USER -s 192.0.2.0/24 -m comment --comment "of jackstay" -j DROP
-A DOCKER-USER -j RETURN
"""
MARK = "-m comment --comment jackstay"
OURS = [
    f"-i j0 -o br-0123456789ab {MARK} -j RETURN",
    f"-i j0 -o docker0 {MARK} -j RETURN",
    f"-i j0 {MARK} -j ACCEPT",
    f"-o j0 {MARK} -j ACCEPT",
]


def lines(batch: bytes) -> list[str]:
    """The rules of a batch."""
    if not batch:
        return []
    first, *between, last = batch.decode().splitlines()
    assert (first, last) == ("*filter", "COMMIT")
    return between


def applied(listing: str, batch: bytes, chain: str) -> str:
    """What ``iptables -S`` says after *batch* was given to ``iptables-restore``."""
    before = listing.splitlines()
    rules = [line for line in before if line.startswith(f"-A {chain} ")]
    rest = [line for line in before if line not in rules]
    for line in lines(batch):
        kind, name, words = line.split(" ", 2)
        assert name == chain
        if kind == "-D":
            rules.remove(f"-A {chain} {words}")
        elif kind == "-A":
            rules.append(line)
        else:
            place, _, words = words.partition(" ")
            rules.insert(int(place) - 1, f"-A {chain} {words}")
    return "\n".join([*rest, *rules]) + "\n"


@pytest.mark.parametrize("comment", ["two\nlines", "\n-A DOCKER-USER -j RETURN\n", r"it\'s \"one\" \\", "a\rb\fc"])
def test_a_comment_of_somebody_elses_is_one_rule_whatever_is_in_it(comment: str):
    listing = DOCKER.replace("of jackstay", comment)
    assert iptables_changes("ip", listing, ["j0"]) == iptables_changes("ip", DOCKER, ["j0"])


def test_after_the_administrators_rules_and_before_dockers_return():
    batch, found = iptables_changes("ip", DOCKER, ["j0"])
    assert lines(batch) == [f"-I DOCKER-USER {place} {rule}" for place, rule in enumerate(OURS, start=2)]
    assert found == [Firewall("Docker", "ip filter DOCKER-USER", True)]
    after = applied(DOCKER, batch, "DOCKER-USER")
    assert after.splitlines()[-6:] == [
        '-A DOCKER-USER -s 192.0.2.0/24 -m comment --comment "of jackstay" -j DROP',
        *(f"-A DOCKER-USER {rule}" for rule in OURS),
        "-A DOCKER-USER -j RETURN",
    ]
    assert iptables_changes("ip", after, ["j0"]) == (b"", found)


def test_every_other_state_becomes_the_wanted_one():
    opened, _ = iptables_changes("ip", DOCKER, ["j0"])
    with_j0 = applied(DOCKER, opened, "DOCKER-USER")
    states = [
        with_j0.replace(f"-A DOCKER-USER {OURS[0]}\n", ""),  # a new network of Docker's
        with_j0.replace(f"-A DOCKER-USER {OURS[3]}\n", ""),  # somebody took one away
        DOCKER + "".join(f"-A DOCKER-USER {rule}\n" for rule in OURS),  # behind the return
        applied(DOCKER, iptables_changes("ip", DOCKER, ["j1", "j2"])[0], "DOCKER-USER"),
    ]
    for state in states:
        batch, _ = iptables_changes("ip", state, ["j0"])
        assert applied(state, batch, "DOCKER-USER") == with_j0
    for state in (*states, with_j0):
        batch, found = iptables_changes("ip", state, [])
        assert (applied(state, batch, "DOCKER-USER"), found) == (DOCKER, [])


def test_one_that_lets_everything_pass_gets_nothing_and_keeps_nothing():
    open_policy = DOCKER.replace("-P FORWARD DROP", "-P FORWARD ACCEPT")
    assert iptables_changes("ip", open_policy, ["j0"]) == (b"", [])
    left = open_policy + f"-A DOCKER-USER {OURS[2]}\n"
    assert lines(iptables_changes("ip", left, ["j0"])[0]) == [f"-D DOCKER-USER {OURS[2]}"]


@pytest.mark.parametrize(
    ("family", "chain", "tool"),
    [
        ("ip", "ufw-user-forward", "ufw"),
        ("ip6", "ufw6-user-forward", "ufw"),
        ("ip", "FORWARD_direct", "firewalld"),
        ("ip6", "DOCKER-USER", "Docker"),
    ],
)
def test_the_place_that_each_program_has(family: str, chain: str, tool: str):
    listing = f"-P FORWARD DROP\n-N {chain}\n-A {chain} -i eth0 -j LOG\n"
    batch, found = iptables_changes(family, listing, ["j0"])
    assert lines(batch) == [f"-A {chain} {rule}" for rule in OURS[2:]]
    assert found == [Firewall(tool, f"{family} filter {chain}", True)]


@pytest.mark.parametrize("end", ["-j DROP", "-j REJECT --reject-with icmp-host-prohibited"])
def test_a_last_rule_that_drops_counts_as_a_policy(end: str):
    listing = f"-P FORWARD ACCEPT\n-N FORWARD_direct\n-A FORWARD -j FORWARD_direct\n-A FORWARD {end}\n"
    assert [each.opened for each in iptables_changes("ip", listing, ["j0"])[1]] == [True]
    assert iptables_changes("ip", listing.replace("FORWARD_direct", "mine"), ["j0"]) == (
        b"",
        [Firewall("", "ip filter FORWARD", False)],
    )
    assert iptables_changes("ip", listing.replace("FORWARD_direct", "mine"), []) == (b"", [])


def firewalld(*rules: tuple[str, str, str]) -> bytes:
    """What nft lists: rules as (comment, key, interface), with handles from 10 on."""
    listed: list[dict[str, object]] = [{"metainfo": {}}, {"chain": {"name": "filter_FORWARD"}}]
    for handle, (comment, key, name) in enumerate(rules, start=10):
        match = {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": name}}
        rule: dict[str, object] = {"handle": handle, "expr": [match, {"accept": None}]}
        listed.append({"rule": rule | ({"comment": comment} if comment else {})})
    return json.dumps({"nftables": listed}).encode()


def test_firewallds_own_table():
    batch = json.loads(firewalld_changes(firewalld(("", "iifname", "lo")), ["j0"]))["nftables"]
    inserted = [each["insert"]["rule"] for each in batch]
    assert [(rule["expr"][0]["match"]["left"], rule["comment"]) for rule in inserted] == [
        ({"meta": {"key": "oifname"}}, "jackstay"),  # the last one is first in the chain
        ({"meta": {"key": "iifname"}}, "jackstay"),
    ]
    ours = [("jackstay", "iifname", "j0"), ("jackstay", "oifname", "j0")]
    assert firewalld_changes(firewalld(*ours, ("", "iifname", "lo")), ["j0"]) == b""
    removed = json.loads(firewalld_changes(firewalld(("", "iifname", "lo"), *ours), []))["nftables"]
    assert [each["delete"]["rule"]["handle"] for each in removed] == [11, 12]
    assert firewalld_changes(firewalld(), []) == b""


def test_what_a_host_has():
    def chain(family: str, table: str, name: str, **fields: str) -> dict[str, object]:
        return {"chain": {"family": family, "table": table, "name": name, **fields}}

    listed = [
        {"metainfo": {}},
        chain("ip", "jackstay", "forward", hook="forward", policy="accept"),
        chain("ip", "filter", "FORWARD", hook="forward", policy="drop"),
        chain("inet", "firewalld", "filter_FORWARD", hook="forward", policy="accept"),
        chain("inet", "mine", "fwd", hook="forward", policy="drop"),
        chain("bridge", "mine", "fwd", hook="forward", policy="drop"),
        chain("inet", "mine", "in", hook="input", policy="drop"),
    ]
    found = seen(json.dumps({"nftables": listed}).encode())
    assert (found.iptables, found.firewalld, found.unknown) == ({"ip"}, True, ("inet mine fwd",))
    nothing = seen(b"")
    assert (nothing.iptables, nothing.firewalld, nothing.unknown) == (frozenset(), False, ())
