"""Telling systemd that the agent is ready (sd_notify(3)); nothing when no manager asked."""

from __future__ import annotations

import os
import socket


def ready() -> None:
    """Say READY=1 on the socket that ``NOTIFY_SOCKET`` names."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.connect(address)
        manager.sendall(b"READY=1")
