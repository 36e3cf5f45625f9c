"""Network addresses: who counts as one place, and who is near."""

from __future__ import annotations

import ipaddress


def place_of(address: str) -> str:
    """What counts as one place: an IPv4 address, or the /64 network that an IPv6 subscriber has to themselves.

    Text that is no address is a place of its own.
    """
    found = _parse(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found.packed, 64), strict=False))
    return str(found) if found else address


def is_near(address: str) -> bool:
    """Whether this is the machine itself or somebody in its private network."""
    found = _parse(address)
    return found is not None and not found.is_global


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is no address; IPv4 in the clothes of IPv6 comes out as IPv4."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
