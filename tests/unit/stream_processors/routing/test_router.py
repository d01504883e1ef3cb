from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

import stream_processors.routing.fan_out as fan_out_module
import stream_processors.routing.open_transaction as transaction_module
import stream_processors.routing.router as router_module
from backbone.catalog.view import CatalogView
from backbone.kafka.records import Commit
from schemas.model import topics
from schemas.model.delivery import GroupedDelivery, RoutingReceipt, read_delivery
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import CorruptRecord, Fenced, PayloadTooLarge, TransactionAborted, Unavailable
from schemas.model.projection import EndpointProjection, ProjectionVersion
from stream_processors.metrics import ProcessorMetrics
from stream_processors.routing.matching import Match
from stream_processors.routing.router import Router
from stream_processors.runtime.reader import Batch
from tests.support.consumed_messages import FakeMessage, framed
from tests.support.ended_spans import EndedSpans, traceparent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from backbone.kafka.records import Partition, Record
    from backbone.tracing.spans import ConsumerSpans

LARGEST = 1_000
"""Bytes that the fake producer takes."""
PARTITION = ("events.w.n.c", 0)
ENDPOINT = Endpoint(id="e1", workspace="w", name="e", type=EndpointType.WEB_HOOK, created_at=0, updated_at=0)


class FakeReader:
    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.generation = 1
        self.rewinds = 0
        self.held: set[Partition] = set()

    def hold(self, partitions: Collection[Partition]) -> None:
        self.held = set(partitions)

    def rewind(self) -> None:
        assert self.gate.locked()
        self.generation += 1
        self.rewinds += 1


class FakeProducer:
    """Keeps what was committed; ``trouble`` is raised by the next commits, each of which takes ``seconds``."""

    seconds = 0.0

    def __init__(
        self, committed: list[Record], offsets: list[dict[Partition, int]], marks: list[dict[Partition, str]]
    ) -> None:
        self.committed = committed
        self.offsets = offsets
        self.marks = marks
        self.open: list[Record] = []
        self.trouble: list[Exception] = []
        self.aborts = 0
        self.closed = False

    def start(self) -> None:
        pass

    def begin(self) -> None:
        assert self.open == []

    def produce(self, record: Record) -> None:
        if len(record.value or b"") > LARGEST:
            raise PayloadTooLarge("too large")
        self.open.append(record)

    def send_offsets(self, offsets: dict[Partition, int], membership: Any, metadata: Mapping[Partition, str]) -> None:
        assert membership == "member"
        self._sent = offsets
        self._metadata = dict(metadata)

    def commit(self) -> None:
        time.sleep(self.seconds)
        if self.trouble:
            self.open = []
            raise self.trouble.pop(0)
        self.committed += self.open
        self.offsets.append(self._sent)
        self.marks.append(self._metadata)
        self.open = []

    def abort(self) -> None:
        self.open = []
        self.aborts += 1

    def close(self) -> None:
        self.closed = True


