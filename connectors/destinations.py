"""Where a webhook may connect to: public addresses, and what the operator allows besides (the SSRF guard).

The check is made on the address of the very socket that connects, after name resolution, so that neither a name with
a private address, nor a name that changes its address between check and use, nor a literal gets past it.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from schemas.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_ASSIGNED_V6 = IPv6Network("2000::/3")
"""Global unicast; everything else in IPv6 is local, multicast, a transition mechanism or unassigned."""

_NOT_PUBLIC: tuple[Network, ...] = (
    IPv4Network("168.63.129.16/32"),  # the host that every virtual machine of Azure reaches under this address
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments; Oracle's cloud has its metadata service there
    IPv4Network("192.88.99.0/24"),  # 6to4 relays (RFC 7526)
    IPv6Network("2001::/23"),  # IETF protocol assignments, Teredo among them
    IPv6Network("2002::/16"),  # 6to4 embeds any IPv4 address
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)
"""What ``ipaddress`` calls global, at least in some Python versions, and no public host has."""


class ForbiddenDestination(OSError):
    """The address is neither public nor allowed. An OSError, so that the name's other addresses are still tried."""


class DestinationGuard:
    """Decides which addresses a connector may connect to.

    Args:
        allowed: networks in CIDR notation (or single addresses) that are allowed although they are not public.

    Raises:
        Misconfigured: an entry is not a network.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        try:
            self._allowed: tuple[Network, ...] = tuple(ip_network(entry.strip(), strict=False) for entry in allowed)
        except ValueError as error:
            raise Misconfigured(f"HEADRACE_WEBHOOK_ALLOW takes networks such as 10.1.0.0/16: {error}") from error

    def permits(self, text: str) -> bool:
        """Whether an address (no host name) may be connected to."""
        try:
            address = _plain(ip_address(text))
        except ValueError:
            return False
        return is_public(address) or any(address in network for network in self._allowed)

    def connect_socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        """The socket for one resolved address, as aiohttp's ``socket_factory``.

        Raises:
            ForbiddenDestination: this address may not be connected to.
        """
        family, kind, protocol, _, target = address_info
        if not self.permits(str(target[0])):
            raise ForbiddenDestination(f"{target[0]} is not a public address")
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        return connection


def is_public(address: Address) -> bool:
    """Whether an address is one that hosts on the public internet have."""
    if address.is_multicast or not address.is_global or any(address in network for network in _NOT_PUBLIC):
        return False
    return isinstance(address, IPv4Address) or address in _ASSIGNED_V6


def _plain(address: Address) -> Address:
    """An IPv4-mapped IPv6 address is the IPv4 address that the kernel connects to."""
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
