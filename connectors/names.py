"""Host names to addresses, on threads of its own: a name server that does not answer holds up nobody else's names.

An event loop's own look-up will not do. uvloop leaves it to libuv, which looks up two names at a time for the whole
process, and the C library waits for ten seconds and more for a server that is silent.
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
"""Names that are looked up at the same time."""


class Resolver(AbstractResolver):
    """Looks up names as the system does; belongs to the event loop on which it is used.

    Args:
        at_once: most names that are looked up at the same time; the others wait.
    """

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._free = asyncio.Semaphore(at_once)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host, in the order of preference.

        Raises:
            OSError: it has none, or nobody knows.
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
