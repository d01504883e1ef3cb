"""Opening handshakes of plain WebSocket clients (RFC 6455, 4.2). All other requests are for the HTTP server."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1
from typing import NamedTuple

from schemas.security.http_head import is_valid_host

PATH = "/connection/websocket"

_REQUEST_LINE = b"GET %b HTTP/1.1" % PATH.encode()
_END = b"\r\n\r\n"
_MOST_BYTES = 8_190
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?[ \t]*")
_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""Base64 of 16 bytes."""
_BODY = {"content-length", "transfer-encoding", "expect"}

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n"
)


class Handshake(NamedTuple):
    """The members of a valid handshake that a server decides on.

    Attributes:
        host: of the ``Host`` header.
        origin: of the page; None for other clients than browsers.
        offered: subprotocols.
        key: that the answer proves to have been read.
    """

    host: str
    origin: str | None
    offered: list[str]
    key: str

    def answer(self, subprotocol: str | None) -> bytes:
        """The response that opens the connection."""
        accept = b64encode(sha1(self.key.encode() + _GUID, usedforsecurity=False).digest())
        chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
        return _ANSWER % accept + chosen.encode() + b"\r\n"


def read(head: bytes) -> Handshake | None:
    """Return the handshake, if the bytes are one and nothing else.

    None means that the HTTP server has to look at the bytes: another path, a query, a head in parts, bytes after it,
    repeated headers, a body, characters outside of ASCII, and whatever the RFC forbids.
    """
    if len(head) > _MOST_BYTES or not head.endswith(_END):
        return None
    request_line, *lines = head[: -len(_END)].split(b"\r\n")
    if request_line != _REQUEST_LINE:
        return None
    fields: dict[str, str] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            return None
        fields[found[1].decode().lower()] = (found[2] or b"").decode()
    if len(fields) != len(lines) or not _BODY.isdisjoint(fields):
        return None
    upgrades = fields.get("upgrade", "").lower() == "websocket" and "upgrade" in _listed(
        fields, "connection", lower=True
    )
    key, host = fields.get("sec-websocket-key", ""), fields.get("host", "")
    if (
        not upgrades
        or fields.get("sec-websocket-version") != "13"
        or not _KEY.fullmatch(key)
        or not is_valid_host(host)
    ):
        return None
    return Handshake(host, fields.get("origin"), _listed(fields, "sec-websocket-protocol"), key)


def _listed(fields: dict[str, str], name: str, *, lower: bool = False) -> list[str]:
    value = fields.get(name)
    if value is None:
        return []
    return [each.strip() for each in (value.lower() if lower else value).split(",")]
