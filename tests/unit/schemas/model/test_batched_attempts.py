from __future__ import annotations

import pytest

from schemas.model.batched_attempts import Settled
from schemas.model.errors import CorruptRecord

HEADERS = {
    "hr_delivery": b"d1",
    "hr_event": b"e1",
    "hr_endpoint": b"hook",
    "hr_workspace": b"acme",
    "hr_source": b"events.acme.shop.order/0/7",
    "hr_run": b"live",
    "hr_attempts": b"0",
}


def test_a_delivery_is_read_from_its_headers() -> None:
    assert Settled.from_headers(HEADERS) == Settled("d1", "e1", "hook", "acme", "events.acme.shop.order/0/7", "live", 0)


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("value", [None, b"\xff", b"x" * 513, b"\0"])
def test_what_the_ledger_could_not_hold_is_no_delivery(name: str, value: bytes | None) -> None:
    with pytest.raises(CorruptRecord):
        Settled.from_headers(HEADERS | {name: value})  # type: ignore[arg-type]  # Kafka knows headers without a value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hr_attempts", b"-1"),
        ("hr_attempts", b"%d" % (2**31 - 1)),
        ("hr_source", b"nowhere"),
        ("hr_source", b"topic/0/-1"),
        ("hr_source", b"topic/-1/0"),
    ],
)
def test_numbers_and_places_that_there_are_not_are_no_deliverys(name: str, value: bytes) -> None:
    with pytest.raises(CorruptRecord):
        Settled.from_headers(HEADERS | {name: value})
