"""What is said of other firewalls."""

from __future__ import annotations

import pytest

from jackstay.cli.output.firewalls import firewall_line, firewall_word


@pytest.mark.parametrize(
    ("tool", "chain", "opened", "line", "word"),
    [
        ("ufw", "ip filter ufw-user-forward", True, "ufw: accepts in ip filter ufw-user-forward", "ufw"),
        ("ufw", "ip filter x", False, "ufw: ip filter x drops, and has no accept", "!ufw"),
        ("", "inet mine fwd", False, "unknown: inet mine fwd drops, and has no accept", "!inet mine fwd"),
    ],
)
def test_told(tool: str, chain: str, opened: bool, line: str, word: str) -> None:
    item = {"Tool": tool, "Chain": chain, "Opened": opened}
    assert (firewall_line(item), firewall_word(item)) == (line, word)
