"""Hosts and groups: where they are written, and which of them a command means."""

from jackstay.inventory.default_hosts import DefaultHosts, default_hosts
from jackstay.inventory.host import AGENT_SOCKET, Host, local_host
from jackstay.inventory.inventory import Inventory
from jackstay.inventory.last_failed import last_failed_path, read_last_failed, write_last_failed

__all__ = [
    "AGENT_SOCKET",
    "DefaultHosts",
    "Host",
    "Inventory",
    "default_hosts",
    "last_failed_path",
    "local_host",
    "read_last_failed",
    "write_last_failed",
]
