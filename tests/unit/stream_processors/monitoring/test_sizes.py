"""How much topics grow in a day, from samples of their sizes."""

from __future__ import annotations

from stream_processors.monitoring.sizes import Sizes

MINUTE = 60_000_000


def test_growth_is_told_after_ten_minutes_and_over_a_day_at_most() -> None:
    sizes = Sizes()
    sizes.note(0, {("t", 0): 100, ("t", 1): 0})
    sizes.note(5 * MINUTE, {("t", 0): 150, ("t", 1): 50})
    assert sizes.growth_per_day("t") is None
    sizes.note(10 * MINUTE, {("t", 0): 150, ("t", 1): 50, ("new", 0): 7})
    assert sizes.growth_per_day("t") == 100 * 6 * 24
    assert (sizes.of(("t", 0)), sizes.of(("gone", 0))) == (150, None)
    assert sizes.growth_per_day("new") is None
    for hour in range(1, 49):
        sizes.note(hour * 60 * MINUTE, {("t", 0): 1_000 * max(0, hour - 24)})
    assert sizes.growth_per_day("t") == 24_000
    assert len(sizes._samples) <= 25


def test_what_retention_takes_is_taken_off() -> None:
    sizes = Sizes()
    sizes.note(0, {("t", 0): 1_000})
    sizes.note(24 * 60 * MINUTE, {("t", 0): 400})
    assert sizes.growth_per_day("t") == -600
