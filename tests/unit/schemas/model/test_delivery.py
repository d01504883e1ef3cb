"""What other producers may write where deliveries and attempts are expected: poison, and never another error."""

from __future__ import annotations

import msgspec
import pytest

from schemas.model.batched_attempts import read_attempts
from schemas.model.delivery import Contract, EndpointState, GroupedDelivery, SourceOffset, read_delivery
from schemas.model.errors import CorruptRecord

DEEP = b"[" * 5_000 + b"]" * 5_000
"""Nested deeper than the decoder goes."""

GROUPED = GroupedDelivery(
    event="e1",
    workspace="acme",
    source=SourceOffset("events.acme.eventhos.order", 0, 7),
    contracts=(Contract(1, "s1", "hook"),),
    routed_at=5,
    due=9,
)


def test_a_grouped_delivery_is_read_back_from_its_headers() -> None:
    assert read_delivery(GROUPED.to_headers()) == GROUPED


@pytest.mark.parametrize("name", [name for name, _ in GROUPED.to_headers()])
@pytest.mark.parametrize("value", [None, b"\xff"])
def test_a_grouped_delivery_with_a_header_that_says_nothing_is_corrupt(name: str, value: bytes | None) -> None:
    headers = dict(GROUPED.to_headers()) | {name: value}
    with pytest.raises(CorruptRecord):
        read_delivery(list(headers.items()))  # type: ignore[arg-type]  # Kafka knows headers without a value


def test_contracts_that_are_nested_too_deep_are_corrupt() -> None:
    with pytest.raises(CorruptRecord):
        read_delivery([("hr_groups", b'[[1, "s1", "hook", ' + DEEP + b"]]")])


@pytest.mark.parametrize("value", [b'{"more": ' + DEEP + b"}", b'["delivered", 1, null, [], ' + DEEP + b"]"])
def test_attempts_that_are_nested_too_deep_are_corrupt(value: bytes) -> None:
    with pytest.raises(CorruptRecord):
        read_attempts(value)


@pytest.mark.parametrize("time", [2**62, -(2**62), 253_402_300_800_000_000])
@pytest.mark.parametrize("name", ["hr_routed_at", "due"])
def test_a_delivery_of_a_time_that_no_calendar_has_is_corrupt(name: str, time: int) -> None:
    for delivery in (GROUPED, msgspec.structs.replace(GROUPED.deliveries()[0], due=9)):
        headers = dict(delivery.to_headers()) | {name: str(time).encode()}
        with pytest.raises(CorruptRecord):
            read_delivery(list(headers.items()))


def test_attempts_and_states_of_such_times_cannot_be_read() -> None:
    attempt = b'{"id":"a","delivery":"d","event":"e","endpoint":"h","workspace":"w","run":"live","number":1,'
    attempt += b'"source":{"topic":"t","partition":0,"offset":1},"outcome":"delivered",'
    attempt += b'"started_at":%d,"duration":%s,"next_at":%d}'
    assert len(read_attempts(attempt % (5, b"0.5", 6))) == 1
    for odd in ((2**62, b"0.5", 6), (5, b"1e300", 6), (5, b"-1", 6), (5, b"0.5", 2**62)):
        with pytest.raises(CorruptRecord):
            read_attempts(attempt % odd)
    with pytest.raises(CorruptRecord):
        read_attempts(b'["delivered",%d,null,[]]' % 2**62)
    for state in (b'"paused_until":%d,"changed_at":5', b'"socket_window":%d,"changed_at":5', b'"changed_at":%d'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(b'{"endpoint":"h",' + state % 2**62 + b"}", type=EndpointState)
