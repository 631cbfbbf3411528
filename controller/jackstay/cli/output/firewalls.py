"""Other firewalls of a host that drop forwarded packets, as ``info`` and ``host check`` tell of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def firewall_line(item: Mapping[str, Any]) -> str:
    """``Docker: accepts in ip filter DOCKER-USER``, ``unknown: ip mine forward drops``."""
    doing = f"accepts in {item['Chain']}" if item["Opened"] else f"{item['Chain']} drops, and has no accept"
    return f"{item['Tool'] or 'unknown'}: {doing}"


def firewall_word(item: Mapping[str, Any]) -> str:
    """``Docker``, or ``!ip mine forward`` when containers may not get through."""
    return str(item["Tool"]) if item["Opened"] else f"!{item['Tool'] or item['Chain']}"