class Bench:
    """A router over doubles."""

    def __init__(
        self,
        match: Callable[[Any, Any], Sequence[Match]],
        *,
        transaction_deliveries: int = 1_000,
        workspaces: Sequence[str] = ("w",),
        spans: ConsumerSpans | None = None,
    ) -> None:
        self.match = match
        self._registry = CollectorRegistry()
        self.reader = FakeReader()
        self.committed: list[Record] = []
        self.offsets: list[dict[Partition, int]] = []
        self.marks: list[dict[Partition, str]] = []
        self.producers: list[FakeProducer] = []
        self.steps: Callable[[Any], Iterator[Sequence[Match] | None]] | None = None
        self.catch_ups = 0
        self.unavailable = 0
        self.view = CatalogView()
        index = SimpleNamespace(
            match=self._match, takes_long=lambda _: self.steps is not None, steps=self._steps, workspaces=workspaces
        )
        self.router = Router(
            catalog=SimpleNamespace(catch_up=self._catch_up, view=self.view),  # type: ignore[arg-type]
            index=SimpleNamespace(  # type: ignore[arg-type]
                catch_up=lambda: None, current=lambda: index
            ),
            decoders=None,  # type: ignore[arg-type]
            reader=self.reader,  # type: ignore[arg-type]
            new_producer=self._new_producer,  # type: ignore[arg-type]
            transaction_deliveries=transaction_deliveries,
            metrics=ProcessorMetrics(self._registry),
            spans=spans,
        )

    def count(self, metric: str) -> float | None:
        """The value of a metric."""
        return self._registry.get_sample_value(metric)

    def _match(self, message: Any, decode: Any) -> Sequence[Match]:
        return self.match(message, decode)

    def _steps(self, message: Any, _decode: Any) -> Iterator[Sequence[Match] | None]:
        assert self.steps is not None
        return self.steps(message)

    def _catch_up(self) -> None:
        self.catch_ups += 1
        if self.unavailable:
            self.unavailable -= 1
            raise Unavailable("away")

    def _new_producer(self) -> FakeProducer:
        self.producers.append(FakeProducer(self.committed, self.offsets, self.marks))
        return self.producers[-1]

    def batch(
        self,
        *messages: FakeMessage,
        sequence: int = 0,
        resumed: int = 0,
        mark: str = "",
        generation: int | None = None,
    ) -> None:
        """Hand the router a batch."""
        self.router.handle(
            Batch(
                generation=self.reader.generation if generation is None else generation,
                sequence=sequence,
                resumed={PARTITION: Commit(resumed, mark)},
                messages=list(messages),
                membership="member",
                fetched_at=float("inf"),
            )
        )

    def routed(self) -> list[int]:
        """Offsets of the committed deliveries."""
        return [
            int(dict(record.headers or ())["hr_source"].rpartition(b"/")[2])
            for record in self.committed
            if record.topic == topics.WEBHOOK_DELIVERIES
        ]

    def dead(self) -> list[tuple[bytes, bytes]]:
        """Offset and reason of the committed dead letters."""
        found = [dict(record.headers or ()) for record in self.committed if record.topic == topics.DEAD_LETTERS]
        return [(each["hr_dead_offset"], each["hr_dead_reason"]) for each in found]


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_module, "_BACKOFF", 0)


def everything(_message: Any, _decode: Any) -> Sequence[Match]:
    return [Match(ENDPOINT, ("s1",))]


def test_a_batch_is_one_transaction_of_deliveries_receipts_and_offsets() -> None:
    bench = Bench(everything)

    bench.batch(FakeMessage(0), FakeMessage(1))

    assert bench.routed() == [0, 1]
    assert [record.topic for record in bench.committed][2:] == [topics.ROUTING_RECEIPTS]
    assert bench.offsets == [{PARTITION: 2}]


def test_a_delivery_names_the_version_that_its_endpoints_projection_has_at_that_moment() -> None:
    other = msgspec.structs.replace(ENDPOINT, id="e2")
    bench = Bench(lambda _message, _decode: [Match(ENDPOINT, ("s1",)), Match(other, ("s2",))])
    versions = tuple(ProjectionVersion(number=each, expression="id", created_at=0) for each in (1, 2))
    projection = EndpointProjection(
        endpoint=ENDPOINT.id,
        workspace="w",
        topic=PARTITION[0],
        namespace="n",
        code="c",
        versions=versions,
        current=2,
        created_at=0,
        updated_at=0,
    )
    for number, current in enumerate((2, 1, None)):
        bench.view.put(msgspec.structs.replace(projection, current=current), 0)
        bench.batch(FakeMessage(number), sequence=number)

    deliveries = [read_delivery(record.headers or []) for record in bench.committed if record.key in (b"e1", b"e2")]
    assert [getattr(each, "projection", "none") for each in deliveries] == [2, None, 1, None, None, None]


def test_a_wide_batch_is_several_transactions() -> None:
    bench = Bench(everything, transaction_deliveries=2)

    bench.batch(*(FakeMessage(offset) for offset in range(5)))

    assert bench.offsets == [{PARTITION: 2}, {PARTITION: 4}, {PARTITION: 5}]
    assert bench.routed() == [0, 1, 2, 3, 4]


def test_a_batch_of_an_earlier_generation_is_dropped() -> None:
    bench = Bench(everything)

    bench.batch(FakeMessage(0), generation=0)

    assert (bench.committed, bench.reader.rewinds) == ([], 0)


def test_after_an_abort_the_batches_behind_it_are_dropped_and_all_is_read_again() -> None:
    bench = Bench(everything)
    bench.batch(FakeMessage(0))
    bench.producers[0].trouble = [TransactionAborted("away")]

    bench.batch(FakeMessage(1), sequence=1)
    bench.batch(FakeMessage(2), sequence=2, generation=1)
    bench.batch(FakeMessage(1), FakeMessage(2), resumed=1)

    assert bench.routed() == [0, 1, 2]
    assert bench.reader.rewinds == 1
    assert len(bench.producers) == 1


