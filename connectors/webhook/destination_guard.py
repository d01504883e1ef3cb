"""The SSRF guard: webhooks may connect to public addresses, and to networks that the operator allows.

It checks the address of the socket that connects, after name resolution. So neither a name with a private address, nor
a name that changes its address between check and use, nor a literal address gets past it.
"""

from __future__ import annotations

import socket
from typing import Any

from schemas.security.destinations import Destinations


class ForbiddenDestination(OSError):
    """The address is neither public nor allowed. An OSError, so that the name's other addresses are still tried."""


class DestinationGuard(Destinations):
    """Makes a connector's sockets, for permitted addresses only."""

    def connect_socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for one resolved address, as aiohttp's ``socket_factory``.

        Raises:
            ForbiddenDestination: the address is not permitted.
        """
        family, kind, protocol, _, target = address_info
        if not self.permits(str(target[0])):
            raise ForbiddenDestination(f"{target[0]} is not a public address")
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        return connection
