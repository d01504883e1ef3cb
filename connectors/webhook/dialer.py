"""Opens the connections of our own HTTP client: looks the name up, has the guard judge each address, speaks TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohappyeyeballs import start_connection

from connectors.webhook.destination_guard import ForbiddenDestination
from connectors.webhook.http_connection import HttpConnection
from connectors.webhook.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.webhook.destination_guard import DestinationGuard
    from connectors.webhook.request_target import Origin

    AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]

_REMEMBERED_SECONDS = 30.0
_MOST_REMEMBERED = 10_000

_NEXT_ADDRESS_AFTER = 0.25
"""Seconds after which the next address is tried as well (RFC 8305)."""


class NotConnected(Exception):
    """No connection came about; the cause is an ``OSError``."""

    def __init__(self, origin: Origin, cause: OSError) -> None:
        super().__init__(f"cannot connect to {origin.host}:{origin.port}")
        self.is_forbidden = isinstance(cause, ForbiddenDestination)
        self.why = cause.strerror or str(cause) or type(cause).__name__


class _Known(NamedTuple):
    until: float
    addresses: list[AddressInfo]


class Dialer:
    """Connects to origins. Use it from the event loop on which it was made.

    Args:
        guard: permits addresses.
        context: of TLS.
    """

    def __init__(self, guard: DestinationGuard, context: ssl.SSLContext) -> None:
        self._guard = guard
        self._loop = asyncio.get_running_loop()
        self._resolver = Resolver()
        self._known: dict[tuple[str, int], _Known] = {}
        self._asked: dict[tuple[str, int], asyncio.Task[list[AddressInfo]]] = {}
        self._context = context

    async def connect(self, origin: Origin, on_lost: Callable[[HttpConnection], None]) -> HttpConnection:
        """Open a connection, with TLS where the origin has it.

        Args:
            origin: where to.
            on_lost: of the connection.

        Raises:
            NotConnected: the name has no address, none of them is permitted or answers, or TLS failed.
        """
        try:
            addresses = await self._addresses(origin)
            connected = await start_connection(
                self._permitted(addresses),
                happy_eyeballs_delay=_NEXT_ADDRESS_AFTER,
                loop=self._loop,
                socket_factory=self._guard.connect_socket,
            )
        except OSError as error:
            raise NotConnected(origin, error) from error
        except RuntimeError as error:  # uvloop's, of a socket
            raise NotConnected(origin, OSError(str(error))) from error
        try:
            _, connection = await self._loop.create_connection(
                lambda: HttpConnection(on_lost),
                sock=connected,
                ssl=self._context if origin.is_tls else None,
                server_hostname=origin.host.rstrip(".") if origin.is_tls else None,
            )
        except OSError as error:  # SSLError and CertificateError are OSErrors
            connected.close()
            raise NotConnected(origin, error) from error
        except BaseException:
            connected.close()
            raise
        return connection

    def close(self) -> None:
        """Wait for no name any more."""
        for asked in self._asked.values():
            asked.cancel()

    def _permitted(self, addresses: list[AddressInfo]) -> list[AddressInfo]:
        """The addresses that the guard permits; it judges the one that is connected to once more.

        Raises:
            ForbiddenDestination: there are none.
        """
        permitted = [each for each in addresses if self._guard.permits(str(each[4][0]))]
        if not permitted:
            raise ForbiddenDestination(f"{addresses[0][4][0]} is not a public address")
        return permitted

    async def _addresses(self, origin: Origin) -> list[AddressInfo]:
        """Look up a host; whoever asks meanwhile waits for the same answer.

        Raises:
            OSError: it has no address.
        """
        if (literal := _literal(origin)) is not None:
            return [literal]
        place = origin.host, origin.port
        known = self._known.get(place)
        if known is not None and known.until > self._loop.time():
            # The next connection begins with the next address.
            known.addresses.append(known.addresses.pop(0))
            return list(known.addresses)
        asked = self._asked.get(place)
        if asked is None:
            asked = self._asked[place] = self._loop.create_task(self._look_up(place))
            asked.add_done_callback(partial(self._looked_up, place))
        return list(await asyncio.shield(asked))

    def _looked_up(self, place: tuple[str, int], asked: asyncio.Task[list[AddressInfo]]) -> None:
        del self._asked[place]
        if not asked.cancelled():
            asked.exception()  # maybe nobody waits for it any more

    async def _look_up(self, place: tuple[str, int]) -> list[AddressInfo]:
        found = await self._resolver.resolve(*place, family=socket.AF_UNSPEC)
        addresses: list[AddressInfo] = [
            (each["family"], socket.SOCK_STREAM, each["proto"], "", (each["host"], each["port"])) for each in found
        ]
        if not addresses:
            raise OSError(f"{place[0]} has no address")
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[place] = _Known(self._loop.time() + _REMEMBERED_SECONDS, addresses)
        return addresses


def verifying_context() -> ssl.SSLContext:
    """TLS that verifies certificates and host names with the system's authorities. Reads files."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _literal(origin: Origin) -> AddressInfo | None:
    try:
        address = ip_address(origin.host)
    except ValueError:
        return None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004  # of the protocol
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (origin.host, origin.port)
