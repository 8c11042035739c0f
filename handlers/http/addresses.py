"""Which addresses are public, and so open to jobs without being named in a setting."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Network = IPv4Network | IPv6Network

# IANA's special-purpose registries, multicast, and what is reserved. Written out, since what
# `is_global` answers depends on the version of Python.
_INSIDE_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' own networks
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays to IPv6
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "168.63.129.16",  # public by its number, but each Azure machine's own host
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")  # all that is given out; the rest is local or reserved
_INSIDE_6 = tuple(
    IPv6Network(text)
    # Special purposes with Teredo, documentation (twice), and 6to4, which carries any IPv4.
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_NAT64 = IPv6Network("64:ff9b::/96")  # how a machine with IPv6 only reaches IPv4


def inner_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def is_public(inner: IPv4Address | IPv6Address) -> bool:
    """Whether an address, as ``inner_address`` gave it, is one of the public internet."""
    if isinstance(inner, IPv4Address):
        return not any(inner in network for network in _INSIDE_4)
    return inner in _PUBLIC_6 and not any(inner in network for network in _INSIDE_6)
