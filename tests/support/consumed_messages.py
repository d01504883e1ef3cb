"""Doubles of consumed messages."""

from __future__ import annotations

from typing import Any


class ConsumedMessage:
    """A message as a consumer returns it. Offset and partition matter to few tests."""

    def __init__(
        self,
        topic: str,
        value: bytes | None,
        headers: list[tuple[str, Any]] | None = None,
        *,
        key: bytes | None = None,
        partition: int = 0,
        offset: int = 7,
        timestamp: int = 0,
    ) -> None:
        self._place = (topic, partition, offset)
        self._key, self._value, self._headers = key, value, headers
        self._timestamp = timestamp

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._place[2]

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> list[tuple[str, Any]] | None:
        return self._headers

    def set_headers(self, headers: list[tuple[str, Any]]) -> None:
        self._headers = headers

    def timestamp(self) -> tuple[int, int]:
        return (2, self._timestamp)

    def error(self) -> None:
        return None


class FakeMessage(ConsumedMessage):
    """An event, as the publisher writes it: its id is in a header and begins its value."""

    def __init__(
        self,
        offset: int,
        *,
        topic: str = "events.w.n.c",
        partition: int = 0,
        value: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        timestamp: int = 0,
    ) -> None:
        super().__init__(
            topic,
            framed(f"event-{offset}") if value is None else value,
            [("hr_event", f"event-{offset}".encode())] if headers is None else headers,
            partition=partition,
            offset=offset,
            timestamp=timestamp,
        )


def framed(event: str) -> bytes:
    """The start of an event record: frame, then the id as an Avro string."""
    return b"\x00\x00\x00\x00\x01" + bytes([len(event) * 2]) + event.encode() + b"rest"
