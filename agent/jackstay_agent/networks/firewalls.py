"""Other programs' packet filters that drop forwarded packets, and the accepts that let containers' packets pass. Pure.

An accept in the agent's own table does not help against a drop in another one: the kernel asks every table. So where
Docker, ufw or firewalld drop what is forwarded, the accepts go to the place that each keeps for such rules, with the
comment "jackstay" by which they are known again. They open no way to a container: what may come in is still decided by
the agent's own table (`ruleset`). Of what a rule here does, everything else of the other program's is left as it is:

- Docker: the chain ``DOCKER-USER``, after the administrator's rules. A packet for a bridge of Docker's returns from
  there, since Docker decides who reaches its containers.
- ufw: the chain ``ufw-user-forward`` (``ufw6-user-forward``), where the rules of ``ufw route`` are.
- firewalld with iptables: the chain ``FORWARD_direct``, of its direct rules. With nftables: the head of the chain
  ``filter_FORWARD`` in its table.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

COMMENT = "jackstay"

FIREWALLD = ("inet", "firewalld", "filter_FORWARD")

_IPTABLES_CHAINS = {
    "ip": (("Docker", "DOCKER-USER"), ("ufw", "ufw-user-forward"), ("firewalld", "FORWARD_direct")),
    "ip6": (("Docker", "DOCKER-USER"), ("ufw", "ufw6-user-forward"), ("firewalld", "FORWARD_direct")),
}
_MARK = ["-m", "comment", "--comment", COMMENT]

_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Firewall:
    """Somebody else's chain that drops forwarded packets."""

    tool: str  # "Docker", "ufw", "firewalld"; "" for one that is not known
    chain: str  # where the accepts are, or the chain that drops: "ip filter DOCKER-USER"
    opened: bool  # the accepts are there


@dataclass(frozen=True, slots=True)
class Seen:
    """Which packet filters a host has, of those that matter here."""

    iptables: frozenset[str]  # "ip", "ip6": families with a table of iptables' that has a FORWARD chain
    firewalld: bool
    unknown: tuple[str, ...]  # other chains that drop forwarded packets by their policy


def seen(chains: bytes) -> Seen:
    """What ``nft -j list chains`` says."""
    iptables, unknown, firewalld = set(), [], False
    for each in json.loads(chains or b'{"nftables": []}')["nftables"]:
        chain = each.get("chain")
        if chain is None:
            continue
        place = (chain["family"], chain["table"], chain["name"])
        if place == FIREWALLD:
            firewalld = True
        elif chain["family"] in _IPTABLES_CHAINS and place[1:] == ("filter", "FORWARD"):
            iptables.add(chain["family"])
        elif chain.get("hook") == "forward" and chain.get("policy") == "drop" and chain["family"] in ("ip", "inet"):
            unknown.append(" ".join(place))
    return Seen(frozenset(iptables), firewalld, tuple(unknown))


def iptables_changes(family: str, listing: str, bridges: Sequence[str]) -> tuple[bytes, list[Firewall]]:
    """What to give to ``iptables-restore --noflush``, b"" when nothing is to be done, and what it opens.

    *listing* is what ``iptables -S`` says of the table ``filter``; without *bridges* every mark is taken away.
    """
    policy, chains = _parse(listing)
    found = [(tool, chain) for tool, chain in _IPTABLES_CHAINS[family] if chain in chains]
    dropping = policy == "DROP" or any(words in (["-j", "DROP"], ["-j", "REJECT"]) for words in _ends(chains))
    lines, opened = [], []
    for tool, chain in found:
        wanted = _accepts(bridges, _dockers(chains) if tool == "Docker" else []) if dropping else []
        lines += _changes(chain, chains[chain], wanted)
        if wanted:
            opened.append(Firewall(tool, f"{family} filter {chain}", True))
    if dropping and bridges and not found:
        opened.append(Firewall("", f"{family} filter FORWARD", False))
    text = "".join(f"{line}\n" for line in lines)
    return f"*filter\n{text}COMMIT\n".encode() if lines else b"", opened


