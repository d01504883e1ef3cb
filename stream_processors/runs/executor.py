"""Executes runs: those of the partitions of ``runs`` that this process has, each under a lock that Kafka gives.

Membership of the group only says who shall work. The lock is the transactional id ``headrace-replay-<lock>``: whoever
starts a producer with it fences the one before, and reads the progress after that. So every step is written once, also
when two processes believe to have a run.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.consumer_loop import Member
from backbone.runs.records import partition_of
from schemas.model import timestamps
from schemas.model.errors import HeadraceError, Unavailable
from schemas.model.run import LETTER_KINDS, RunState, Wanted
from stream_processors.routing.endpoint_matching import EndpointMatching
from stream_processors.runs.ended_runs import EndedRuns
from stream_processors.runs.pace import Pace
from stream_processors.runs.places import Places
from stream_processors.runs.range_reader import RangeReader
from stream_processors.runs.rules import rule_for
from stream_processors.runs.work import RunWork
from stream_processors.runtime.fault_injection import no_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.decoders import Decoders
    from backbone.catalog.reader import Catalog
    from backbone.endpoint_states import EndpointStateView
    from backbone.kafka.records import ConsumedRecord, Partition
    from backbone.kafka.settings import KafkaSettings
    from backbone.kafka.transaction import TransactionalProducer
    from backbone.runs.view import KnownRun, RunView
    from schemas.model.endpoint import Endpoint
    from schemas.model.run import Run, RunProgress
    from stream_processors.metrics import ProcessorMetrics
    from stream_processors.runs.decisions import Rule
    from stream_processors.runs.held_ranges import HeldRanges
    from stream_processors.runs.letters import Letters
    from stream_processors.runtime.fault_injection import BeforeCommit

log = logging.getLogger(__name__)

GROUP = "headrace-runs"
TRANSACTIONAL_ID = "headrace-replay-"

GIVE_UP_AFTER = 3
"""Failures of our own code in one run before it ends as failed."""

_BACKOFF = 1.0
"""Seconds before a run is begun again after its transaction failed."""

_LOOK_AGAIN = 0.5
"""Seconds before it is looked again for what a pause kept."""

_TURN = 0.5
"""Seconds of work between two looks at the group."""


class RunExecutor(Member):
    """The member of the group that executes runs, on the thread of its ``ConsumerLoop``.

    Args:
        settings: how to reach Kafka.
        catalog: is made to catch up before each step: runs use the filters of the moment.
        decoders: for conditions that look at an event's data.
        view: of all runs.
        letters: which dead letters are settled.
        states: which endpoints connectors have disabled. It is made to catch up before letters are sent again, which
            would be settled; other runs end a moment later.
        held: finds what pauses kept back.
        skew: of the router, see ``MatchIndex``.
        new_producer: builds the producer with a transactional id.
        metrics: of this process.
        clock: seconds; monotonic.
        before_commit: the fault hook of the tests.
    """

    def __init__(
        self,
        *,
        settings: KafkaSettings,
        catalog: Catalog,
        decoders: Decoders,
        view: RunView,
        letters: Letters,
        states: EndpointStateView,
        held: HeldRanges,
        skew: int,
        new_producer: Callable[[str], TransactionalProducer],
        metrics: ProcessorMetrics,
        clock: Callable[[], float] = time.monotonic,
        before_commit: BeforeCommit = no_fault,
    ) -> None:
        self._catalog = catalog
        self._decoders = decoders
        self._view = view
        self._letters = letters
        self._states = states
        self._held = held
        self._skew = skew
        self._new_producer = new_producer
        self._metrics = metrics
        self._clock = clock
        self._before_commit = before_commit
        self._new_consumer = partial(BatchConsumer, settings, group=None, on_stall=metrics.consumers_replaced.inc)
        self._partitions: set[int] = set()
        self._producers: dict[str, TransactionalProducer] = {}
        self._works: dict[str, RunWork] = {}
        self._failures: Counter[tuple[str, int]] = Counter()
        self._places = Places()
        self._paces: dict[str, Pace] = {}
        self._ended = EndedRuns(view, settings.delivery_retention, partial(new_producer, f"{TRANSACTIONAL_ID}ended"))

    def joining(self) -> None:
        """Begin with nothing."""
        self._partitions.clear()
        self._paces.clear()

    def assigned(self, partitions: list[Partition]) -> None:
        """Take over the runs of these partitions."""
        self._partitions.update(number for _, number in partitions)

    def revoked(self, consumer: BatchConsumer, partitions: list[Partition]) -> None:  # noqa: ARG002  # Member's
        """Leave the runs of these partitions to their next owner: nothing is open between two steps."""
        gone = {number for _, number in partitions}
        self._partitions -= gone
        for lock in list(self._producers):
            if partition_of(lock, self._view.partitions) in gone:
                self._drop(lock)

    def failed(self, error: Exception) -> None:
        """Go on, whatever it was: runs must outlive errors that nobody thought of."""
        if isinstance(error, Unavailable):
            log.warning("runs pause: %s", error)
        else:
            log.error("runs pause", exc_info=error)

    def left(self) -> None:
        """Drop everything."""
        for lock in list(self._producers):
            self._drop(lock)

    def read_again(self, consumer: BatchConsumer) -> None:
        """The group's own records say nothing that the view does not."""

    def handle(self, consumer: BatchConsumer, records: Sequence[ConsumedRecord]) -> None:  # noqa: ARG002  # Member's
        """Take turns at the runs, for half a second at most."""
        if not self._view.partitions:
            return
        ends = time.monotonic() + _TURN
        while self._turn() and time.monotonic() < ends:
            pass
        self._remove_ended()

    def _turn(self) -> bool:
        """One step of each run that has a place; whether any of them did something."""
        view, now = self._catalog.view, self._clock()
        chosen = self._places.choose(self._view.runs(), view, self._view.partitions, self._partitions, now)
        self._close_idle(chosen)
        self._metrics.runs.set(len(chosen))
        # Every run takes its turn, whatever those before it did.
        return sum(self._advance(known) for known in chosen.values()) > 0

    def _close_idle(self, chosen: dict[str, KnownRun]) -> None:
        """Close what has no place; the producer of a lock goes with the last of its runs."""
        for run_id in self._places.idle(self._works, chosen, self._clock()):
            lock = self._works[run_id].run.lock
            self._close(run_id)
            if not any(work.run.lock == lock for work in self._works.values()):
                self._drop(lock)

    def _advance(self, known: KnownRun) -> bool:
        run = known.run
        try:
            return self._step(known)
        except HeadraceError as error:
            log.warning("a run goes on later", extra={"run": run.id, "error": str(error)})
            self._metrics.run_transactions.labels("aborted").inc()
            self._put_off(run.lock)
        except Exception:
            self._failures[run.id, known.retries] += 1
            failures = self._failures[run.id, known.retries]
            log.exception("a run failed", extra={"run": run.id, "failures": failures})
            self._put_off(run.lock)
        return False

    def _step(self, known: KnownRun) -> bool:
        work = self._work_of(known)
        instant = timestamps.now()
        if work.is_ended:
            return False  # the view does not show it yet
        self._catalog.catch_up()
        view = self._catalog.view
        if known.run.kind in LETTER_KINDS:
            self._states.catch_up()
        rule = rule_for(known.run, view, self._decoders, self._letters, self._states, skew=self._skew)
        end = self._end_of(known, rule)
        if end is not None:
            work.end(*end, instant)
            self._paces.pop(known.run.id, None)
            return True
        endpoint = None if known.run.endpoint is None else view.endpoint(known.run.endpoint)
        may_send = endpoint is None or self._may_send(work, endpoint)
        if not may_send or isinstance(rule, str):
            return False
        written = work.step(rule, self._clock(), instant, self._before_commit)
        if work.is_ended:
            self._paces.pop(known.run.id, None)
        if written is None:
            wait = self._pace_of(known.run).wait(self._clock())
            if wait:
                self._places.wait(known.run.id, self._clock() + wait)
            return False
        self._metrics.run_transactions.labels("committed").inc()
        if not known.run.dry_run:
            self._metrics.run_deliveries.labels(known.run.kind.value).inc(written)
        return True

    def _work_of(self, known: KnownRun) -> RunWork:
        work = self._works.get(known.run.id)
        if work is not None and work.retries < known.retries:
            # It has ended here, and is asked to go on.
            self._close(known.run.id)
            work = None
        return self._begin(known) if work is None else work

    def _end_of(self, known: KnownRun, rule: Rule | str) -> tuple[RunState, str] | None:
        """Why a run ends before its time, if it does."""
        if self._failures[known.run.id, known.retries] >= GIVE_UP_AFTER:
            return RunState.FAILED, "our own code failed on it; the log says how"
        if known.wanted is Wanted.CANCEL:
            return RunState.CANCELLED, "it was cancelled"
        return (RunState.CANCELLED, rule) if isinstance(rule, str) else None

    def _may_send(self, work: RunWork, endpoint: Endpoint) -> bool:
        """Whether its owner has not paused the endpoint, or the run only counts, and the run knows where to look."""
        if endpoint.held_since is not None and not work.run.dry_run:
            return False
        if work.ranges is None and work.progress is None:
            subscribed = EndpointMatching(self._catalog.view, endpoint).since
            work.ranges = self._held.find(work.run, subscribed)
            if work.ranges is None:
                self._places.wait(work.run.id, self._clock() + _LOOK_AGAIN)
            return work.ranges is not None
        return True

    def _begin(self, known: KnownRun) -> RunWork:
        """Take the run's lock, and only then look how far it is."""
        lock = known.run.lock
        producer = self._producers.get(lock)
        if producer is None:
            producer = self._new_producer(f"{TRANSACTIONAL_ID}{lock}")
            try:
                producer.start()
            except BaseException:
                producer.close()
                raise
            self._producers[lock] = producer
            if known.run.kind in LETTER_KINDS:
                self._letters.catch_up()
        self._view.catch_up()
        latest = self._view.run(known.run.id) or known
        pace = self._pace_of(known.run)
        work = RunWork(latest, producer, self._reader, partitions=self._view.partitions, pace=pace)
        self._works[known.run.id] = work
        return work

    def _pace_of(self, run: Run) -> Pace:
        """The rate of a run, also while it has no place."""
        if run.id not in self._paces:
            self._paces[run.id] = Pace(run.rate, self._clock())
        return self._paces[run.id]

    def _remove_ended(self) -> None:
        try:
            self._ended.remove(self._partitions, self._catalog.view, self._clock(), timestamps.now())
        except HeadraceError as error:
            log.warning("ended runs are removed later", extra={"error": str(error)})

    def _reader(self, progress: RunProgress) -> RangeReader:
        return RangeReader(self._new_consumer, progress.left)

    def _put_off(self, lock: str) -> None:
        """Begin the runs of a lock again later: what the last transaction came to is settled by the next producer."""
        self._drop(lock)
        self._places.put_off(lock, self._clock() + _BACKOFF)

    def _close(self, run_id: str) -> None:
        self._works.pop(run_id).close()
        self._held.forget(run_id)

    def _drop(self, lock: str) -> None:
        for run_id in [name for name, work in self._works.items() if work.run.lock == lock]:
            self._close(run_id)
        producer = self._producers.pop(lock, None)
        if producer is not None:
            producer.close()
