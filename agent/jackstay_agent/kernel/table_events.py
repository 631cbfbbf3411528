"""The kernel's messages about tables of the packet filter that come and go (nfnetlink, group NFNLGRP_NFTABLES).

Guarantees: every change after the object was made is told, or that some were lost. Only what a table's name needs is
parsed (linux/netfilter/nf_tables.h, nf_tables_msg_types; the name is attribute 1 of all of them).
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from jackstay_agent.kernel.readiness import readable

_NETLINK_NETFILTER = 12
_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_SO_RCVBUFFORCE = 33
_BUFFER = 8 << 20  # bytes; taken only while they are needed
_GROUP = 7  # NFNLGRP_NFTABLES
_SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
_KINDS = {_SUBSYSTEM << 8 | 0: False, _SUBSYSTEM << 8 | 2: True}  # NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE
_CONTENTS = {_SUBSYSTEM << 8 | kind: False for kind in (3, 5, 6, 8, 9, 11, 12, 14)}
# NFT_MSG_NEWCHAIN, DELCHAIN, NEWRULE, DELRULE, NEWSET, DELSET, NEWSETELEM, DELSETELEM
_NAME = 1  # NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, NFTA_SET_ELEM_LIST_TABLE
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_FAMILY_HEADER = 4  # struct nfgenmsg


@dataclass(frozen=True, slots=True)
class TableEvent:
    """A table was made or changed, or is `gone`. `family` is a number as ``AF_INET``."""

    family: int
    name: str
    gone: bool


class TableEvents:
    """A queue of events of this network namespace, with *contents* also of chains, rules, sets and maps: as changes of
    their table.

    Non-blocking and close-on-exec.
    """

    def __init__(self, *, contents: bool = False) -> None:
        """Raises `OSError` without the privilege, or on a kernel without nftables."""
        self._kinds = _KINDS | _CONTENTS if contents else _KINDS
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)
        try:
            with contextlib.suppress(OSError):  # what it holds by itself is less than what one batch may tell
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _GROUP)
        except BaseException:
            self._socket.close()
            raise

    async def wait(self) -> list[TableEvent] | None:
        """The events since the last call, waiting until there is something; None when some were lost."""
        while True:
            try:
                return parse(self._socket.recv(1 << 17), self._kinds)
            except BlockingIOError:
                await readable(self._socket.fileno())
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                return None

    def close(self) -> None:
        """End it."""
        self._socket.close()


def parse(data: bytes, kinds: Mapping[int, bool] = _KINDS) -> list[TableEvent]:
    """The events in one packet of netlink messages, of *kinds* (true for an end); others are passed over."""
    events, at = [], 0
    while at + _HEADER.size <= len(data):
        length, kind, _flags, _sequence, _port = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            break
        body = data[at + _HEADER.size : at + length]
        if kind in kinds and body:
            events.append(TableEvent(body[0], _name(body[_FAMILY_HEADER:]), kinds[kind]))
        at += length + -length % 4
    return events


def _name(attributes: bytes) -> str:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if length < _ATTRIBUTE.size:
            break
        if kind == _NAME:
            return attributes[at + _ATTRIBUTE.size : at + length].rstrip(b"\0").decode(errors="replace")
        at += length + -length % 4
    return ""
