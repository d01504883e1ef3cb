"""What a benchmark figure is made of: CPU seconds of a process, percentiles, and one row of the table."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHILDREN = "/proc/{pid}/task/{pid}/children"
_USER, _SYSTEM = 13, 14
"""Positions of utime and stime in ``/proc/<pid>/stat``, counted after the command name."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row of the table and one member of ``build/bench.json``.

    ``value`` and ``yardstick`` are in ``unit``; ``ratio`` is value ÷ yardstick, or yardstick ÷ value where less is
    better, so that a higher ratio is always the better one. ``goal`` is the least ratio wanted; None where the
    figure only informs. ``wall`` is the same measured by the clock, for the reader.
    """

    stage: str
    value: float
    unit: str
    yardstick: float
    ratio: float
    goal: float | None
    against: str
    wall: str

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.goal is None or self.ratio >= self.goal

    def as_json(self) -> dict[str, object]:
        """The member of ``build/bench.json``."""
        return {key: value for key, value in asdict(self).items() if key != "stage"}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads and its living descendants, in seconds (Linux)."""
    ticks = 0
    for process in (pid, *_descendants(pid)):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[_USER - 2]) + int(fields[_SYSTEM - 2])
    return ticks / os.sysconf("SC_CLK_TCK")


def peak_megabytes(pid: int) -> float:
    """The most resident memory that a process has had, in megabytes (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) * 1_024 / 1e6


def _descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(_CHILDREN.format(pid=pid)).read_text().split()]
    return children + [grandchild for child in children for grandchild in _descendants(child)]


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile (``share`` between 0 and 1) of at least one value."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
