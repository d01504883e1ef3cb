"""When a failed delivery is tried again, and the retry tiers that it waits on until then."""

from __future__ import annotations

import math
import random
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from schemas.model.topics import RETRY_TIERS, SHORTEST_DELAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFAULT_SCHEDULE = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds before the second to the tenth attempt, as Standard Webhooks recommends: three days and three hours."""

JITTER = 0.2
"""At most this share of a delay is added at random: deliveries that failed together do not return together."""

_SLACK = 1.0
"""Seconds by which a tier may be longer than the time left: a hop takes some time itself, and without these a delay of
two tiers of 30 s would end in six hops of 5 s."""


def next_delay(schedule: Sequence[float], attempts: int, retry_after: float | None = None) -> float | None:
    """Seconds to wait after the ``attempts``-th attempt failed, or None when the schedule is used up.

    Neither the schedule nor a ``Retry-After`` is undercut: the jitter is added. The result is a multiple of the
    smallest tier, because tiers add up to nothing else, so that the next try happens when it was announced.
    """
    if attempts > len(schedule):
        return None
    scheduled = schedule[attempts - 1]
    promised = max(1, math.ceil(max(scheduled, retry_after or 0.0) / SHORTEST_DELAY)) * SHORTEST_DELAY
    jitter = random.random() * JITTER * min(scheduled, promised)
    return float(promised + jitter // SHORTEST_DELAY * SHORTEST_DELAY)


_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
"""With a fraction, which some send although RFC 9110 has none: without it we would come back far too early."""


def tier_for(left: float) -> tuple[float, str]:
    """The retry tier to wait on with ``left`` seconds to go: its delay in seconds, and its topic.

    The largest that is not longer than the time left and a second, or else the smallest. So a delivery is never early,
    and late by at most the delay of the smallest tier.
    """
    chosen = next(iter(RETRY_TIERS.items()))
    for delay, topic in RETRY_TIERS.items():
        if delay <= left + _SLACK:
            chosen = (delay, topic)
    return chosen


def longest_retry_after(texts: Iterable[str]) -> float | None:
    """The longest ``Retry-After`` of a response, in seconds: a proxy may have added one to the receiver's."""
    now = time.time()
    asked = (parse_retry_after(text, now) for text in texts)
    return max((seconds for seconds in asked if seconds is not None), default=None)


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
