"""Which addresses webhooks and token requests may go to: public ones, and what the operator allows besides."""

from __future__ import annotations

import re
import unicodedata
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from schemas.model.errors import Misconfigured

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

_LOOPBACK = IPv4Address("127.0.0.1")
_DOTS = re.compile("[\u3002\uff0e\uff61]")
"""What IDNA takes for a dot besides it (RFC 3490 section 3.1)."""

_LAST_IS_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
"""Such a host is an IPv4 address or nothing (URL Standard, section 3.5)."""

_FORBIDDEN = re.compile(r"[\x00-\x20#%/:<>?@\[\\\]^|\x7f]")
"""What no host name has (URL Standard, "forbidden domain code point")."""

_LONGEST_LABEL = 63
"""Characters between two dots (RFC 1035 section 2.3.4)."""

ANYWHERE = ("0.0.0.0/0", "::/0")
"""All networks, as ``Destinations`` takes them."""

NOT_HTTPS = "the URL is not https, and HEADRACE_WEBHOOK_HTTPS_ONLY is set"

_PARTS = 4
_BYTE = 256


class Destinations:
    """Decides which addresses the connectors may connect to, and so which URLs are worth registering.

    Args:
        allowed: networks in CIDR notation (or single addresses) that are allowed although they are not public.
        https_only: whether URLs of plain http are refused.

    Raises:
        Misconfigured: an entry is not a network.
    """

    def __init__(self, allowed: Iterable[str] = (), *, https_only: bool = False) -> None:
        self._https_only = https_only
        try:
            self._allowed: tuple[Network, ...] = tuple(ip_network(entry.strip(), strict=False) for entry in allowed)
        except ValueError as error:
            raise Misconfigured(f"HEADRACE_WEBHOOK_ALLOW takes networks such as 10.1.0.0/16: {error}") from error

    def permits(self, text: str) -> bool:
        """Whether an address (no host name) may be connected to."""
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return self._permits(address)

    def refusal(self, url: str) -> str | None:
        """Why nothing may be sent to an absolute URL, as far as it tells itself; None for what only a connection shows.

        A host that is an address in whatever spelling is judged here. A name may resolve to another address each time,
        so it is judged when it is connected to; only ``localhost`` is what it says (RFC 6761 section 6.3).
        """
        if self._https_only and not is_https(url):
            return NOT_HTTPS
        host = _host(url)
        if host == "localhost" or host.endswith(".localhost"):
            address: Address | None = _LOOPBACK
        else:
            try:
                address = _literal(host)
                if address is None:
                    _check_name(host, url)
            except ValueError:
                return f"{host} is neither a host name nor an address"
        if address is None or self._permits(address):
            return None
        return f"{address} is not a public address, and HEADRACE_WEBHOOK_ALLOW does not allow it"

    def _permits(self, address: Address) -> bool:
        # An IPv4-mapped IPv6 address is the IPv4 address that the kernel connects to.
        address = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
        return is_public(address) or any(address in network for network in self._allowed)


def is_https(url: str) -> bool:
    """Whether requests to a URL are encrypted."""
    return url[:6].lower() == "https:"


def is_public(address: Address) -> bool:
    """Whether an address is one that hosts on the public internet have."""
    if address.is_multicast or not address.is_global or any(address in network for network in _NOT_PUBLIC):
        return False
    return isinstance(address, IPv4Address) or address in _ASSIGNED_V6


def _host(url: str) -> str:
    """The host of an absolute URL as whoever connects will read it."""
    host = unicodedata.normalize("NFKC", unquote(urlsplit(url).hostname or ""))
    return _DOTS.sub(".", host).lower().removesuffix(".")


def _literal(host: str) -> Address | None:
    """The address that a host is, in any of the spellings that resolvers take; None for a name.

    Raises:
        ValueError: it looks like an address and is none.
    """
    if ":" in host:
        return ip_address(host)
    if _LAST_IS_NUMBER.fullmatch(host) is None:
        return None
    numbers = [_number(part) for part in host.split(".")]
    *head, last = numbers
    if len(numbers) > _PARTS or any(number >= _BYTE for number in head) or last >= _BYTE ** (_PARTS - len(head)):
        raise ValueError(host)
    return IPv4Address(sum(number * _BYTE ** (_PARTS - 1 - at) for at, number in enumerate(head)) + last)


def _check_name(host: str, url: str) -> None:
    """Raise ``ValueError`` for what no resolver can take for a name; brackets are around addresses only."""
    is_bracketed = "[" in urlsplit(url).netloc
    labels = host.split(".")
    if is_bracketed or _FORBIDDEN.search(host) or not all(0 < len(label) <= _LONGEST_LABEL for label in labels):
        raise ValueError(host)


def _number(part: str) -> int:
    """A part of an IPv4 address as ``inet_aton`` reads it: decimal, octal after 0, hexadecimal after 0x."""
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8 if part.startswith("0") and part != "0" else 10)
