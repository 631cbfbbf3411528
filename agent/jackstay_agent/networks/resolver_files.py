"""The contents of a container's ``/etc/hosts`` and ``/etc/resolv.conf``. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.networks import addresses

FALLBACK = ("8.8.8.8", "8.8.4.4")
"""Docker's nameservers for a container when the host has none that it could reach."""


def hosts(hostname: str, addresses: Sequence[str], extra: Sequence[str] = (), *, host_gateway: str = "") -> str:
    """``/etc/hosts``: loopback, *extra* ("name:address", address may be ``host-gateway``), then the container itself.

    Without *addresses* (networks "host" and "none") the last is left out. Raises `InvalidArgument` for a malformed
    *extra*.
    """
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "ff00::0\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
    ]
    for entry in extra:
        name, target = split_extra(entry)
        if target == "host-gateway":
            if not host_gateway:
                raise InvalidArgument(f"{entry!r}: this network has no gateway", hint="give an address instead")
            target = host_gateway
        lines.append(f"{target}\t{name}")
    lines += [f"{address}\t{hostname}" for address in addresses]
    return "\n".join(lines) + "\n"


def split_extra(entry: str) -> tuple[str, str]:
    """The name and the address of one ``--add-host``, "name:address" or "name=address"; the address may be IPv6.

    Raises `InvalidArgument`.
    """
    separator = "=" if "=" in entry else ":"
    name, _, target = entry.partition(separator)
    target = target.removeprefix("[").removesuffix("]")
    if not name or any(character.isspace() or not character.isprintable() for character in name):
        raise InvalidArgument(f"{entry!r} is not a host and its address", hint="give NAME:ADDRESS")
    if target != "host-gateway":
        try:
            addresses.parse(target)
        except ValueError as error:
            raise InvalidArgument(f"{entry!r}: {target!r} is not an IP address", hint="give NAME:ADDRESS") from error
    return name, target


def source_of(text: str) -> str:
    """The host's file to read nameservers from, *text* being its ``/etc/resolv.conf``.

    With systemd-resolved that file names only the stub on loopback, which a container cannot reach; the servers behind
    it are in another.
    """
    stub = _nameservers(text) == ["127.0.0.53"]
    return "/run/systemd/resolve/resolv.conf" if stub else "/etc/resolv.conf"


def resolv_conf(
    host: str,
    dns: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    *,
    keep_loopback: bool = False,
) -> str:
    """``/etc/resolv.conf``: *dns*, *search* and *options* when given, else those of the *host*'s text.

    Loopback nameservers and ones with a zone are dropped, since in the container they would be somebody else; when none
    is left, docker's `FALLBACK` is used and a comment says so. *keep_loopback* is for the host's own network, where
    they are right. *search* ``["."]`` means none. Raises `InvalidArgument` for a malformed *dns*.
    """
    lines = []
    if dns:
        servers = [nameserver(server) for server in dns]
    else:
        servers = [server for server in _nameservers(host) if keep_loopback or _reachable(server)]
        if not servers and not keep_loopback:
            lines.append("# The host names no server that a container can reach; these are public ones.")
            servers = list(FALLBACK)
    lines += [f"nameserver {server}" for server in servers]
    domains = [domain for domain in search if domain != "."] if search else _last(host, "search", "domain")
    if domains:
        lines.append("search " + " ".join(domains))
    if options := options or _last(host, "options"):
        lines.append("options " + " ".join(options))
    return "\n".join(lines) + "\n"


def _words(text: str) -> list[list[str]]:
    lines = [line.split() for line in text.splitlines()]
    return [words for words in lines if len(words) > 1 and words[0][0] not in "#;"]


def _nameservers(text: str) -> list[str]:
    return [words[1] for words in _words(text) if words[0] == "nameserver"]


def _last(text: str, *keywords: str) -> list[str]:
    """What stands after the last line of *keywords*: resolv.conf(5), the last instance wins."""
    found = [words[1:] for words in _words(text) if words[0] in keywords]
    return found[-1] if found else []


def _reachable(server: str) -> bool:
    try:
        return "%" not in server and not ipaddress.ip_address(server).is_loopback
    except ValueError:
        return False


def nameserver(server: str) -> str:
    """*server* of ``--dns`` in its canonical form. Raises `InvalidArgument`."""
    try:
        return str(addresses.parse(server))
    except ValueError as error:
        raise InvalidArgument(f"{server!r} is not the IP address of a nameserver", hint="give --dns ADDRESS") from error
