"""Plots that the server draws as SVG: they need no script, and their figures stand in a table beside them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from families.console.http.formats import duration, moment, number, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = HEIGHT = 100.0
"""Units of a plot; the page stretches it to its place."""

_GAP = 0.2
"""Of a bar's place that stays free."""

_FASTEST, _SLOWEST = -3, 4
"""Powers of ten of seconds between which latencies are drawn."""


_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("slowest", 1.0))


class Mark(NamedTuple):
    """A bar, or a point (without a size), and the words that it stands for."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str


class Plot(NamedTuple):
    """A plot.

    Attributes:
        title: what it shows.
        marks: bars or points.
        top: what its upper edge stands for.
        bottom: what its lower edge stands for.
        ticks: what its left edge, middle and right edge stand for.
        kinds: of marks, for the legend.
        columns: of its table of figures.
        rows: of that table.
    """

    title: str
    marks: tuple[Mark, ...]
    top: str
    bottom: str
    ticks: tuple[str, ...]
    kinds: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


OUTCOMES = ("delivered", "dead", "retrying", "pending", "cancelled", "aborted")
"""In the order in which they are stacked."""


def hourly_outcomes(counts: Iterable[dict[str, Any]], until: str, hours: int = 24) -> Plot:
    """Deliveries by hour, stacked by what became of them; replays are left out."""
    end = moment(until) or datetime.now(UTC)
    last = end.replace(minute=0, second=0, microsecond=0)
    places = [last - timedelta(hours=hours - 1 - each) for each in range(hours)]
    found: dict[datetime, dict[str, int]] = {each: {} for each in places}
    for count in counts:
        hour = moment(count["hour"])
        if hour in found and count["live"]:
            for outcome, many in count["outcomes"].items():
                found[hour][outcome] = found[hour].get(outcome, 0) + many
    most = max((sum(each.values()) for each in found.values()), default=0) or 1
    marks = [
        mark for at, hour in enumerate(places) for mark in _stack(found[hour], at, hours, most, f"{hour:%d %b %H:00}")
    ]
    kinds = tuple(each for each in OUTCOMES if any(hour.get(each) for hour in found.values()))
    rows = tuple(
        (f"{hour:%Y-%m-%d %H:00}", *(number(found[hour].get(each, 0)) for each in kinds))
        for hour in reversed(places)
        if found[hour]
    )
    ticks = (f"{places[0]:%d %b %H:00}", f"{places[hours // 2]:%H:00}", f"{last:%H:00} UTC")
    return Plot("Deliveries by hour", tuple(marks), number(most), "0", ticks, kinds, ("hour", *kinds), rows)


def _stack(outcomes: dict[str, int], at: int, places: int, most: int, when: str) -> Iterable[Mark]:
    width = WIDTH / places
    y = HEIGHT
    for each in OUTCOMES:
        if many := outcomes.get(each, 0):
            height = HEIGHT * many / most
            y -= height
            title = f"{when}: {number(many)} {each}"
            yield Mark(each, width * (at + _GAP / 2), y, width * (1 - _GAP), height, title)


def latencies(deliveries: Iterable[dict[str, Any]]) -> Plot:
    """From routed to delivered, a point for each delivery, on a logarithmic scale."""
    found = []
    for each in deliveries:
        routed, changed = moment(each["routed_at"]), moment(each["changed_at"])
        if each["outcome"] == "delivered" and routed is not None and changed is not None:
            found.append((routed, max(0.0, (changed - routed).total_seconds()), each["attempts"]))
    found.sort()
    if not found:
        return Plot("Latency", (), "", "", (), (), (), ())
    first, last = found[0][0], found[-1][0]
    span = (last - first).total_seconds() or 1.0
    marks = tuple(
        Mark(
            "delivered" if attempts <= 1 else "retrying",
            1 + (WIDTH - 2) * (routed - first).total_seconds() / span,
            _height(seconds),
            0,
            0,
            f"{routed:%H:%M:%S}: {duration(seconds)}, {attempts} attempt{'s' * (attempts != 1)}",
        )
        for routed, seconds, attempts in found
    )
    ticks = (f"{first:%d %b %H:%M}", f"{last:%d %b %H:%M} UTC")
    ordered = sorted(seconds for _, seconds, _ in found)
    rows = tuple(
        (name, duration(_quantile(ordered, part))) for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    )
    rows += (("slowest", duration(ordered[-1])),)
    return Plot(
        f"Latency of the last {len(found)} deliveries",
        marks,
        duration(10.0**_SLOWEST),
        duration(10.0**_FASTEST),
        ticks,
        ("delivered", "retrying"),
        ("", "from routed to delivered"),
        rows,
    )


def _height(seconds: float) -> float:
    power = min(_SLOWEST, max(_FASTEST, math.log10(seconds or 10.0**_FASTEST)))
    return 2 + (HEIGHT - 4) * (_SLOWEST - power) / (_SLOWEST - _FASTEST)


def _quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)]


def partition_bars(partitions: Sequence[dict[str, Any]], member: str, title: str, unit: str) -> Plot:
    """A figure of each partition; the highest bar stands out by its height, and the table has them all."""
    values = [float(each.get(member) or 0) for each in partitions]
    most = max(values, default=0) or 1
    total = sum(values) or 1
    width = WIDTH / max(1, len(values))
    marks = tuple(
        Mark(
            "figure",
            width * (at + _GAP / 2),
            HEIGHT - HEIGHT * value / most,
            width * (1 - _GAP),
            HEIGHT * value / most,
            f"{partitions[at]['partition']}: {number(value)} {unit}",
        )
        for at, value in enumerate(values)
        if value
    )
    rows = tuple(
        (str(partitions[at]["partition"]), number(value), percent(value / total)) for at, value in enumerate(values)
    )
    ticks = (str(partitions[0]["partition"]), str(partitions[-1]["partition"])) if partitions else ()
    return Plot(title, marks, f"{number(most)} {unit}", "0", ticks, (), ("partition", unit, "share"), rows)
