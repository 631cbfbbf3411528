"""A container's own /etc/hosts, /etc/resolv.conf and /etc/hostname: files in its bundle, mounted into it. Blocking.

Whom it asks for names may change while it runs, as with the first network that has names: then the file is written
anew where it is, since what is mounted is the file and not its name. One that the container has changed is its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from jackstay_agent.containers.settings import Settings
from jackstay_agent.networks.attachment import Attachment
from jackstay_agent.networks.resolver_files import hosts, resolv_conf, source_of

FILES = {"/etc/hosts": "hosts", "/etc/resolv.conf": "resolv.conf", "/etc/hostname": "hostname"}
"""Where they appear in the container, and what they are called in its bundle."""

_GIVEN = "resolv.conf.given"
"""What the agent has written to resolv.conf, to see whether the container has changed it."""


def write(bundle: str, settings: Settings, attachment: Attachment) -> None:
    """Write them into *bundle*, before its start. Raises `InvalidArgument` for malformed *settings*."""
    # Who is asked for containers' names passes the others on, to those of --dns if there are some.
    servers = attachment.nameservers or settings.dns
    of_host = attachment.network == "host"
    resolver = _resolver(settings, servers, host_network=of_host)
    gateway = "127.0.0.1" if of_host else attachment.gateway
    texts = {
        "hosts": hosts(settings.hostname, attachment.addresses, settings.add_host, host_gateway=gateway),
        "resolv.conf": resolver,
        _GIVEN: resolver,
        "hostname": f"{settings.hostname}\n",
    }
    for name, text in texts.items():
        with open(os.path.join(bundle, name), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)


def ask(bundle: str, settings: Settings, nameservers: Sequence[str]) -> None:
    """Let the container of *bundle*, which runs, ask *nameservers* (none: those of its settings, or the host's)."""
    path, given = os.path.join(bundle, "resolv.conf"), os.path.join(bundle, _GIVEN)
    try:
        with open(given, "rb") as file:
            before = file.read()
    except FileNotFoundError:
        return  # started by an agent that kept none
    text = _resolver(settings, nameservers or settings.dns, host_network=False).encode()
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if text == before or os.pread(descriptor, len(before) + 1, 0) != before:
            return
        os.pwrite(descriptor, text, 0)
        os.ftruncate(descriptor, len(text))
    finally:
        os.close(descriptor)
    with open(given, "wb") as file:
        file.write(text)


def _resolver(settings: Settings, servers: Sequence[str], *, host_network: bool) -> str:
    source = "/etc/resolv.conf"
    text = _read(source)
    if not host_network and (better := source_of(text)) != source:
        text = _read(better)
    return resolv_conf(text, servers, settings.dns_search, settings.dns_options, keep_loopback=host_network)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
