"""Frequent keys are found in a sample, in bounded memory."""

from __future__ import annotations

import random

import pytest

from backbone.publishing.hot_keys import MOST_KEYS, MOST_TYPES, ONE_OF, HotKeys, SpaceSaving

TOPIC = "events.a.b.c"


def keys_of(hot: HotKeys) -> dict[bytes, float]:
    found = hot.shares(10)[TOPIC]
    return {key: count / found.counted for key, count in found.keys}


def test_a_hot_key_is_found_among_many_with_about_its_share() -> None:
    hot, chance = HotKeys(), random.Random(7)
    hot._random = random.Random(8)
    for number in range(50_000):
        hot.note(TOPIC, b"hot" if chance.random() < 0.3 else b"key-%d" % number)
    shares = keys_of(hot)
    assert max(shares, key=shares.__getitem__) == b"hot"
    assert shares[b"hot"] == pytest.approx(0.3, abs=0.05)
    assert hot.shares(10)[TOPIC].counted == pytest.approx(50_000 / ONE_OF, rel=0.1)


def test_keys_that_take_turns_are_all_counted() -> None:
    hot = HotKeys()
    hot._random = random.Random(8)
    for number in range(80_000):
        hot.note(TOPIC, b"key-%d" % (number % ONE_OF))
    shares = keys_of(hot)
    assert max(shares.values()) < 2 / ONE_OF


def test_counters_are_bounded_and_never_count_too_little() -> None:
    sketch, chance = SpaceSaving(MOST_KEYS), random.Random(7)
    exact: dict[bytes, int] = {}
    for _ in range(20_000):
        key = b"%d" % min(999, int(chance.expovariate(0.02)))
        exact[key] = exact.get(key, 0) + 1
        sketch.add(key)
    top = sketch.top(1_000)
    assert len(top) == MOST_KEYS
    for key, count in top:
        assert exact[key] <= count <= exact[key] + sketch.total / MOST_KEYS


def test_what_is_hot_no_more_is_forgotten() -> None:
    hot = HotKeys()
    for _ in range(100):
        hot.note(TOPIC, b"key")
    for _ in range(60):
        hot.fade()
    assert hot.shares(10) == {}


def test_values_of_a_former_partition_key_are_forgotten() -> None:
    hot = HotKeys()
    for _ in range(10 * ONE_OF):
        hot.note(TOPIC, b"/shop", "source")
    for _ in range(10 * ONE_OF):
        hot.note(TOPIC, b"7", "data.visitor")
    assert keys_of(hot) == {b"7": 1.0}


def test_types_are_bounded() -> None:
    hot = HotKeys()
    for number in range(MOST_TYPES + 10):
        hot._left = 1
        hot.note(f"events.a.b.c{number}", b"key")
    assert len(hot.shares(1)) == MOST_TYPES
