"""Forgetting flows: the kernel translates a flow as it did the first packet of it, whatever the rules say later.

So a client that keeps sending from one UDP port would go on talking to nobody after a container was started, and to the
address of one that is gone after it was stopped; a TCP client of that one would hang instead of being refused. Best
effort: a kernel that does not tell its flows (nf_conntrack_netlink) keeps them until they time out.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable
from typing import Any

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

_DESTINATION_TRANSLATED = 1 << 5  # IPS_DST_NAT


def forget_ports(argument: Any, _descriptors: list[int]) -> None:
    """Job: forget the untranslated UDP flows to the ports in *argument* ``[[host address or "", port], …]``.

    Flows of this host's own to that port elsewhere are among them, which harms none: nothing is translated in them, so
    their next packet begins them anew.
    """
    with contextlib.suppress(NetlinkError, OSError), NFCTSocket() as flows:
        for address, port in argument:
            there = NFCTAttrTuple(proto=socket.IPPROTO_UDP, dport=port)

            def untranslated(orig: Any, reply: Any, address: str = address, port: int = port) -> bool:
                same = (orig.saddr, orig.daddr, orig.sport) == (reply.daddr, reply.saddr, reply.dport)
                return same and orig.dport == reply.sport == port and address in ("", orig.daddr)

            _forget(flows, flows.dump(tuple_orig=there), untranslated)


def forget_addresses(addresses: Iterable[str]) -> None:
    """Forget every flow to and from containers' *addresses*; for jobs."""
    with contextlib.suppress(NetlinkError, OSError), NFCTSocket() as flows:
        gone = set(addresses)
        for address in gone:
            _forget(flows, flows.dump(tuple_orig=NFCTAttrTuple(saddr=address)), lambda orig, _: orig.saddr in gone)
        # The kernel's own filter on the answering side does not work in every version, hence this one.
        translated = flows.dump(status=_DESTINATION_TRANSLATED, status_mask=_DESTINATION_TRANSLATED)
        _forget(flows, translated, lambda _, reply: reply.saddr in gone)


def _forget(flows: NFCTSocket, found: Iterable[Any], wanted: Callable[[Any, Any], bool]) -> None:
    """Delete those of *found* that are *wanted*, which is asked again, since an old kernel filters nothing."""
    for flow in list(found):
        orig = NFCTAttrTuple.from_netlink(socket.AF_INET, flow.get_attr("CTA_TUPLE_ORIG"))
        reply = NFCTAttrTuple.from_netlink(socket.AF_INET, flow.get_attr("CTA_TUPLE_REPLY"))
        if wanted(orig, reply):
            with contextlib.suppress(NetlinkError):  # ended by itself
                flows.entry("del", tuple_orig=orig)
