"""A bounded room that workspaces share: one alone has most of it, and there is always some left for another."""

from __future__ import annotations

from collections import Counter

_TIMES = 4
"""A workspace may have so many times as much as is free: alone four fifths of the room, of two each four ninths."""


class SharedRoom:
    """Counts what each workspace has in the room. Not safe for threads.

    Args:
        most: that the room has.
    """

    def __init__(self, most: int) -> None:
        self.used = 0
        self.most = most
        self._used_by: Counter[str] = Counter()

    def used_by(self, workspace: str) -> int:
        """Return what a workspace has in the room."""
        return self._used_by[workspace]

    def has_for(self, workspace: str, size: int) -> bool:
        """Whether a workspace may put something of that size into the room; one that has nothing there always may."""
        mine = self._used_by[workspace]
        return not mine or mine + size <= _TIMES * (self.most - self.used - size)

    def take(self, workspace: str, size: int) -> None:
        """Count something as in the room."""
        self.used += size
        self._used_by[workspace] += size

    def give_back(self, workspace: str, size: int) -> None:
        """Count something as in the room no more."""
        self.used -= size
        self._used_by[workspace] -= size
        if not self._used_by[workspace]:
            del self._used_by[workspace]
