"""When other firewalls are looked at, and what is done where their rules cannot be changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jackstay_agent.kernel.programs import Completed
from jackstay_agent.networks import opening
from jackstay_agent.networks.firewalls import Firewall
from jackstay_agent.networks.opening import OtherFirewalls

FIREWALLD = json.dumps(
    {"nftables": [{"chain": {"family": "inet", "table": "firewalld", "name": "filter_FORWARD"}}]}
).encode()
OWNED = Completed(1, b"", b"Error: Operation not permitted\n")
PLACE = "inet firewalld filter_FORWARD"


class Programs:
    """Answers by what *answer* says of a command line; None is success without a word."""

    def __init__(self, answer: Callable[[list[str]], Completed | None]) -> None:
        self.answer = answer
        self.ran: list[list[str]] = []

    async def run(self, argv, *, stdin: bytes = b"", timeout: float = 60.0, cwd: str | None = None) -> Completed:
        self.ran.append(list(argv))
        return self.answer(list(argv)) or Completed(0, b"", b"")


@pytest.fixture(autouse=True)
def _no_older_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's are not looked at."""
    monkeypatch.setattr(opening, "_LEGACY_TABLES", {})


async def test_a_table_that_firewalld_owns_is_left_and_the_bridges_are_trusted() -> None:
    trusted: set[str] = set()

    def answer(argv: list[str]) -> Completed | None:
        if argv[:3] == ["nft", "-j", "list"]:
            return Completed(0, FIREWALLD, b"")
        if argv[0] == "nft":
            return OWNED
        option, _, bridge = argv[-1].partition("=")
        if option == "--query-interface":
            return Completed(int(bridge not in trusted), b"", b"")
        trusted.add(bridge)
        return None

    programs = Programs(answer)
    others = OtherFirewalls(programs)
    await others.follow({"ip": ["j0", "j1"], "ip6": ["j1"]})
    assert trusted == {"j0", "j1"}
    assert others.found == [Firewall("firewalld", PLACE, True)]
    changes = ["firewall-cmd", "--zone=trusted", "--change-interface=j0"]
    assert programs.ran.count(changes) == 1
    await others.look()
    assert programs.ran.count(changes) == 1


async def test_one_that_cannot_be_opened_is_told_of() -> None:
    def answer(argv: list[str]) -> Completed | None:
        if argv[:3] == ["nft", "-j", "list"]:
            return Completed(0, FIREWALLD, b"")
        return OWNED

    others = OtherFirewalls(Programs(answer))
    await others.follow({"ip": ["j0"]})
    assert others.found == [Firewall("firewalld", PLACE, False)]


async def test_it_looks_when_the_networks_change_and_at_no_start_of_a_container() -> None:
    programs = Programs(lambda argv: None)
    others = OtherFirewalls(programs)
    await others.look()
    assert programs.ran == []  # before it is told which networks there are
    for bridges, looks in [({"ip": ["j0"]}, 1), ({"ip": ["j0"]}, 1), ({"ip": ["j0", "j1"]}, 2), ({"ip": []}, 3)]:
        await others.follow(bridges)
        assert len(programs.ran) == looks
    assert others.found == []


async def test_refused_rules_and_programs_that_are_not_there_harm_nothing() -> None:
    table = json.dumps({"nftables": [{"chain": {"family": "ip", "table": "filter", "name": "FORWARD"}}]}).encode()
    refused = Completed(1, b"", b"no")
    listing = Completed(0, b"-P FORWARD DROP\n-N DOCKER-USER\n", b"")

    def answer(argv: list[str]) -> Completed | None:
        if argv[0] == "nft":
            return Completed(0, table, b"")
        return refused if "-restore" in argv[0] else listing

    others = OtherFirewalls(Programs(answer))
    await others.follow({"ip": ["j0"]})
    assert others.found == [Firewall("Docker", "ip filter DOCKER-USER", False)]
    listing = refused
    await others.look()
    assert others.found == []


async def test_the_older_tables_are_changed_by_the_program_that_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tmp_path / "ip_tables_names"
    names.write_text("nat\nfilter\n")
    monkeypatch.setattr(opening, "_LEGACY_TABLES", {"ip": names, "ip6": tmp_path / "none"})
    installed = {"iptables-legacy"}
    monkeypatch.setattr("shutil.which", lambda name: name if name in installed else None)

    def answer(argv: list[str]) -> Completed | None:
        return Completed(0, b"-P FORWARD DROP\n-N DOCKER-USER\n", b"") if argv[-1] == "-S" else None

    for program in ("iptables-legacy", "iptables"):
        programs = Programs(answer)
        others = OtherFirewalls(programs)
        await others.follow({"ip": ["j0"]})
        assert [argv[0] for argv in programs.ran] == ["nft", program, f"{program}-restore"]
        assert others.found == [Firewall("Docker", "ip filter DOCKER-USER", True)]
        installed.clear()


async def test_what_nobody_can_read_is_logged_and_harms_nothing_else() -> None:
    others = OtherFirewalls(Programs(lambda _argv: Completed(0, b"{", b"")))
    await others.follow({"ip": ["j0"], "ip6": []})
    assert others.found == []
