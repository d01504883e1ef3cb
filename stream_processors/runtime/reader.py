"""The reader: polls Kafka on its own thread and hands batches to an agent, in generations.

A generation is a period of reading without an interruption. An interruption (a rebalance, an aborted transaction, a
failure) starts the next generation. Batches of the old one that are still queued are dropped, and every assigned
partition is read again from its committed offset. Otherwise a batch queued behind an aborted one would commit offsets
past the records that were not routed.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from backbone.kafka.records import Commit
from schemas.model.errors import HeadraceError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from backbone.kafka.consumer import BatchConsumer
    from backbone.kafka.records import ConsumedRecord, Partition
    from stream_processors.metrics import ProcessorMetrics

log = logging.getLogger(__name__)

_POLL = 0.1
"""Seconds to wait for the first event of a batch: how soon a subscription change or a rewind is noticed."""
_HOLDING_POLL = 0.01
"""The same while partitions are held back: how soon they are fetched again."""
_FOLLOW = 0.1
"""Seconds between two checks of the topics to read."""
_BACKOFF = 0.5
"""Seconds to wait after Kafka refused something."""
_BLOCKED_AFTER = 3
"""Failed requests for committed offsets, in a row, after which a hanging transaction is assumed to be the reason."""


@dataclass(kw_only=True, slots=True)
class Batch:
    """Fetched events. A batch grows while it is queued, until its agent takes it.

    Attributes:
        generation: of the reader when the fetch began.
        sequence: 0, 1, 2 … within the generation; a gap means that a batch was lost.
        resumed: for every assigned partition, the commit (offset and metadata) at which the generation began.
        messages: raw messages, in offset order within each partition.
        membership: the group's metadata at the last fetch, for the transaction that commits the offsets: Kafka refuses
            a worker that has lost its partitions since.
        fetched_at: ``time.monotonic()`` after the last fetch.
        taken: the agent has it, so it no longer grows.
    """

    generation: int
    sequence: int
    resumed: dict[Partition, Commit]
    messages: list[ConsumedRecord]
    membership: Any
    fetched_at: float
    taken: bool = False


class StartOffsets(Protocol):
    """The offsets to start from if the group has committed none, and the least offset worth reading."""

    def __call__(self, consumer: BatchConsumer, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """One offset for each partition."""


def from_the_beginning(consumer: BatchConsumer, partitions: Sequence[Partition]) -> dict[Partition, int]:  # noqa: ARG001  # StartOffsets
    """Start at offset 0, for a view that is rebuilt from Kafka."""
    return dict.fromkeys(partitions, 0)


class BatchReader:
    """Reads the topics that ``topics()`` names as a member of ``group``, on the thread that calls ``run``.

    Args:
        agent: name for logs and metrics.
        new_consumer: builds the consumer, given its callbacks; called on the poll thread.
        topics: returns the topics to read; called repeatedly, on the poll thread.
        start: see ``StartOffsets``.
        batch_events: most events in a batch.
        metrics: of this process.
        gather: seconds to wait between two fetches that did not fill a batch. This makes fewer and larger batches, for
            an agent with a high cost per batch.
    """

    def __init__(
        self,
        *,
        agent: str,
        new_consumer: Callable[..., BatchConsumer],
        topics: Callable[[], frozenset[str]],
        start: StartOffsets,
        batch_events: int,
        metrics: ProcessorMetrics,
        gather: float = 0.0,
    ) -> None:
        self.agent = agent
        self.gate = threading.Lock()
        """Held from the check of a batch's generation to the end of its transaction; a revocation waits for it."""
        self.following = threading.Event()
        """Set when the first set of topics was subscribed to."""
        self.on_blocked: Callable[[BatchConsumer, Partition], None] | None = None
        """Called on the poll thread, with a partition, if Kafka does not return committed offsets for long."""
        self._new_consumer = new_consumer
        self._topics = topics
        self._start = start
        self._batch_events = batch_events
        self._gather = gather
        self._assigned_gauge = metrics.assigned_partitions.labels(agent)
        self._stopping = threading.Event()
        self._state = threading.Lock()
        self._to_commit: dict[Partition, int] = {}
        self._generation = 0
        self._rewind = False
        self._assigned: set[Partition] = set()
        self._starts: dict[Partition, int] = {}
        self._resumed: dict[Partition, Commit] = {}
        self._to_hold: Collection[Partition] = ()
        self._held: set[Partition] = set()
        self._sequence = 0
        self._refusals = 0
        self._last: Batch | None = None
        self._subscribed: frozenset[str] = frozenset()
        self._followed_at = 0.0

    @property
    def generation(self) -> int:
        """The present generation; a batch of another one must be dropped."""
        return self._generation

    def rewind(self) -> None:
        """Start a new generation at the committed offsets; from any thread, while it holds ``gate``."""
        with self._state:
            self._generation += 1
            self._rewind = True
            self._to_hold = ()

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Let the poll thread commit these offsets soon, for agents without transactions. Callable from any thread."""
        with self._state:
            self._to_commit.update(offsets)

    def hold(self, partitions: Collection[Partition]) -> None:
        """Fetch nothing from these partitions, and again from all others, until the next call. From any thread."""
        self._to_hold = partitions

    def take(self, batch: Batch) -> None:
        """Stop the growth of a batch: its agent is about to handle it. Callable from any thread."""
        with self._state:
            batch.taken = True

    @property
    def has_fetched(self) -> bool:
        """Whether a batch waits for its agent."""
        last = self._last
        return last is not None and not last.taken

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Make ``run`` return soon."""
        self._stopping.set()

    def run(self, hand_over: Callable[[Batch], None]) -> None:
        """Poll until ``stop``; ``hand_over`` blocks while the agent's queue is full."""
        while not self._stopping.is_set():
            consumer = self._consumer = self._new_consumer(on_assigned=self._on_assigned, on_revoked=self._on_revoked)
            self._subscribed, self._assigned, self._starts, self._held = frozenset(), set(), {}, set()
            try:
                while not self._stopping.is_set():
                    self._turn(consumer, hand_over)
            except HeadraceError as error:
                log.warning("reading failed, starting over", extra={"agent": self.agent, "error": str(error)})
            finally:
                consumer.close()
            self._stopping.wait(_BACKOFF)

    def _turn(self, consumer: BatchConsumer, hand_over: Callable[[Batch], None]) -> None:
        self._follow(consumer)
        self._commit_finished()
        self._apply_hold(consumer)
        with self._state:
            # Both are read now: after a rewind, the records fetched below belong to the old generation.
            generation, rewind, self._rewind = self._generation, self._rewind, False
        if rewind and not self._resume(consumer):
            return
        messages = consumer.consume(self._batch_events, _HOLDING_POLL if self._held else _POLL)
        if not messages or generation != self._generation:
            return
        batch = Batch(
            generation=generation,
            sequence=self._sequence,
            resumed=self._resumed,
            messages=messages,
            membership=consumer.group_metadata(),
            fetched_at=time.monotonic(),
        )
        if not self._add_to_last(batch):
            self._last = batch
            self._sequence += 1
            hand_over(batch)
        if self._gather and len(messages) < self._batch_events:
            self._stopping.wait(self._gather)

    def _apply_hold(self, consumer: BatchConsumer) -> None:
        held = set(self._to_hold) & self._assigned
        if held != self._held:
            consumer.pause(held - self._held)
            consumer.resume(self._held - held)
            self._held = held

    def _add_to_last(self, fetched: Batch) -> bool:
        """Add fetched records to the queued batch, if it has room.

        So with a slow agent an event waits for one turn of the agent, and not for one turn per fetch.
        """
        with self._state:
            last = self._last
            if last is None or last.taken or last.generation != fetched.generation:
                return False
            if len(last.messages) + len(fetched.messages) > self._batch_events:
                return False
            last.messages += fetched.messages
            last.membership, last.fetched_at = fetched.membership, fetched.fetched_at
            return True

    def _follow(self, consumer: BatchConsumer) -> None:
        now = time.monotonic()
        if now - self._followed_at < _FOLLOW:
            return
        self._followed_at = now
        topics = self._topics()
        if topics != self._subscribed:
            consumer.subscribe(sorted(topics))
            self._subscribed = topics
            log.info("reading topics", extra={"agent": self.agent, "topics": len(topics)})
        self.following.set()

    def _commit_finished(self) -> None:
        with self._state:
            finished, self._to_commit = self._to_commit, {}
        offsets = {partition: offset for partition, offset in finished.items() if partition in self._assigned}
        try:
            self._consumer.commit(offsets)
        except HeadraceError as error:
            # The partitions' present owner reads the records again; agents that commit this way tolerate it.
            log.warning("offsets not committed", extra={"agent": self.agent, "error": str(error)})

    def _resume(self, consumer: BatchConsumer) -> bool:
        """Begin a generation. False if Kafka does not return the offsets: the next turn asks again, as the same member.

        The consumer is not closed then: if its leave request were lost, nobody would own its partitions for a session.
        """
        self._sequence = 0
        try:
            if not self._assigned <= self._starts.keys():
                # The client's metadata of a topic may be older than its newest partitions.
                consumer.partitions_of(self._subscribed)
            self._resumed, positions = self._committed(consumer, sorted(self._assigned))
        except Unavailable as error:
            log.warning("cannot read on yet", extra={"agent": self.agent, "error": str(error)})
            with self._state:
                self._rewind = True
            # Polls only to stay in the group: the records belong to no generation, and are read again.
            consumer.consume(self._batch_events, 0)
            self._refusals += 1
            if self.on_blocked and self._assigned and self._refusals % _BLOCKED_AFTER == 0:
                self.on_blocked(consumer, min(self._assigned))
            self._stopping.wait(_BACKOFF)
            return False
        self._refusals = 0
        consumer.seek(positions)
        return True

    def _committed(
        self, consumer: BatchConsumer, partitions: Sequence[Partition]
    ) -> tuple[dict[Partition, Commit], dict[Partition, int]]:
        """The committed offsets, after committing a start where there was none; and the offsets to read from."""
        if not partitions:
            return {}, {}
        unknown = [partition for partition in partitions if partition not in self._starts]
        if unknown:
            self._starts.update(self._start(consumer, unknown))
        starts = self._starts
        commits = consumer.commits(partitions)
        known = {partition: found for partition, found in commits.items() if found is not None}
        fresh = {partition: starts[partition] for partition in partitions if partition not in known}
        # Committed at once: otherwise a later start could skip an event that comes meanwhile.
        changed = fresh | self._beyond_end(consumer, known)
        consumer.commit(changed)
        resumed = known | {partition: Commit(offset) for partition, offset in changed.items()}
        # Records before the start match no subscription: they are skipped, with a receipt.
        return resumed, {partition: max(found.offset, starts[partition]) for partition, found in resumed.items()}

    def _beyond_end(self, consumer: BatchConsumer, committed: Mapping[Partition, Commit]) -> dict[Partition, int]:
        """The ends of partitions that have lost handled records: new records get the offsets of the lost ones."""
        ends = consumer.known_ends(committed) if committed else {}
        beyond = {partition: end for partition, end in ends.items() if committed[partition].offset > end}
        for (topic, number), end in beyond.items():
            place = {"agent": self.agent, "topic": topic, "partition": number, "end": end}
            log.error("records that were handled are gone from Kafka; reading on at the end", extra=place)
        return beyond

    def _on_assigned(self, partitions: list[Partition]) -> dict[Partition, int]:
        with self.gate:
            self._assigned.update(partitions)
            self._held.difference_update(partitions)
            self.rewind()
        self._report("partitions assigned", partitions)
        try:
            return self._committed(self._consumer, partitions)[1]
        except HeadraceError as error:
            # The rewind comes before the next batch and asks again.
            log.warning("no start offsets yet", extra={"agent": self.agent, "error": str(error)})
            return {}

    def _on_revoked(self, partitions: list[Partition]) -> None:
        # The gate opens when the open transaction has ended, and only then are the partitions given up.
        with self.gate:
            self._commit_finished()
            self._assigned.difference_update(partitions)
            self._held.difference_update(partitions)
            for partition in partitions:
                self._starts.pop(partition, None)
            self.rewind()
        self._report("partitions revoked", partitions)

    def _report(self, change: str, partitions: list[Partition]) -> None:
        self._assigned_gauge.set(len(self._assigned))
        log.info(change, extra={"agent": self.agent, "partitions": len(partitions), "now": len(self._assigned)})
