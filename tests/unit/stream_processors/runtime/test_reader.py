from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from backbone.kafka.records import Commit
from schemas.model.errors import Unavailable
from stream_processors.metrics import ProcessorMetrics
from stream_processors.runtime.reader import Batch, BatchReader
from tests.support.consumed_messages import FakeMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from backbone.kafka.records import Partition

P = ("events.w.n.c", 0)
Q = ("events.w.n.c", 1)


class FakeConsumer:
    """Plays a script: each ``consume`` runs the next step and returns its messages."""

    def __init__(self, steps: list[Callable[[], list[FakeMessage]]], stop: Callable[[], None]) -> None:
        self.steps = steps
        self.stop = stop
        self.committed_offsets: dict[Partition, int] = {}
        self.metadata: dict[Partition, str] = {}
        self.ends: dict[Partition, int] = {}
        self.seeks: list[Mapping[Partition, int]] = []
        self.log: list[str] = []
        self.on_assigned: Callable[[list[Partition]], Mapping[Partition, int]]
        self.on_revoked: Callable[[list[Partition]], None]

    def subscribe(self, topics: Sequence[str]) -> None:
        self.log.append(f"subscribe {','.join(topics)}")

    def consume(self, _count: int, _timeout: float) -> list[FakeMessage]:
        if not self.steps:
            self.stop()
            return []
        return self.steps.pop(0)()

    def commits(self, partitions: Iterable[Partition]) -> dict[Partition, Commit | None]:
        return {
            partition: Commit(self.committed_offsets[partition], self.metadata.get(partition, ""))
            if partition in self.committed_offsets
            else None
            for partition in partitions
        }

    def known_ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        assert list(partitions), "librdkafka refuses to be asked of none"
        return {partition: self.ends[partition] for partition in partitions if partition in self.ends}

    def partitions_of(self, topics: Iterable[str]) -> list[Partition]:
        self.log.append(f"look at {','.join(topics)}")
        return []

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        self.committed_offsets.update(offsets)
        for partition in offsets:
            self.metadata.pop(partition, None)

    def seek(self, offsets: Mapping[Partition, int]) -> None:
        self.seeks.append(offsets)

    def pause(self, partitions: Iterable[Partition]) -> None:
        self.log += [f"pause {number}" for _, number in partitions]

    def resume(self, partitions: Iterable[Partition]) -> None:
        self.log += [f"resume {number}" for _, number in partitions]

    def group_metadata(self) -> str:
        return "member"

    def close(self) -> None:
        self.log.append("close")


