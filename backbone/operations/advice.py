"""Advice on the number of partitions, from measured figures."""

from __future__ import annotations

from typing import NamedTuple

from backbone.catalog.type_changes import MOST_PARTITIONS

_THOUSAND = 1_000


class Figures(NamedTuple):
    """Measured figures of a topic.

    Attributes:
        partitions: that events go to now.
        rate: events per second.
        consumer_rate: events per second that one consumer has handled at most.
        hottest_share: part of the events that have the most frequent key, 0 to 1; 0 without keys.
    """

    partitions: int
    rate: float
    consumer_rate: float
    hottest_share: float = 0.0


class Advice(NamedTuple):
    """The number of partitions that is advised, and why; the present number where more would not help."""

    partitions: int
    because: str


def advise(figures: Figures) -> Advice | None:
    """Advise more partitions if the busiest one has more events than one consumer handles; None if it has not.

    The busiest partition has the most frequent key and its part of the others. The number is a multiple of the present
    one, so that each partition is split and none takes in keys of two others.
    """
    partitions, rate, consumer_rate, share = figures
    if partitions < 1 or rate <= 0 or consumer_rate <= 0:
        return None
    share = min(max(share, 0.0), 1.0)
    if _busiest(rate, share, partitions) <= consumer_rate:
        return None
    measured = f"{short(rate)}/s at {short(consumer_rate)}/s a consumer"
    if share:
        measured += f", hottest key {share:.0%}".replace("%", " %")
    if rate * share >= consumer_rate:
        return Advice(partitions, f"{measured}: more partitions do not help, one key alone is {short(rate * share)}/s")
    wanted = partitions
    while _busiest(rate, share, wanted) > consumer_rate and wanted + partitions <= MOST_PARTITIONS:
        wanted += partitions
    return Advice(wanted, f"{partitions} → {wanted}: {measured}")


def short(rate: float) -> str:
    """A rate as people read it: ``4.1 k``, ``250``, ``0.3``."""
    if rate >= _THOUSAND * _THOUSAND:
        return f"{rate / _THOUSAND / _THOUSAND:.1f} M"
    if rate >= _THOUSAND:
        return f"{rate / _THOUSAND:.1f} k"
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"  # noqa: PLR2004  # two digits are enough


def _busiest(rate: float, share: float, partitions: int) -> float:
    return rate * (share + (1 - share) / partitions)
