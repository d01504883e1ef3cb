"""Resolves host names on threads of its own, so that a silent name server holds up no other names.

The resolver of the event loop does not suffice: uvloop leaves names to libuv, which resolves two at a time for the
whole process, and the C library waits ten seconds and more for a silent server.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    Found = list[tuple[Any, ...]]

_AT_ONCE = 64
"""Most names that are resolved at the same time."""


class Resolver(AbstractResolver):
    """Resolves names as the system does. Belongs to the event loop that uses it.

    Args:
        at_once: most names that are resolved at the same time; the others wait.
    """

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._free = asyncio.Semaphore(at_once)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host, in the order of preference.

        Raises:
            OSError: it has none, or no server answers.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Found] = loop.create_future()

        def look_up() -> None:
            addresses: Found = []
            error: OSError | None = None
            try:
                addresses = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except OSError as failure:
                error = failure
            except UnicodeError as failure:
                error = OSError(f"{host!r} is no host name: {failure}")
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(self._tell, found, addresses, error)

        # No executor: a process would not end before all of its threads have.
        thread = threading.Thread(target=look_up, name="look-up", daemon=True)
        try:
            thread.start()
        except RuntimeError as failure:
            self._free.release()
            raise OSError(f"{host} cannot be looked up: {failure}") from failure
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await found
            if kind in (socket.AF_INET, socket.AF_INET6)
        ]

    async def close(self) -> None:
        """Nothing is held; what is still looked up is for nobody."""

    def _tell(self, found: asyncio.Future[Found], addresses: Found, error: OSError | None) -> None:
        self._free.release()
        if found.done():
            return  # nobody waits any more
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)
