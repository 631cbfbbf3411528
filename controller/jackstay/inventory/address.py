"""Addresses written instead of an inventory name: ``[user@]host[:port]``, ``[user@][IPv6][:port]`` (pure)."""

from __future__ import annotations

import re
from typing import NamedTuple

from jackstay.errors import UsageError

_ADDRESS = r"(?:(?P<user>[^@]+)@)?(?:\[(?P<six>[^\[\]]*:[^\[\]]*)\]|(?P<host>[^@]*?))(?::(?P<port>\d+))?"
_NUMBER_OR_NAME = r"[\w.%*?\[\]/,-]+"


class Address(NamedTuple):
    """``host`` may still be a NodeSet (``deploy@web[1-3]:2222``) unless it is an IPv6 address."""

    host: str
    user: str | None = None
    port: int | None = None
    is_ipv6: bool = False

    def written(self, host: str) -> str:
        """The address of one host of the set, as a user would write it."""
        name = f"[{host}]" if self.is_ipv6 else host
        return f"{self.user + '@' if self.user else ''}{name}{f':{self.port}' if self.port else ''}"


def is_address(item: str) -> bool:
    """Whether one item of a set is more than a name: it has a user, a port or is IPv6. Groups (``@web``) are not."""
    return not item.startswith("@") and ("@" in item or ":" in item)


def parse_address(item: str) -> Address:
    """Read an address. Raises :class:`~jackstay.errors.UsageError`; a bare IPv6 address is one."""
    user, at, rest = item.rpartition("@")
    if _is_ipv6(rest) or (rest.count(":") > 1 and not rest.startswith("[")):
        bracketed = f"{user}{at}[{rest}]"
        raise UsageError(
            f"'{item}': an IPv6 address needs brackets",
            hint=f"write '{bracketed}' or '{bracketed}:22'",
        )
    found = re.fullmatch(_ADDRESS, item)
    if found is None or not (found["six"] or found["host"]):
        raise UsageError(f"'{item}' is not a host", hint="write a name, user@host, user@host:port or user@[IPv6]:port")
    if found["user"] and (found["user"].startswith("-") or not found["user"].isprintable() or " " in found["user"]):
        raise UsageError(f"'{item}': '{found['user']}' is not a user name")
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"'{item}': {port} is not a port", hint="ports are 1 to 65535")
    if found["six"]:
        if not _is_ipv6(found["six"]):
            raise UsageError(f"'{item}': '{found['six']}' is not an IPv6 address")
        return Address(found["six"], found["user"], port, is_ipv6=True)
    if not re.fullmatch(_NUMBER_OR_NAME, found["host"]) or found["host"].startswith("-"):
        raise UsageError(f"'{item}': '{found['host']}' is not a host name")
    return Address(found["host"], found["user"], port)


def _is_ipv6(text: str) -> bool:
    from ipaddress import IPv6Address

    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