def test_a_delivery_carries_the_span_of_its_routing_which_ends_with_the_transaction() -> None:
    spans = EndedSpans()
    bench = Bench(everything, spans=spans.tracing.processed("routers"))
    bench.batch(FakeMessage(0))
    bench.producers[0].trouble = [TransactionAborted("away")]

    bench.batch(FakeMessage(1), sequence=1)
    bench.batch(FakeMessage(1), resumed=1)

    errors = [(span.attributes or {}).get("error.type") for span in spans.ended()]
    assert errors == [None, "TransactionAborted", None]
    sent = [dict(each.headers or ())["traceparent"] for each in bench.committed if each.headers]
    assert [each.decode() for each in sent] == [traceparent_of(spans.ended()[0]), traceparent_of(spans.ended()[2])]


def test_a_fenced_producer_is_replaced_at_once() -> None:
    bench = Bench(everything)
    bench.batch(FakeMessage(0))
    bench.producers[0].trouble = [Fenced("another took the id")]

    bench.batch(FakeMessage(1), sequence=1)
    assert (bench.producers[0].closed, len(bench.producers)) == (True, 2)
    bench.batch(FakeMessage(1), resumed=1)

    assert bench.routed() == [0, 1]


def test_a_batch_that_never_arrived_is_noticed() -> None:
    bench = Bench(everything)
    bench.batch(FakeMessage(0))

    bench.batch(FakeMessage(2), sequence=2)

    assert (bench.routed(), bench.reader.rewinds) == ([0], 1)


def test_offsets_that_were_routed_before_have_the_reader_look_where_the_partition_ends() -> None:
    """A broker that lost power gives them to new events: passed over, all would be up to the committed offset."""
    bench = Bench(everything)
    bench.batch(FakeMessage(5), resumed=5)

    bench.batch(FakeMessage(0), sequence=1, resumed=5)
    assert (bench.routed(), bench.offsets, bench.reader.rewinds) == ([5], [{PARTITION: 6}], 1)
    bench.batch(FakeMessage(1), resumed=1)
    assert bench.routed() == [5, 1]


def test_nothing_is_matched_before_the_catalog_has_caught_up() -> None:
    bench = Bench(everything)
    bench.unavailable = 1

    bench.batch(FakeMessage(0))
    assert (bench.routed(), bench.reader.rewinds) == ([], 1)
    bench.batch(FakeMessage(0))

    assert (bench.routed(), bench.catch_ups) == ([0], 2)


def test_a_corrupt_record_is_set_aside_in_the_same_transaction() -> None:
    def match(message: FakeMessage, decode: Any) -> Sequence[Match]:
        if message.offset() == 1:
            raise CorruptRecord("cut off")
        return everything(message, decode)

    bench = Bench(match)

    bench.batch(*(FakeMessage(offset) for offset in range(3)))

    assert (bench.routed(), bench.dead()) == ([0, 2], [(b"1", b"cut off")])
    assert bench.offsets == [{PARTITION: 3}]


def test_our_own_failure_on_one_record_isolates_it_the_third_time() -> None:
    def match(message: FakeMessage, decode: Any) -> Sequence[Match]:
        if message.offset() == 1:
            raise ZeroDivisionError
        return everything(message, decode)

    bench = Bench(match)

    for _ in range(2):
        bench.batch(*(FakeMessage(offset) for offset in range(3)))
        assert bench.committed == []
    bench.batch(*(FakeMessage(offset) for offset in range(3)))

    assert bench.routed() == [0, 2]
    assert bench.dead() == [(b"1", b"routing failed 3 times: ZeroDivisionError()")]


@pytest.mark.parametrize("is_event", [True, False])
def test_a_record_over_the_limit_is_set_aside_without_its_value(*, is_event: bool) -> None:
    def match(message: FakeMessage, decode: Any) -> Sequence[Match]:
        if message.offset() == 1 and not is_event:
            raise CorruptRecord("cut off")
        return everything(message, decode)

    bench = Bench(match)

    bench.batch(FakeMessage(0), FakeMessage(1, value=framed("event-1") + b"x" * LARGEST), FakeMessage(2))

    assert (bench.routed(), bench.dead()) == ([0, 2], [(b"1", b"too large")])
    assert [record.value for record in bench.committed if record.topic == topics.DEAD_LETTERS] == [None]
    assert bench.offsets == [{PARTITION: 3}]