def firewalld_changes(chain: bytes, bridges: Sequence[str]) -> bytes:
    """What to give to ``nft -j -f -``, b"" when nothing is to be done; *chain* is what ``nft -j list chain`` says."""
    family, table, name = FIREWALLD
    place = {"family": family, "table": table, "chain": name}
    wanted = [_interface(key, bridge) for bridge in bridges for key in ("iifname", "oifname")]
    marked = [
        each["rule"]
        for each in json.loads(chain or b'{"nftables": []}')["nftables"]
        if each.get("rule", {}).get("comment") == COMMENT
    ]
    if [rule["expr"][0] for rule in marked] == wanted:
        return b""
    commands: list[_Json] = [{"delete": {"rule": {**place, "handle": rule["handle"]}}} for rule in marked]
    # Each goes before the ones that were inserted before it.
    commands += [
        {"insert": {"rule": {**place, "expr": [match, {"accept": None}], "comment": COMMENT}}}
        for match in reversed(wanted)
    ]
    return json.dumps({"nftables": commands}).encode()


def _parse(listing: str) -> tuple[str, dict[str, list[list[str]]]]:
    """The policy of FORWARD, and each chain's rules as words, without ``-A CHAIN``."""
    policy = ""
    chains: dict[str, list[list[str]]] = {}
    for words in _rules(listing):
        if words[:2] == ["-P", "FORWARD"]:
            policy = words[2]
        if words[:1] in (["-P"], ["-N"]):
            chains.setdefault(words[1], [])
        elif words[:1] == ["-A"]:
            chains.setdefault(words[1], []).append(words[2:])
    return policy, chains


def _rules(listing: str) -> Iterable[list[str]]:
    """The words of each rule: one a line, but that somebody's comment may have ends of lines in it."""
    begun = ""
    for line in listing.split("\n"):
        begun += line
        try:
            words = shlex.split(begun)
        except ValueError:  # a quotation goes on
            begun += "\n"
            continue
        yield words
        begun = ""


def _ends(chains: dict[str, list[list[str]]]) -> Iterable[list[str]]:
    return (words[:2] for words in chains.get("FORWARD", []))


def _dockers(chains: dict[str, list[list[str]]]) -> list[str]:
    """Docker's bridges, which are those whose packets it sends to its chain of published ports."""
    every = (words for rules in chains.values() for words in rules)
    return sorted({words[1] for words in every if words[:1] == ["-o"] and words[-2:] == ["-j", "DOCKER"]})


def _accepts(bridges: Iterable[str], dockers: Sequence[str]) -> list[list[str]]:
    rules = []
    for bridge in bridges:
        rules += [["-i", bridge, "-o", docker, *_MARK, "-j", "RETURN"] for docker in dockers]
        rules += [["-i", bridge, *_MARK, "-j", "ACCEPT"], ["-o", bridge, *_MARK, "-j", "ACCEPT"]]
    return rules


def _changes(chain: str, rules: Sequence[list[str]], wanted: Sequence[list[str]]) -> list[str]:
    """The lines that make *chain*, which has *rules*, have *wanted* as the marked ones."""
    marked = [words for words in rules if _is_marked(words)]
    others = [words for words in rules if not _is_marked(words)]
    first = next((place for place, words in enumerate(rules) if _is_marked(words)), 0)
    if marked == list(wanted) and ["-j", "RETURN"] not in rules[:first]:
        return []
    lines = [shlex.join(["-D", chain, *words]) for words in marked]
    if others and others[-1] == ["-j", "RETURN"]:  # how Docker ends its chain
        return lines + [
            shlex.join(["-I", chain, str(place), *words]) for place, words in enumerate(wanted, start=len(others))
        ]
    return lines + [shlex.join(["-A", chain, *words]) for words in wanted]


def _is_marked(words: Sequence[str]) -> bool:
    return any(list(words[at : at + len(_MARK)]) == _MARK for at in range(len(words)))


def _interface(key: str, bridge: str) -> _Json:
    return {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": bridge}}
