"""Ports of this machine that are free right now."""

from __future__ import annotations

import errno
import socket
from typing import Any

from operations.errors import CannotStart


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now; where a name stands for several addresses, on all that there are.

    Raises:
        CannotStart: it never could: the address is not one of this machine's, or the port not for this user.
    """
    refusals = _refusals(host, port)
    if any(error is not None and error.errno == errno.EADDRINUSE for error in refusals):
        return False
    # localhost is often ::1 too, also on machines without IPv6.
    if None in refusals:
        return True
    reason = refusals[0]
    raise CannotStart(f"A server cannot listen on {host}, port {port}: {reason and reason.strerror}.") from reason


def free_port(preferred: int | None = None, host: str = "127.0.0.1") -> int:
    """``preferred`` if nothing listens there, else one that the system picks; raises ``CannotStart`` as ``is_free``.

    What the system has picked it picks for nobody else in the next minute: the server may take its time to start.
    """
    if preferred and is_free(preferred, host):
        return preferred
    while True:
        port = _reserved_port()
        if is_free(port, host):
            return port


def _reserved_port() -> int:
    """A port on which a connection has just ended: its traces keep it for a server, which asks for it by number."""
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        # Not before: the system would pick ports that bear such traces already.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.listen()
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        # The traces stay with the end that closes first.
        accepted.close()
        client.recv(1)
        port: int = server.getsockname()[1]
    return port


def _refusals(host: str, port: int) -> list[OSError | None]:
    """For each address of the host why a server cannot listen there, None where it can; at least one."""
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return [error]
    return [_refusal(family, address) for family, _, _, _, address in places]


def _refusal(family: int, address: Any) -> OSError | None:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None
