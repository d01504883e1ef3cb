"""Where a webhook may connect to: public addresses, and what the operator allows besides (the SSRF guard).

The check is made on the address of the very socket that connects, after name resolution, so that neither a name with
a private address, nor a name that changes its address between check and use, nor a literal gets past it.
"""

from __future__ import annotations

import socket
from typing import Any

from schemas.destinations import Destinations


class ForbiddenDestination(OSError):
    """The address is neither public nor allowed. An OSError, so that the name's other addresses are still tried."""


class DestinationGuard(Destinations):
    """Makes the sockets of a connector, for addresses that may be connected to."""

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
