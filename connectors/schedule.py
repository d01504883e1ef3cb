"""When a failed delivery is tried again, and through which retry tiers it waits until then."""

from __future__ import annotations

import math
import random
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from schemas.topics import RETRY_TIERS, SHORTEST_DELAY

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_SCHEDULE = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds before the second to the tenth attempt, as Standard Webhooks recommends: three days and three hours."""

JITTER = 0.2
"""At most this share of a delay is taken off at random, so that what failed together does not return together."""


def next_delay(schedule: Sequence[float], attempts: int, retry_after: float | None = None) -> float | None:
    """Seconds to wait after the ``attempts``-th attempt failed, or None when the schedule is used up.

    What the receiver asked for in ``Retry-After`` is never undercut: then the jitter is added. Tiers add up to
    multiples of the smallest one only, so this is one, and what is said of the next try is when it happens.
    """
    if attempts > len(schedule):
        return None
    delay = schedule[attempts - 1]
    shortened = delay * (1 - random.random() * JITTER)
    if retry_after is None or retry_after < shortened:
        return _on_tiers(shortened)
    return _on_tiers(retry_after + random.random() * JITTER * min(delay, retry_after))


def _on_tiers(delay: float) -> float:
    """The least that is not shorter and that tiers add up to."""
    return max(1, math.ceil(delay / SHORTEST_DELAY)) * SHORTEST_DELAY


_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
"""With a fraction, which some send although RFC 9110 knows of none: without it we would come back far too early."""


def tier_for(left: float) -> tuple[float, str]:
    """The retry tier to wait on with ``left`` seconds to go: its delay in seconds, and its topic.

    The largest that is not longer than the time left, or else the smallest; so a delivery is never early, and late by
    no more than the smallest tier's delay.
    """
    chosen = next(iter(RETRY_TIERS.items()))
    for delay, topic in RETRY_TIERS.items():
        if delay <= left:
            chosen = (delay, topic)
    return chosen


def parse_retry_after(text: str | None, now: float) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (RFC 9110: seconds or an HTTP date); None without one.

    Args:
        text: the header's value.
        now: seconds since the epoch.
    """
    if text is None:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.fromtimestamp(now, UTC)).total_seconds())
