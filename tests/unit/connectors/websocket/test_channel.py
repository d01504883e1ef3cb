from __future__ import annotations

from typing import Any, cast

import pytest

from connectors.websocket.channel import Channel, Mark, Publication
from connectors.websocket.history import Retention
from connectors.websocket.log_reader import start_of
from connectors.websocket.positions import PartitionStart
from schemas.model.errors import CorruptRecord


class Delivery:
    """As much of a consumed message as a channel looks at."""

    def __init__(self, offset: int, value: bytes = b"x" * 100) -> None:
        self._offset = offset
        self._value = value

    def value(self) -> bytes:
        return self._value

    def offset(self) -> int:
        return self._offset

    def partition(self) -> int:
        return 0


def record(offset: int) -> Publication:
    return Publication(cast("Any", Delivery(offset)), offset)


def numbers(channel: Channel) -> list[tuple[int, int]]:
    """Log offset and number of what can be recovered."""
    return [(publication.log_offset, publication.number) for publication in channel.history]


def test_a_new_channel_counts_from_one() -> None:
    channel = Channel(b"endpoint:e1", 3)

    assert all(channel.count(record(offset)) for offset in (10, 12, 19))

    assert numbers(channel) == [(10, 1), (12, 2), (19, 3)]
    assert (channel.top, channel.log_offset) == (3, 19)


def test_counting_goes_on_from_a_mark() -> None:
    channel = Channel(b"endpoint:e1", 3, Mark(7, 50))

    assert channel.count(record(60))

    assert numbers(channel) == [(60, 8)]


def test_what_is_read_again_is_numbered_backwards_from_the_mark() -> None:
    channel = Channel(b"endpoint:e1", 3, Mark(7, 50))

    assert [channel.count(record(offset)) for offset in (30, 40, 50, 60)] == [False, False, True, True]

    assert numbers(channel) == [(30, 5), (40, 6), (50, 7), (60, 8)]


def test_a_mark_whose_record_is_gone_is_passed() -> None:
    channel = Channel(b"endpoint:e1", 3, Mark(7, 50))

    for offset in (30, 60):
        channel.count(record(offset))

    assert numbers(channel) == [(30, 7), (60, 8)]


def test_the_end_of_the_log_settles_what_waits() -> None:
    channel = Channel(b"endpoint:e1", 3, Mark(2, 50))
    for offset in (20, 30, 40):
        channel.count(record(offset))

    channel.settle()

    assert channel.top == 2
    assert numbers(channel)[1:] == [(30, 1), (40, 2)]


def test_since_tells_all_that_came_after_or_nothing() -> None:
    channel = Channel(b"endpoint:e1", 3, Mark(7, 50))
    for offset in (60, 70, 80):
        channel.count(record(offset))

    def found(number: int, limit: int = 100) -> list[int] | None:
        publications = channel.since(number, limit)
        return None if publications is None else [publication.number for publication in publications]

    assert found(7) == [8, 9, 10]
    assert found(8, 1) == [9]
    assert found(10) == []
    assert found(6) is None
    assert found(11) is None


def test_a_publication_is_rendered_once_and_one_that_cannot_be_keeps_its_number() -> None:
    rendered: list[int] = []
    errors = {1: CorruptRecord("unreadable"), 3: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "nobody thought of this")}

    def render(message: Any) -> bytes:
        rendered.append(message.offset())
        if message.offset() in errors:
            raise errors[message.offset()]
        return b'{"a":1}'

    channel = Channel(b"w/orders", 0)
    for offset in range(4):
        channel.count(record(offset))

    bodies = [publication.body(render) for publication in channel.history for _ in range(2)]

    first, third = b'{"data":{"a":1},"offset":1}', b'{"data":{"a":1},"offset":3}'
    assert bodies == [first, first, None, None, third, third, None, None]
    assert rendered == [0, 1, 2, 3]
    assert channel.name == b'"orders"'


def test_a_channel_keeps_its_last_publications() -> None:
    retention = Retention(2, 10**9)
    channel = Channel(b"endpoint:e1", 0)

    for offset in range(5_000):
        publication = record(offset)
        channel.count(publication)
        retention.add(channel, publication)

    assert numbers(channel) == [(4_998, 4_999), (4_999, 5_000)]
    assert retention.bytes == sum(publication.size for publication in channel.history)
    assert len(retention._order) < 2_000


def test_all_channels_together_drop_what_was_read_first() -> None:
    size = record(0).size
    retention = Retention(100, 3 * size)
    first, second = Channel(b"endpoint:e1", 0), Channel(b"endpoint:e2", 0)

    for offset, channel in enumerate((first, second, first, second, second)):
        publication = record(offset)
        channel.count(publication)
        retention.add(channel, publication)

    assert numbers(first) == [(2, 2)]
    assert numbers(second) == [(3, 2), (4, 3)]
    assert retention.bytes == 3 * size


@pytest.mark.parametrize(
    ("first", "known", "expected"),
    [
        (0, None, ("T.4.0", 0)),
        (0, PartitionStart("T.4.0", 70), ("T.4.0", 70)),
        (60, PartitionStart("T.4.0", 70), ("T.4.0", 70)),
        # Records that nobody counted are gone: positions of before must not seem good.
        (80, PartitionStart("T.4.0", 70), ("T.4.80", 80)),
        (80, None, ("T.4.80", 80)),
        # The topic was made anew.
        (0, PartitionStart("S.4.0", 70), ("T.4.0", 0)),
        (0, PartitionStart("T.40.0", 70), ("T.4.0", 0)),
    ],
)
def test_where_counting_starts(first: int, known: PartitionStart | None, expected: tuple[str, int]) -> None:
    assert start_of("T", 4, first, known) == expected