def run(
    steps: list[Callable[[], list[FakeMessage]]],
    *,
    starts: Mapping[Partition, int],
    unknown: bool = False,
    committed: Mapping[Partition, int] | None = None,
    ends: Mapping[Partition, int] | None = None,
    batches: list[Batch] | None = None,
    gather: float = 0.0,
) -> tuple[list[Batch], FakeConsumer, BatchReader]:
    """Run a reader over a script until it ends; ``batches`` gets what it hands over, while it runs.

    With ``unknown`` the client has to look at the topic before it knows of the partitions in ``starts``.
    """

    def start(asked: Any, partitions: Sequence[Partition]) -> dict[Partition, int]:
        if unknown and "look at events.w.n.c" not in asked.log:
            raise Unavailable("unknown partition")
        return {partition: starts[partition] for partition in partitions}

    def new_consumer(**callbacks: Any) -> Any:
        consumer.on_assigned, consumer.on_revoked = callbacks["on_assigned"], callbacks["on_revoked"]
        return consumer

    reader = BatchReader(
        agent="router",
        new_consumer=new_consumer,
        topics=lambda: frozenset({"events.w.n.c"}),
        start=start,
        batch_events=100,
        metrics=ProcessorMetrics(CollectorRegistry()),
        gather=gather,
    )
    consumer = FakeConsumer(steps, reader.stop)
    consumer.committed_offsets.update(committed or {})
    consumer.ends.update(ends or {})
    batches = [] if batches is None else batches
    steps[:] = [_bound(step, consumer, reader) for step in steps]
    thread = threading.Thread(target=reader.run, args=(batches.append,), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    return batches, consumer, reader


def _bound(step: Any, consumer: FakeConsumer, reader: BatchReader) -> Callable[[], list[FakeMessage]]:
    return lambda: step(consumer, reader) or []


def test_the_start_offset_is_committed_before_anything_is_handed_over() -> None:
    offsets: list[Mapping[Partition, int]] = []
    batches, consumer, _ = run(
        [
            lambda consumer, _: offsets.append(consumer.on_assigned([P])),
            lambda *_: [FakeMessage(7)],
        ],
        starts={P: 7},
    )

    assert (offsets, consumer.committed_offsets) == ([{P: 7}], {P: 7})
    assert [(batch.resumed, batch.sequence, batch.membership) for batch in batches] == [({P: Commit(7)}, 0, "member")]


def test_partitions_that_were_added_are_looked_for_by_the_client_that_there_is() -> None:
    """Another one would know of them, but all that this one reads would have to be given up for it."""
    batches, consumer, _ = run(
        [lambda consumer, _: consumer.on_assigned([P]) and None, lambda *_: [FakeMessage(0)]],
        starts={P: 0},
        unknown=True,
    )

    assert consumer.log == ["subscribe events.w.n.c", "look at events.w.n.c", "close"]
    assert batches[0].resumed == {P: Commit(0)}
    assert consumer.committed_offsets == {P: 0}


def test_a_committed_partition_resumes_there_or_where_the_first_subscription_starts() -> None:
    batches, consumer, _ = run(
        [lambda consumer, _: consumer.on_assigned([P, Q]) and None, lambda *_: [FakeMessage(50)]],
        starts={P: 3, Q: 90},
        committed={P: 50, Q: 50},
    )

    assert consumer.seeks == [{P: 50, Q: 90}]
    assert batches[0].resumed == {P: Commit(50), Q: Commit(50)}
    assert consumer.committed_offsets == {P: 50, Q: 50}


def test_a_partition_that_lost_what_was_handled_is_read_on_at_its_end() -> None:
    """Else all that is appended up to the committed offset would pass for handled."""
    batches, consumer, _ = run(
        [lambda consumer, _: consumer.on_assigned([P, Q]) and None, lambda *_: [FakeMessage(40)]],
        starts={P: 3, Q: 3},
        committed={P: 50, Q: 50},
        ends={P: 40, Q: 51},
    )

    assert consumer.seeks == [{P: 40, Q: 50}]
    assert batches[0].resumed == {P: Commit(40), Q: Commit(50)}
    assert consumer.committed_offsets == {P: 40, Q: 50}


def test_what_is_fetched_while_the_generation_ends_is_not_handed_over() -> None:
    def fetch_during_rewind(_consumer: FakeConsumer, reader: BatchReader) -> list[FakeMessage]:
        with reader.gate:
            reader.rewind()
        return [FakeMessage(1)]

    batches, consumer, _ = run(
        [
            lambda consumer, _: consumer.on_assigned([P]) and None,
            lambda *_: [FakeMessage(0)],
            fetch_during_rewind,
            lambda *_: [FakeMessage(0)],
            lambda *_: [FakeMessage(1)],
        ],
        starts={P: 0},
    )

    assert [[message.offset() for message in batch.messages] for batch in batches] == [[0], [0, 1]]
    assert [batch.sequence for batch in batches] == [0, 0]
    assert batches[0].generation < batches[1].generation
    assert len(consumer.seeks) == 2


def test_a_batch_that_is_not_full_is_followed_by_a_pause_which_a_stop_ends() -> None:
    def stop_soon(_consumer: FakeConsumer, reader: BatchReader) -> list[FakeMessage]:
        threading.Timer(0.05, reader.stop).start()
        return [FakeMessage(100)]

    steps: list[Any] = [
        lambda consumer, _: consumer.on_assigned([P]) and None,
        lambda *_: [FakeMessage(offset) for offset in range(100)],
        stop_soon,
        lambda *_: [FakeMessage(101)],
    ]
    batches, consumer, _ = run(steps, starts={P: 0}, gather=3_600)

    assert [len(batch.messages) for batch in batches] == [100, 1]
    assert len(consumer.steps) == 1


def test_a_batch_grows_until_it_is_taken_or_full() -> None:
    def fetch_after_take(_consumer: FakeConsumer, reader: BatchReader) -> list[FakeMessage]:
        reader.take(batches[0])
        return [FakeMessage(2)]

    batches: list[Batch] = []
    run(
        [
            lambda consumer, _: consumer.on_assigned([P]) and None,
            lambda *_: [FakeMessage(0)],
            lambda *_: [FakeMessage(1)],
            fetch_after_take,
            lambda *_: [FakeMessage(offset) for offset in range(3, 102)],
            lambda *_: [FakeMessage(102)],
        ],
        starts={P: 0},
        batches=batches,
    )

    assert [[message.offset() for message in batch.messages] for batch in batches] == [
        [0, 1],
        list(range(2, 102)),
        [102],
    ]
    assert [batch.sequence for batch in batches] == [0, 1, 2]


def test_partitions_that_are_held_are_not_fetched_until_they_are_let_go() -> None:
    def let_go(_consumer: FakeConsumer, reader: BatchReader) -> list[FakeMessage]:
        reader.take(batches[0])
        assert not reader.has_fetched
        reader.hold([])
        return []

    def rewind(_consumer: FakeConsumer, reader: BatchReader) -> list[FakeMessage]:
        with reader.gate:
            reader.rewind()
        return []

    batches: list[Batch] = []
    _, consumer, reader = run(
        [
            lambda consumer, _: consumer.on_assigned([P, Q]) and None,
            lambda _, reader: reader.hold([P, ("events.of.another.worker", 0)]),
            lambda *_: [FakeMessage(0, partition=1)],
            let_go,
            lambda _, reader: reader.hold([Q]),
            rewind,
            lambda *_: [FakeMessage(0)],
        ],
        starts={P: 0, Q: 0},
        batches=batches,
    )

    assert [entry for entry in consumer.log if entry.startswith(("pause", "resume"))] == [
        "pause 0",
        "resume 0",
        "pause 1",
        "resume 1",
    ]
    assert reader.has_fetched


def test_a_revocation_waits_for_the_open_transaction() -> None:
    order: list[str] = []

    def revoke(consumer: FakeConsumer, reader: BatchReader) -> None:
        reader.gate.acquire()

        def finish() -> None:
            order.append("transaction ended")
            reader.gate.release()

        threading.Timer(0.1, finish).start()
        consumer.on_revoked([P])
        order.append("revoked")

    batches, _, reader = run(
        [lambda consumer, _: consumer.on_assigned([P]) and None, lambda *_: [FakeMessage(0)], revoke], starts={P: 0}
    )

    assert order == ["transaction ended", "revoked"]
    assert batches[0].generation < reader.generation


def test_offsets_of_an_agent_without_transactions_are_committed_on_the_poll_thread() -> None:
    def finish(_consumer: FakeConsumer, reader: BatchReader) -> None:
        reader.commit({P: 1, Q: 9})

    _, consumer, _ = run(
        [lambda consumer, _: consumer.on_assigned([P]) and None, lambda *_: [FakeMessage(0)], finish, lambda *_: None],
        starts={P: 0},
    )

    assert consumer.committed_offsets == {P: 1}


def test_a_consumer_that_fails_is_replaced_and_everything_is_read_again() -> None:
    def fail(consumer: FakeConsumer, _reader: BatchReader) -> None:
        # A closing consumer gives its partitions up.
        consumer.close = lambda: consumer.on_revoked([P])  # type: ignore[method-assign]
        raise Unavailable("fatal")

    batches, consumer, _ = run(
        [
            lambda consumer, _: consumer.on_assigned([P]) and None,
            lambda *_: [FakeMessage(0)],
            fail,
            lambda consumer, _: consumer.on_assigned([P]) and None,
            lambda *_: [FakeMessage(0)],
        ],
        starts={P: 0},
    )

    assert [batch.sequence for batch in batches] == [0, 0]
    assert batches[0].generation < batches[1].generation
    assert consumer.log.count("subscribe events.w.n.c") == 2


def test_a_reader_that_is_not_told_where_to_read_on_asks_again_as_the_same_member() -> None:
    """A consumer that leaves and whose leave does not arrive keeps its partitions from all for a whole session."""

    def lose_the_coordinator(consumer: FakeConsumer, reader: BatchReader) -> None:
        answer, failures = consumer.commits, [Unavailable("no coordinator")] * 2

        def commits(partitions: Iterable[Partition]) -> dict[Partition, Commit | None]:
            if failures:
                raise failures.pop()
            return answer(partitions)

        consumer.commits = commits  # type: ignore[method-assign]
        with reader.gate:
            reader.rewind()

    def dropped(*_: Any) -> list[FakeMessage]:
        return [FakeMessage(5)]

    batches, consumer, _ = run(
        [
            lambda consumer, _: consumer.on_assigned([P]) and None,
            lambda *_: [FakeMessage(0)],
            lose_the_coordinator,
            dropped,
            dropped,
            lambda *_: [FakeMessage(0)],
        ],
        starts={P: 0},
    )

    assert [[message.offset() for message in batch.messages] for batch in batches] == [[0], [0]]
    assert [batch.sequence for batch in batches] == [0, 0]
    assert (consumer.log.count("close"), len(consumer.seeks)) == (1, 2)


def test_a_transaction_that_hangs_is_looked_for_when_offsets_are_not_told_for_long() -> None:
    blocked: list[tuple[FakeConsumer, Partition]] = []

    def hang(consumer: FakeConsumer, reader: BatchReader) -> None:
        answer = consumer.commits

        def end_it(of: Any, partition: Partition) -> None:
            blocked.append((of, partition))
            consumer.commits = answer  # type: ignore[method-assign]

        def commits(_: Iterable[Partition]) -> dict[Partition, Commit | None]:
            raise Unavailable("an open transaction has offsets")

        consumer.commits = commits  # type: ignore[method-assign]
        reader.on_blocked = end_it
        with reader.gate:
            reader.rewind()

    nothing = [lambda *_: []] * 3
    batches, consumer, _ = run(
        [lambda consumer, _: consumer.on_assigned([P]) and None, hang, *nothing, lambda *_: [FakeMessage(0)]],
        starts={P: 0},
    )

    assert blocked == [(consumer, P)]
    assert len(batches) == 1


def test_what_was_committed_beside_an_offset_is_handed_along_with_it() -> None:
    def begin(consumer: FakeConsumer, _: BatchReader) -> None:
        consumer.metadata.update({P: "half", Q: "beyond the end"})
        consumer.on_assigned([P, Q])

    batches, *_ = run(
        [begin, lambda *_: [FakeMessage(40)]],
        starts={P: 0, Q: 0},
        committed={P: 40, Q: 90},
        ends={P: 100, Q: 50},
    )
    assert batches[0].resumed == {P: Commit(40, "half"), Q: Commit(50)}
