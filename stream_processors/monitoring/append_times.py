"""When unread records were appended, by questions for offsets by time: a bisection over all partitions at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backbone.kafka.records import Partition
    from stream_processors.monitoring.timeline import Bracket

    Place = tuple[Partition, int]
    OffsetsAt = Callable[[Mapping[Partition, int]], Mapping[Partition, int | None]]

_MILLISECOND, _SECOND = 1_000, 1_000_000
"""In microseconds."""

_PART_OF_AGE = 0.01
"""How exact an age has to be, if it is above 100 seconds."""

MOST_ROUNDS = 40


class Found(NamedTuple):
    """When a record was appended, microseconds since the epoch, and whether it is known to a second or a hundredth."""

    at: int
    exact: bool


def find_append_times(
    brackets: Mapping[Place, Bracket], now: int, offsets_at: OffsetsAt, *, rounds: int = MOST_ROUNDS
) -> dict[Place, Found]:
    """When records were appended whose topics have append times.

    Each round asks once for all partitions. Of several records of one partition, one is searched for after the other.

    Args:
        brackets: what is known of each record, by its partition and offset.
        now: microseconds since the epoch.
        offsets_at: the first offset of each partition with a timestamp at or after a time, in milliseconds since the
            epoch; None where there is none.
        rounds: how often to ask at most.
    """
    bounds = {place: (bracket.after or 0, bracket.until) for place, bracket in brackets.items()}
    for _ in range(rounds):
        asked: dict[Partition, tuple[Place, int]] = {}
        for place, (after, until) in bounds.items():
            if place[0] not in asked and not _is_exact(after, until, now):
                asked[place[0]] = (place, _middle(after, until, now))
        if not asked:
            break
        found = offsets_at({partition: middle // _MILLISECOND for partition, (_, middle) in asked.items()})
        for partition, (place, middle) in asked.items():
            if partition not in found:
                continue
            offset, (after, until) = found[partition], bounds[place]
            is_later = offset is not None and offset <= place[1]
            bounds[place] = (middle, until) if is_later else (after, middle)
    return {
        place: Found((after + until) // 2, _is_exact(after, until, now)) for place, (after, until) in bounds.items()
    }


def _is_exact(after: int, until: int, now: int) -> bool:
    return until - after <= max(_SECOND, _PART_OF_AGE * (now - until))


def _middle(after: int, until: int, now: int) -> int:
    """Between two instants; by their ages' geometric mean, for an age may be a second or a year."""
    youngest, oldest = max(now - until, _SECOND // 4), max(now - after, _SECOND)
    middle = now - int((youngest * oldest) ** 0.5)
    if not after < middle < until:
        middle = (after + until) // 2
    return middle // _MILLISECOND * _MILLISECOND