def test_aborts_never_count_as_failures_of_a_record() -> None:
    bench = Bench(everything)
    bench.batch(FakeMessage(0))
    for _ in range(5):
        bench.producers[0].trouble = [TransactionAborted("timed out")]
        bench.batch(FakeMessage(1), resumed=1, sequence=0 if bench.reader.rewinds else 1)

    bench.batch(FakeMessage(1), resumed=1)

    assert (bench.routed(), bench.dead()) == ([0, 1], [])


def test_an_events_contracts_are_one_record_and_count_one_by_one() -> None:
    first, second = Match(ENDPOINT, ("s1",), 1), Match(ENDPOINT, ("s2",), 2)
    bench = Bench(lambda _message, _decode: [first, second])
    again = FakeMessage(1, headers=[("hr_event", b"e"), ("hr_request", b'{"contract":"s2"}')])
    gone = FakeMessage(2, headers=[("hr_request", b'{"contract":"s3"}')])

    bench.batch(FakeMessage(0), again, gone)

    grouped = [read_delivery(each.headers or []) for each in bench.committed if each.topic == topics.WEBHOOK_DELIVERIES]
    assert [
        [each.subscriptions for each in one.deliveries()] for one in grouped if isinstance(one, GroupedDelivery)
    ] == [
        [("s1",), ("s2",)],
        [("s2",)],
    ]
    (receipt,) = (
        msgspec.json.decode(each.value or b"", type=RoutingReceipt)
        for each in bench.committed
        if each.topic == topics.ROUTING_RECEIPTS
    )
    assert (receipt.events, sum(receipt.matched["e1"].values())) == (3, 3)


def test_a_delivery_whose_condition_is_over_its_budget_is_set_aside_alone() -> None:
    other = msgspec.structs.replace(ENDPOINT, id="e2")
    failed, contract = Match(other, ("s2",), None, "too many steps"), Match(other, ("s3",), 1, "too many steps")
    bench = Bench(lambda _message, _decode: [Match(ENDPOINT, ("s1",)), failed, contract])

    bench.batch(FakeMessage(0))

    assert bench.routed() == [0]
    letters = [dict(each.headers or []) for each in bench.committed if each.topic == topics.DEAD_LETTERS]
    assert [(each["hr_dead_kind"], each["hr_dead_reason"], each["hr_endpoint"]) for each in letters] == [
        (b"delivery", b"too many steps", b"e2")
    ] * 2
    assert len({each["hr_delivery"] for each in letters}) == 2
    receipt = next(
        msgspec.json.decode(each.value or b"", type=RoutingReceipt)
        for each in bench.committed
        if each.topic == topics.ROUTING_RECEIPTS
    )
    assert {endpoint: sum(hours.values()) for endpoint, hours in receipt.matched.items()} == {"e1": 1, "e2": 2}
    assert bench.count("headrace_router_over_budget_total") == 2


def test_expensive_events_of_one_workspace_do_not_keep_anothers_waiting() -> None:
    def match(message: FakeMessage, decode: Any) -> Sequence[Match]:
        if message.topic() == PARTITION[0]:
            time.sleep(0.02)
        return everything(message, decode)

    bench = Bench(match, workspaces=("w", "other"))

    bench.batch(*(FakeMessage(offset) for offset in range(30)))
    bench.batch(FakeMessage(0, topic="events.other.n.c"), sequence=1)

    routed = [dict(each.headers or ())["hr_source"] for each in bench.committed if each.key == b"e1"]
    assert b"events.other.n.c/0/0" in routed
    assert len(routed) < 30
    while bench.router.go_on():
        pass
    assert bench.routed()[-1] == 29
    assert len(bench.routed()) == 31


