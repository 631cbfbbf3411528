"""Which proxy the environment names for a URL: ``http_proxy``, ``https_proxy``, ``no_proxy``, in either case. Pure.

This machine itself is never asked by way of a proxy. ``no_proxy`` may list names (which mean what is below them, too),
``host:port``, addresses, networks (``10.0.0.0/8``) and ``*``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry.addresses import is_loopback


def proxy(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy's URL, which may hold a password; ``None``: ask straight.

    Raises:
        RegistryFailed: the environment names one that is none of HTTP.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    variable = f"{parts.scheme}_proxy"
    named = _value(environ, variable)
    if not named or is_loopback(host) or any(_covers(entry, host, port) for entry in _entries(environ)):
        return None
    named = named if "://" in named else f"http://{named}"
    if urlsplit(named).scheme not in ("http", "https") or not urlsplit(named).hostname:
        raise RegistryFailed(f"the variable {variable} names no proxy of HTTP", hint="http://HOST:PORT")
    return named


def _value(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _entries(environ: Mapping[str, str]) -> list[str]:
    return [entry.strip().lower() for entry in _value(environ, "no_proxy").split(",") if entry.strip()]


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    name, _, only = entry.rpartition(":") if entry.count(":") == 1 or "]:" in entry else (entry, "", "")
    name = name.strip("[]").removeprefix("*").removeprefix(".")
    return (not only or only == str(port)) and (host == name or host.endswith(f".{name}"))
