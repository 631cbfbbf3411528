"""Capabilities: their names, docker's default set, and what ``--cap-add`` and its kin make of it. Pure.

The rules are those of moby's ``oci/caps`` (TweakCapabilities).
"""

from __future__ import annotations

from collections.abc import Iterable

from jackstay_agent.errors import InvalidArgument, Unsupported

ALL = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""Every capability, at its number in ``linux/capability.h``."""

DEFAULT: tuple[str, ...] = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)
"""Docker's default set."""


def from_mask(mask: int) -> frozenset[str]:
    """The names in a mask as ``/proc/PID/status`` has it; bits that have no name here are passed over."""
    return frozenset(name for number, name in enumerate(ALL) if mask >> number & 1)


def normalize(name: str) -> str:
    """*name* as "CAP_…" or "ALL", from any case, with or without "CAP_". Raises `InvalidArgument`."""
    upper = name.strip().upper()
    if upper in ("ALL", "CAP_ALL"):
        return "ALL"
    full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
    if full not in ALL:
        raise InvalidArgument(f"unknown capability {name[:40]!r}", hint="see capabilities(7) for the names")
    return full


def effective(
    add: Iterable[str], drop: Iterable[str], *, privileged: bool, available: frozenset[str]
) -> tuple[str, ...]:
    """The capabilities of a container, in the order of their numbers.

    A default that the host does not have is left out; one that was asked for by name is an error.

    Raises:
        InvalidArgument: a name is not one.
        Unsupported: a capability was asked for that the agent itself does not have.
    """
    added = {normalize(name) for name in add}
    dropped = {normalize(name) for name in drop}
    if privileged:
        wanted = set(ALL)
    elif "ALL" in added:
        wanted = set(ALL) - dropped
    elif "ALL" in dropped:
        wanted = added
    else:
        wanted = (set(DEFAULT) - dropped) | added
    missing = sorted((added - {"ALL"}) - available) if not privileged else []
    if missing:
        raise Unsupported(
            f"capability not supported by this host's kernel or not available to the agent: {', '.join(missing)}"
        )
    return tuple(name for name in ALL if name in wanted and name in available)
