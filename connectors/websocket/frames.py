"""Frames that WebSocket clients send (RFC 6455, 5), without extensions."""

from __future__ import annotations

from typing import NamedTuple

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA

PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1002, 1007, 1009

_CONTINUATION = 0x0
_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_CONTROL = 0x8
"""The bit of an opcode that control frames have."""
_SHORT, _MEDIUM, _LONG = 125, 126, 127
_HEAD, _MASK = 2, 4
_EXTENDED = {_MEDIUM: 2, _LONG: 8}
"""Bytes of a longer length."""
_FIRST_OWN_CODE, _CODES = 3_000, 5_000
_REGISTERED = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}


class Message(NamedTuple):
    """A whole message, or a control frame. The payload of ``CLOSE`` is the one to answer."""

    opcode: int
    payload: bytes


class FrameReader:
    """Reads the messages of one client.

    A violation of the protocol reads as the client's close with the code of the violation: there the client's bytes
    end.

    Args:
        limit: bytes of a message.
    """

    __slots__ = ("_begun", "_ended", "_limit", "_opcode", "_rest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest: bytearray | None = None
        self._opcode = 0
        self._begun: bytearray | None = None
        self._ended = False

    def feed(self, data: bytes) -> list[Message]:
        """The messages that end in the next bytes from the client."""
        if self._rest is not None:
            self._rest += data
        buffer = data if self._rest is None else self._rest
        found: list[Message] = []
        at = 0
        try:
            while not self._ended and (end := self._frame_end(buffer, at)):
                self._take(found, buffer[at], _unmasked(buffer, at, end))
                at = end
        except _Violation as violation:
            self._ended = True
            found.append(Message(CLOSE, violation.code.to_bytes(2, "big")))
        self._rest = bytearray(buffer[at:]) if at < len(buffer) and not self._ended else None
        return found

    def _frame_end(self, buffer: bytes | bytearray, at: int) -> int:
        """The index after the frame, 0 if it is not complete. Its head is judged before its payload has come."""
        have = len(buffer) - at
        if have < _HEAD:
            return 0
        first, second = buffer[at], buffer[at + 1]
        opcode, length = first & _OPCODE, second & _LENGTH
        if first & _RESERVED or not second & _MASKED:
            raise _Violation(PROTOCOL_ERROR)
        if opcode & _CONTROL:
            if opcode > PONG or length > _SHORT or not first & _FIN:
                raise _Violation(PROTOCOL_ERROR)
        elif opcode > BINARY or (opcode == _CONTINUATION) != (self._begun is not None):
            raise _Violation(PROTOCOL_ERROR)
        extended = _EXTENDED.get(length, 0)
        if have < _HEAD + extended:
            return 0
        if extended:
            length = int.from_bytes(buffer[at + _HEAD : at + _HEAD + extended], "big")
        if not opcode & _CONTROL and length + len(self._begun or b"") > self._limit:
            raise _Violation(TOO_BIG)
        size = _HEAD + extended + _MASK + length
        return at + size if have >= size else 0

    def _take(self, found: list[Message], first: int, payload: bytes) -> None:
        opcode = first & _OPCODE
        if opcode & _CONTROL:
            if opcode == CLOSE:
                _check_close(payload)
                self._ended = True
                payload = payload[:2]
            found.append(Message(opcode, payload))
            return
        if self._begun is None and first & _FIN:
            found.append(Message(opcode, payload))
            return
        if self._begun is None:
            self._opcode, self._begun = opcode, bytearray()
        self._begun += payload
        if first & _FIN:
            found.append(Message(self._opcode, bytes(self._begun)))
            self._begun = None


class _Violation(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def close_frame(payload: bytes) -> bytes:
    """A server's close frame; its payload is a code and a reason, at most 125 bytes, or nothing."""
    return bytes((_FIN | CLOSE, len(payload))) + payload


def pong_frame(payload: bytes) -> bytes:
    """A server's answer to a ping."""
    return bytes((_FIN | PONG, len(payload))) + payload


def _unmasked(buffer: bytes | bytearray, at: int, end: int) -> bytes:
    start = at + _HEAD + _EXTENDED.get(buffer[at + 1] & _LENGTH, 0) + _MASK
    length = end - start
    if not length:
        return b""
    mask = bytes(buffer[start - _MASK : start]) * (length // _MASK + 1)
    masked = int.from_bytes(buffer[start:end], "big")
    return (masked ^ int.from_bytes(mask[:length], "big")).to_bytes(length, "big")


def _check_close(payload: bytes) -> None:
    if not payload:
        return
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _REGISTERED or _FIRST_OWN_CODE <= code < _CODES):
        raise _Violation(PROTOCOL_ERROR)
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise _Violation(INVALID_DATA) from None
