"""Growths: which keys move."""

from __future__ import annotations

import pytest
from confluent_kafka import murmur2

from schemas.model.growth import moved_share


@pytest.mark.parametrize(("before", "partitions"), [(3, 12), (3, 4), (4, 6), (1, 2), (8, 9)])
def test_the_share_of_keys_that_move_is_that_of_murmur2(before: int, partitions: int) -> None:
    keys = [f"key-{number}".encode() for number in range(20_000)]
    moved = sum(murmur2(key, before) != murmur2(key, partitions) for key in keys)

    assert moved / len(keys) == pytest.approx(moved_share(before, partitions), abs=0.02)


def test_some_shares() -> None:
    assert moved_share(3, 12) == 0.75
    assert moved_share(3, 3) == 0
