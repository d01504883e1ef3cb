"""One row of the comparison: what Headrace and a peer did in the same turns."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


class Unavailable(Exception):
    """The peer cannot be had on this machine; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A stage, and for each turn the figures of Headrace and of the peer, in ``unit``.

    Attributes:
        peer: its name and version.
        less: whether a lower figure is better.
        differs: what one of the two does and the other does not.
    """

    stage: str
    peer: str
    unit: str
    differs: str
    less: bool = False
    turns: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ours(self) -> float:
        """The median of Headrace."""
        return median(ours for ours, _ in self.turns)

    @property
    def theirs(self) -> float:
        """The median of the peer."""
        return median(theirs for _, theirs in self.turns)

    @property
    def ratios(self) -> list[float]:
        """For each turn, how many times better Headrace was, lowest first: below 1 the peer was better."""
        return sorted(theirs / ours if self.less else ours / theirs for ours, theirs in self.turns)

    @property
    def ratio(self) -> float:
        """The median of the turns' ratios."""
        return median(self.ratios)

    def as_json(self) -> dict[str, object]:
        """The member of ``build/bench-peers.json``."""
        return {
            "peer": self.peer,
            "unit": self.unit,
            "ours": self.ours,
            "theirs": self.theirs,
            "ratio": self.ratio,
            "ratios": self.ratios,
            "differs": self.differs,
            "turns": self.turns,
        }
