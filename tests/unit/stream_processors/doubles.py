"""Doubles of consumed messages."""

from __future__ import annotations


class FakeMessage:
    """A consumed message."""

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
        self._place = (topic, partition, offset)
        self._value = framed(f"event-{offset}") if value is None else value
        # As the publisher writes it: the event's id is read there.
        self._headers = [("hr_event", f"event-{offset}".encode())] if headers is None else headers
        self._timestamp = timestamp

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._place[2]

    def value(self) -> bytes | None:
        return self._value

    def key(self) -> bytes | None:
        return None

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return (2, self._timestamp)

    def error(self) -> None:
        return None


def framed(event: str) -> bytes:
    """The start of an event record: frame, then the id as an Avro string."""
    return b"\x00\x00\x00\x00\x01" + bytes([len(event) * 2]) + event.encode() + b"rest"
