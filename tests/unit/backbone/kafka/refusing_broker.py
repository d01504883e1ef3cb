"""A broker that knows no password: it answers the first three requests of a client that uses SASL/PLAIN."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSAL = b"Authentication failed: Invalid username or password"

_API_VERSIONS, _HANDSHAKE = 18, 17
_UNSUPPORTED_VERSION, _AUTHENTICATION_FAILED = 35, 58


@contextlib.contextmanager
def refusing_broker() -> Iterator[str]:
    """``host:port`` of one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def _accept(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _serve(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError, struct.error), connection.makefile("rb") as requests:
        while True:
            (size,) = struct.unpack(">i", requests.read(4))
            key, version, correlation = struct.unpack(">hhi", requests.read(size)[:8])
            answer = struct.pack(">i", correlation) + _answer(key, version)
            connection.sendall(struct.pack(">i", len(answer)) + answer)


def _answer(key: int, version: int) -> bytes:
    if key == _API_VERSIONS:
        known = b"".join(struct.pack(">hhh", *each) for each in ((17, 0, 1), (18, 0, 0), (36, 0, 0), (3, 0, 4)))
        return struct.pack(">hi", _UNSUPPORTED_VERSION if version else 0, 4) + known
    if key == _HANDSHAKE:
        return struct.pack(">hih", 0, 1, 5) + b"PLAIN"
    return struct.pack(">hh", _AUTHENTICATION_FAILED, len(REFUSAL)) + REFUSAL + struct.pack(">i", 0)
