"""Ports of this machine that are free right now."""

from __future__ import annotations

import errno
import socket

from operations.errors import CannotStart


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now.

    Raises:
        CannotStart: it never could: the address is not one of this machine's, or the port not for this user.
    """
    try:
        _bound(host, port).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise CannotStart(f"A server cannot listen on {host}, port {port}: {error.strerror}.") from error
    return True


def free_port(preferred: int | None = None, host: str = "127.0.0.1") -> int:
    """``preferred`` if nothing listens there, else one that the system picks."""
    if preferred and is_free(preferred, host):
        return preferred
    with _bound(host, 0) as probe:
        port: int = probe.getsockname()[1]
        return port


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    probe = socket.socket(family, kind, protocol)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
    except OSError:
        probe.close()
        raise
    return probe
