"""Rule sets of other programs, as far as they concern what is forwarded: the names and the order are theirs.

Each one's ``load`` is what the program's start does, and ``reload`` what its reload does.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.host import Host


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The text that a program gives to another one at its start and at its reload."""

    tool: str
    place: str  # where the accepts belong
    program: tuple[str, ...]
    start: str
    again: str
    closes_published: bool = True  # also for packets that come in by a published port

    def load(self, host: Host) -> None:
        """Start it."""
        self._give(host, self.start)

    def reload(self, host: Host) -> None:
        """Have it take away what somebody else has added, and its own, and make its own again."""
        self._give(host, self.again)

    def _give(self, host: Host, text: str) -> None:
        given = host.exec(list(self.program), input=text)
        assert given.returncode == 0, given.stderr


UFW = RuleSet(
    "ufw",
    "ip filter ufw-user-forward",
    ("iptables-restore", "--noflush"),
    """*filter
:FORWARD DROP [0:0]
:ufw-before-logging-forward - [0:0]
:ufw-before-forward - [0:0]
:ufw-after-forward - [0:0]
:ufw-after-logging-forward - [0:0]
:ufw-reject-forward - [0:0]
:ufw-track-forward - [0:0]
:ufw-user-forward - [0:0]
:ufw-user-logging-forward - [0:0]
-A FORWARD -j ufw-before-logging-forward
-A FORWARD -j ufw-before-forward
-A FORWARD -j ufw-after-forward
-A FORWARD -j ufw-after-logging-forward
-A FORWARD -j ufw-reject-forward
-A FORWARD -j ufw-track-forward
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -p icmp --icmp-type 3 -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
-A ufw-user-forward -i eth0 -d 192.0.2.9 -p tcp --dport 25 -j DROP -m comment --comment "not jackstay"
COMMIT
""",
    """*filter
:ufw-user-forward - [0:0]
-A ufw-user-forward -i eth0 -d 192.0.2.9 -p tcp --dport 25 -j DROP -m comment --comment "not jackstay"
COMMIT
""",
)

UFW6 = RuleSet(
    "ufw",
    "ip6 filter ufw6-user-forward",
    ("ip6tables-restore", "--noflush"),
    """*filter
:FORWARD DROP [0:0]
:ufw6-before-forward - [0:0]
:ufw6-user-forward - [0:0]
-A FORWARD -j ufw6-before-forward
-A ufw6-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw6-before-forward -j ufw6-user-forward
COMMIT
""",
    """*filter
:ufw6-user-forward - [0:0]
COMMIT
""",
)

_FIREWALLD = """add table inet firewalld
delete table inet firewalld
table inet firewalld {
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname "lo" accept
        ct state { invalid } drop
        jump filter_FORWARD_ZONES
        reject with icmpx type admin-prohibited
    }
    chain filter_FORWARD_ZONES {
        iifname "eth0" goto filter_FWD_public
        goto filter_FWD_public
    }
    chain filter_FWD_public {
        jump filter_FWD_public_allow
        reject with icmpx type admin-prohibited
    }
    chain filter_FWD_public_allow {
    }
}
"""
FIREWALLD = RuleSet(
    "firewalld", "inet firewalld filter_FORWARD", ("nft", "-f", "-"), _FIREWALLD, _FIREWALLD, closes_published=False
)

_FIREWALLD_IPTABLES = """*filter
:FORWARD ACCEPT [0:0]
:FORWARD_direct - [0:0]
:FORWARD_ZONES - [0:0]
:FWD_public - [0:0]
-F FORWARD
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
-A FORWARD -i lo -j ACCEPT
-A FORWARD -j FORWARD_direct
-A FORWARD -j FORWARD_ZONES
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
-A FORWARD_ZONES -i eth0 -g FWD_public
-A FORWARD_ZONES -g FWD_public
COMMIT
"""
FIREWALLD_IPTABLES = RuleSet(
    "firewalld",
    "ip filter FORWARD_direct",
    ("iptables-restore", "--noflush"),
    _FIREWALLD_IPTABLES,
    _FIREWALLD_IPTABLES,
    closes_published=False,
)
