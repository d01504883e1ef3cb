"""Advice on partitions: by rates and the hottest key."""

from __future__ import annotations

import pytest

from backbone.operations.advice import Advice, Figures, advise, short


def test_the_busiest_partition_is_what_one_consumer_handles() -> None:
    advice = advise(Figures(partitions=3, rate=4_100, consumer_rate=1_100, hottest_share=0.18))

    assert advice == Advice(12, "3 → 12: 4.1 k/s at 1.1 k/s a consumer, hottest key 18 %")


def test_there_is_no_advice_where_consumers_keep_up() -> None:
    assert advise(Figures(partitions=12, rate=4_100, consumer_rate=1_100, hottest_share=0.18)) is None
    assert advise(Figures(partitions=4, rate=4_000, consumer_rate=1_000)) is None


def test_a_key_that_alone_is_too_much_is_named() -> None:
    advice = advise(Figures(partitions=3, rate=4_000, consumer_rate=1_000, hottest_share=0.5))

    assert advice is not None
    assert advice.partitions == 3
    assert "more partitions do not help, one key alone is 2.0 k/s" in advice.because


def test_the_number_has_a_bound() -> None:
    advice = advise(Figures(partitions=300, rate=1_000_000, consumer_rate=10))

    assert advice is not None
    assert advice.partitions == 900


@pytest.mark.parametrize("figures", [Figures(0, 1, 1), Figures(3, 0, 1), Figures(3, 1, 0), Figures(3, float("nan"), 0)])
def test_without_figures_there_is_no_advice(figures: Figures) -> None:
    assert advise(figures) is None


@pytest.mark.parametrize(
    ("rate", "text"), [(4_100, "4.1 k"), (250, "250"), (0.31, "0.3"), (2_500_000, "2.5 M"), (999.6, "1000")]
)
def test_rates_are_short(rate: float, text: str) -> None:
    assert short(rate) == text
