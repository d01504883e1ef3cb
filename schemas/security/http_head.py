"""Rules for the head of an HTTP/1 request that every server of ours applies (RFC 9112, 2.3, 3.2 and 6.1)."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOST = re.compile(
    r"""
    (?: \[ (?P<ipv6> [0-9A-Fa-f:.]+ ) \]
      | \[ [vV] [0-9A-Fa-f]+ \. [A-Za-z0-9._~!$&'()*+,;=:-]+ \]
      | (?: [A-Za-z0-9._~!$&'()*+,;=-] | % [0-9A-Fa-f]{2} )+
    )
    (?: : (?P<port> [0-9]* ) )?
    """,
    re.VERBOSE | re.ASCII,
)
"""``uri-host [ ":" port ]`` (RFC 9110, 7.2), but no empty host: the scheme ``http`` requires one (RFC 9110, 4.2.1)."""

_LAST_PORT = 65_535
_PORT_DIGITS = 10
"""Leading zeros are allowed; thousands of digits are not worth reading."""

_BAD_REQUEST = 400
_NOT_IMPLEMENTED = 501
_VERSION_NOT_SUPPORTED = 505


class Refusal(NamedTuple):
    """How a request is refused: the status, and one sentence."""

    status: int
    message: str


def refusal_of(version: str, hosts: Sequence[str], codings: Sequence[str]) -> Refusal | None:
    """Return how a request must be refused because of its head; None if it may go on.

    Args:
        version: ``1.1`` or ``1.0``.
        hosts: the values of its ``Host`` headers.
        codings: the values of its ``Transfer-Encoding`` headers.
    """
    if version not in ("1.0", "1.1"):
        return Refusal(_VERSION_NOT_SUPPORTED, "This server speaks HTTP/1.1.")
    if not hosts and version == "1.1":
        return Refusal(_BAD_REQUEST, "An HTTP/1.1 request must have a Host header.")
    if len(hosts) > 1:
        return Refusal(_BAD_REQUEST, "A request must have one Host header, not several.")
    if hosts and not is_valid_host(hosts[0].strip(" \t")):
        return Refusal(_BAD_REQUEST, "The Host header must be a host, and a port if need be.")
    return _refusal_of_codings(version, codings) if codings else None


def is_utf_8(target: str | bytes) -> bool:
    """Whether what is percent-encoded in a request target is UTF-8 (RFC 3986, 2.5)."""
    try:
        unquote_to_bytes(target).decode()
    except UnicodeDecodeError:
        return False
    return True


def is_valid_host(value: str) -> bool:
    """Whether the value of a ``Host`` header names a host."""
    found = _HOST.fullmatch(value)
    if found is None:
        return False
    port = found["port"] or "0"
    if len(port) > _PORT_DIGITS or int(port) > _LAST_PORT:
        return False
    if found["ipv6"] is not None:
        try:
            IPv6Address(found["ipv6"])
        except AddressValueError:
            return False
    return True


def _refusal_of_codings(version: str, codings: Sequence[str]) -> Refusal | None:
    if version == "1.0":
        return Refusal(_BAD_REQUEST, "An HTTP/1.0 request must not have a Transfer-Encoding header.")
    *others, last = [coding.strip(" \t").lower() for value in codings for coding in value.split(",")]
    if last != "chunked" or "chunked" in others or "" in others:
        return Refusal(_BAD_REQUEST, "Transfer-Encoding must end with chunked, and have it once.")
    if others:
        return Refusal(_NOT_IMPLEMENTED, "The only Transfer-Encoding that is supported is chunked.")
    return None
