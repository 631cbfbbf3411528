"""Which addresses may be connected to when somebody else chose the name. Pure.

The addresses that are looked at are those of the connection itself (`connecting`), so that a name which means one
address when it is checked and another one when it is used gains nothing.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether it is an address of the whole internet: not private, link-local, loopback, multicast or reserved."""
    address = _meant(text)
    return address is not None and address.is_global and not address.is_multicast


def is_neighbourly(text: str) -> bool:
    """Whether it may be the address of a storage in somebody's own network: public or private, and neither link-local,
    where clouds tell secrets of the machine, nor this machine's own."""
    address = _meant(text)
    return address is not None and not (
        address.is_link_local or address.is_loopback or address.is_unspecified or address.is_multicast
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own by what it says; names are not looked up."""
    address = _meant(host)
    return host.lower().rstrip(".") == "localhost" or (address is not None and address.is_loopback)


def _meant(text: str) -> Address | None:
    """The address; of an IPv6 one with an IPv4 one inside, that which packets get to."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
