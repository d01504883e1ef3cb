"""By which names a server answers that asks for no credential.

The owner of a name can let it lead to a loopback address, after a page of that name was loaded (DNS rebinding): to the
browser they are then one site, and the page reads what this machine alone should reach. Its ``Host`` header tells.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

ANY = "*"

UNKNOWN = "This server does not answer by that host name (HEADRACE_HTTP_HOSTS)."


class HttpHosts:
    """The names of one server.

    Addresses and ``localhost`` are always known: nobody else's name server decides where they lead.

    Args:
        bound: the address that it listens on.
        names: further ones, without ports; none: any name, unless ``bound`` is a loopback address.
    """

    def __init__(self, bound: str, names: Iterable[str] = ()) -> None:
        given = frozenset(each.lower() for each in names)
        self._names = given or (frozenset() if is_loopback(bound) else frozenset((ANY,)))

    def knows(self, header: str | None) -> bool:
        """Whether a ``Host`` header is one of them; so is none, which no browser leaves out."""
        if header is None or ANY in self._names:
            return True
        return is_address(header) or _name(header) in self._names


def is_address(host: str) -> bool:
    """Whether a ``Host`` header names an IP address or ``localhost``, which nobody else's name server decides."""
    name = _name(host)
    try:
        return name == "localhost" or name.endswith(".localhost") or bool(ip_address(name))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address that is listened on."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
