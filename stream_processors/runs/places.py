"""Who works now: the runs that take the places of a process, and those that wait without one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from backbone.runs.records import partition_of
from schemas.model.run import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from backbone.catalog.view import CatalogView
    from backbone.runs.view import KnownRun

MOST_AT_ONCE, MOST_OF_WORKSPACE = 16, 4
"""Runs that one process works on; each has a consumer and a producer. A run that waits for its rate has no place."""

KEPT_OPEN = 5.0
"""Seconds: a run that waits for less keeps its consumer and producer, as long as nobody else needs the room."""


class Places:
    """Gives runs their places: a few of each workspace, the oldest of each client, then the second of each.

    A run with a low rate may take for ever: whoever asks for many keeps neither others nor workspaces waiting.
    """

    def __init__(self) -> None:
        self._waits: dict[str, float] = {}
        self._failed: dict[str, float] = {}

    def wait(self, run_id: str, until: float) -> None:
        """Give up the place of a run until a time: it has nothing to do before, but to be cancelled."""
        self._waits[run_id] = until

    def put_off(self, lock: str, until: float) -> None:
        """Leave the runs of a lock alone until a time, whatever is asked of them: the last transaction failed."""
        self._failed[lock] = until

    def choose(
        self, runs: Iterable[KnownRun], catalog: CatalogView, partitions: int, own: Collection[int], now: float
    ) -> dict[str, KnownRun]:
        """The runs to work on now.

        Args:
            runs: all.
            catalog: says which endpoints their owners have paused.
            partitions: of the topic ``runs``.
            own: the partitions of this process.
            now: seconds of the clock of the other methods.
        """
        self._waits = {name: until for name, until in self._waits.items() if until > now}
        self._failed = {name: until for name, until in self._failed.items() if until > now}
        chosen: dict[str, KnownRun] = {}
        waiting: list[KnownRun] = []
        for known in sorted(runs, key=lambda each: each.run.created_at):
            run = known.run
            if known.is_ended or known.wanted is Wanted.PAUSE or run.lock in self._failed:
                continue
            if partition_of(run.lock, partitions) not in own:
                continue
            if known.wanted is Wanted.CANCEL:
                # It ends at once, and keeps nobody waiting.
                chosen[run.id] = known
                continue
            endpoint = None if run.endpoint is None or run.dry_run else catalog.endpoint(run.endpoint)
            if endpoint is not None and endpoint.enabled and endpoint.held_since is not None:
                continue  # its owner paused it, for how long nobody knows: others must not wait for that
            if run.id not in self._waits:
                waiting.append(known)
        by_client = _in_turn(waiting, lambda each: (each.run.workspace, each.run.requested_by), len(waiting))
        for known in _in_turn(by_client, lambda each: each.run.workspace, MOST_OF_WORKSPACE):
            if len(chosen) < MOST_AT_ONCE:
                chosen[known.run.id] = known
        return chosen

    def idle(self, opened: Iterable[str], chosen: Collection[str], now: float) -> list[str]:
        """The runs among the opened ones whose consumers and producers are to be closed: they have no place."""
        without = sorted((self._waits.get(each, float("inf")), each) for each in opened if each not in chosen)
        kept = [each for until, each in without if until - now <= KEPT_OPEN][: max(0, MOST_AT_ONCE - len(chosen))]
        return [each for _, each in without if each not in kept]


def _in_turn(runs: Sequence[KnownRun], whose: Callable[[KnownRun], object], most: int) -> list[KnownRun]:
    """The first of each, then the second of each, and so on, at most so many of each."""
    counted = Counter[object]()
    ranked: list[tuple[int, KnownRun]] = []
    for known in runs:
        rank = counted[whose(known)]
        counted[whose(known)] += 1
        if rank < most:
            ranked.append((rank, known))
    return [known for _, known in sorted(ranked, key=lambda each: each[0])]
