"""What other producers may write where deliveries and attempts are expected: poison, and never another error."""

from __future__ import annotations

import pytest

from schemas.delivery import Contract, GroupedDelivery, SourceOffset, read_delivery
from schemas.errors import CorruptRecord
from schemas.settlement import read_attempts

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