def test_others_are_routed_and_committed_between_the_steps_of_one_event() -> None:
    """One event of 0.4 s beside small ones of another workspace."""

    def steps(message: FakeMessage) -> Iterator[Sequence[Match] | None]:
        for _ in range(40 if message.topic() == PARTITION[0] else 0):
            time.sleep(0.01)
            yield None
        yield everything(message, None)

    bench = Bench(everything, workspaces=("w", "other"))
    bench.steps = steps
    bench.batch(FakeMessage(0), FakeMessage(1))
    assert bench.routed() == []
    for number in range(5):
        bench.batch(FakeMessage(number, topic="events.other.n.c"), sequence=number + 1)
    assert bench.routed() == [*range(5)]
    while bench.router.go_on():
        pass
    assert bench.routed() == [*range(5), 0, 1]
    assert [each for each in bench.offsets if PARTITION in each] == [{PARTITION: 1}, {PARTITION: 2}]
    receipts = [
        msgspec.json.decode(each.value or b"", type=RoutingReceipt)
        for each in bench.committed
        if each.topic == topics.ROUTING_RECEIPTS
    ]
    assert [(each.first_offset, each.next_offset) for each in receipts if each.topic == PARTITION[0]] == [
        (0, 1),
        (1, 2),
    ]


def test_an_event_that_was_begun_in_a_pause_has_a_receipt_of_its_own() -> None:
    """A backfill sends all events of a receipt that kept something back: those behind it are live by then."""
    began = 0

    def steps(message: FakeMessage) -> Iterator[Sequence[Match] | None]:
        nonlocal began
        found = everything(message, None)
        if not message.offset():
            began += 1
            found = [match._replace(endpoint=msgspec.structs.replace(match.endpoint, held_since=7)) for match in found]
            time.sleep(0.15)
            yield None
        yield found

    bench = Bench(everything, workspaces=("w", "other"))
    bench.steps = steps
    bench.batch(*(FakeMessage(offset) for offset in range(3)))
    while bench.router.go_on():
        pass
    assert began == 1
    assert bench.routed() == [1, 2]
    receipts = [
        msgspec.json.decode(each.value or b"", type=RoutingReceipt)
        for each in bench.committed
        if each.topic == topics.ROUTING_RECEIPTS
    ]
    assert [(each.first_offset, each.next_offset) for each in receipts if each.held] == [(0, 1)]


@pytest.mark.parametrize("trouble", [CorruptRecord("bad"), RuntimeError("ours")])
def test_a_failure_in_a_later_step_is_that_of_the_event(trouble: Exception) -> None:
    def steps(message: FakeMessage) -> Iterator[Sequence[Match] | None]:
        for _ in range(10):
            time.sleep(0.01)
            yield None
        if not message.offset():
            raise trouble
        yield everything(message, None)

    bench = Bench(everything, workspaces=("w", "other"))
    bench.steps = steps
    while not bench.dead():
        bench.batch(FakeMessage(0), FakeMessage(1))
        while bench.router.go_on():
            pass
    assert [offset for offset, _ in bench.dead()] == [b"0"]
    assert bench.routed() == [1]


def test_what_waits_is_dropped_when_all_is_read_again() -> None:
    bench = Bench(everything, workspaces=("w", "other"))
    bench.match = lambda message, decode: time.sleep(0.03) or everything(message, decode)

    bench.batch(*(FakeMessage(offset) for offset in range(10)))
    bench.reader.generation += 1

    assert not bench.router.go_on()
    bench.match = everything
    bench.batch(*(FakeMessage(offset) for offset in range(2, 4)), resumed=2)
    assert bench.routed() == [*range(len(bench.routed()) - 2), 2, 3]


def test_the_deliveries_of_one_event_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out_module, "FAN_OUT_BYTES", 1_000)
    monkeypatch.setattr(router_module, "_TRANSACTION_BYTES", 1_000)
    monkeypatch.setattr(transaction_module, "_WIDE_BYTES", 100)
    endpoints = [msgspec.structs.replace(ENDPOINT, id=f"e{number:02}") for number in range(12)]
    bench = Bench(lambda _message, _decode: [Match(each, ("s",)) for each in endpoints])

    bench.batch(FakeMessage(0, value=b"x" * 100))

    assert bench.routed() == [0] * 10
    letters = [each for each in bench.committed if each.topic == topics.DEAD_LETTERS]
    assert [(each.key, each.value) for each in letters] == [(b"e10", None), (b"e11", None)]
    assert b"too large for so many endpoints" in bench.dead()[0][1]


def test_a_transaction_is_committed_when_it_holds_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_module, "_TRANSACTION_BYTES", 250)
    bench = Bench(everything)

    bench.batch(*(FakeMessage(offset, value=b"x" * 100) for offset in range(4)))

    assert bench.offsets == [{PARTITION: 3}, {PARTITION: 4}]
