"""A Kafka in memory, as far as runs use it: logs with commit markers, transactions with fencing, and views."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from backbone.catalog.view import CatalogView
from backbone.endpoint_states import EndpointStateView
from backbone.kafka.settings import KafkaSettings
from backbone.runs.records import command_record, run_record
from backbone.runs.view import RunView
from schemas.model import topics
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import Fenced
from schemas.model.ids import delivery_id
from schemas.model.run import OffsetRange, Run, RunCommand, RunKind, Wanted
from stream_processors.metrics import ProcessorMetrics
from stream_processors.runs.executor import RunExecutor
from stream_processors.runs.letters import Letters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from backbone.kafka.records import Partition, Record
    from backbone.runs.view import KnownRun
    from schemas.model.delivery import Headers

PARTITIONS = 4
"""Of the topic ``runs``."""

NOW = 1_800_000_000_000_000
"""Microseconds; every record is appended then."""

SETTINGS = KafkaSettings(bootstrap_servers="127.0.0.1:1")


class Stored:
    """A record in a log."""

    def __init__(self, place: Partition, offset: int, record: Record, at: int) -> None:
        self._place, self._offset, self._record, self._at = place, offset, record, at

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._record.key

    def value(self) -> bytes | None:
        return self._record.value

    def headers(self) -> Headers | None:
        return self._record.headers

    def timestamp(self) -> tuple[int, int]:
        return 2, self._at // 1_000


class Log:
    """Topics of committed records; a transaction leaves a marker, which has an offset and is no record."""

    def __init__(self) -> None:
        self.partitions: defaultdict[Partition, list[Stored | None]] = defaultdict(list)
        self.first: defaultdict[Partition, int] = defaultdict(int)
        self.epochs: defaultdict[str, int] = defaultdict(int)
        self.views: list[Any] = []

    def append(self, record: Record, *, partition: int = 0, at: int = NOW) -> Stored:
        place = (record.topic, record.partition if record.partition >= 0 else partition)
        entries = self.partitions[place]
        stored = Stored(place, len(entries), record, at)
        entries.append(stored)
        for view in self.views:
            view(stored)
        return stored

    def mark(self, places: Iterable[Partition]) -> None:
        for place in places:
            self.partitions[place].append(None)

    def end(self, place: Partition) -> int:
        return len(self.partitions[place])

    def records(self, topic: str) -> list[Stored]:
        return [
            each
            for place, entries in sorted(self.partitions.items())
            for each in entries
            if each is not None and place[0] == topic
        ]


class Producer:
    """A transactional producer of a log."""

    def __init__(self, log: Log, transactional_id: str) -> None:
        self._log, self._id = log, transactional_id
        self._epoch = -1
        self._open: list[Record] = []
        self.is_closed = False

    def start(self) -> None:
        self._log.epochs[self._id] += 1
        self._epoch = self._log.epochs[self._id]

    def begin(self) -> None:
        self._open = []

    def produce(self, record: Record) -> None:
        self._open.append(record)

    def commit(self) -> None:
        if self._epoch != self._log.epochs[self._id]:
            raise Fenced("another producer has the id")
        written = [self._log.append(record) for record in self._open]
        self._log.mark({(each.topic(), each.partition()) for each in written})

    def close(self) -> None:
        self.is_closed = True


class Consumer:
    """Reads assigned partitions of a log, a few records at a time."""

    most = 100

    def __init__(self, log: Log) -> None:
        self._log = log
        self._positions: dict[Partition, int] = {}
        self.ends: dict[Partition, int] = {}

    def partitions_of(self, names: Iterable[str]) -> list[Partition]:
        wanted = set(names)
        return [place for place in self._log.partitions if place[0] in wanted]

    def watermarks(self, places: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        return {place: (self._log.first[place], self._log.end(place)) for place in places}

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        self._positions = dict(offsets)

    def consume(self, count: int, _timeout: float) -> list[Stored]:
        found: list[Stored] = []
        for place, position in self._positions.items():
            entries = self._log.partitions[place]
            at = max(position, self._log.first[place])
            while at < len(entries) and len(found) < min(count, self.most):
                entry = entries[at]
                at += 1
                if entry is not None:
                    found.append(entry)
            self._positions[place] = at
            if at == len(entries):
                self.ends[place] = at
        return found

    def close(self) -> None:
        pass


class World:
    """A log, the catalog, the view of all runs, and executors over them, with a clock that only a test moves."""

    def __init__(self) -> None:
        self.log = Log()
        self.catalog = CatalogView()
        self.view = RunView(SETTINGS)
        self.view.catch_up = lambda: None  # type: ignore[method-assign]  # it is told at once
        self.view._tail._partitions = [(topics.RUNS, number) for number in range(PARTITIONS)]
        self.log.views.append(self._apply)
        self.marks = Letters(SETTINGS)
        self.states = EndpointStateView(SETTINGS)
        self.states.catch_up = lambda: None  # type: ignore[method-assign]  # as above
        self.now = 0.0
        self.registry = CollectorRegistry()

    def _apply(self, stored: Stored) -> None:
        if stored.topic() == topics.RUNS:
            self.view.apply(stored)  # type: ignore[arg-type]

    def executor(self, **options: Any) -> RunExecutor:
        """One that has all partitions."""
        made = Executor(self, CollectorRegistry(), **options)
        made.assigned([(topics.RUNS, number) for number in range(PARTITIONS)])
        return made

    def endpoint(self, name: str = "hook", **fields: Any) -> Endpoint:
        fields = {"type": EndpointType.WEB_HOOK, "url": "https://example.com/", "updated_at": 0, **fields}
        made = Endpoint(id=name, workspace="acme", name=name, created_at=0, **fields)
        self.catalog.put(made, NOW)
        return made

    def ask(self, kind: RunKind, *ranges: OffsetRange, run_id: str = "run-1", **fields: Any) -> Run:
        fields = {"endpoint": "hook", "workspace": "acme", **fields}
        fields = {"created_at": NOW, "requested_by": "me", **fields}
        run = Run(id=run_id, kind=kind, ranges=ranges, **fields)
        self.log.append(run_record(run, PARTITIONS))
        return run

    def command(self, run: Run, wanted: Wanted, *, retries: int = 0) -> None:
        command = RunCommand(run=run.id, wanted=wanted, by="me", at=NOW, retries=retries)
        self.log.append(command_record(run, command, PARTITIONS))

    def known(self, run: Run) -> KnownRun:
        found = self.view.run(run.id)
        assert found is not None
        return found

    def turns(self, executor: RunExecutor, count: int = 50) -> None:
        """Let it take so many turns."""
        for _ in range(count):
            executor._turn()

    def replayed(self) -> list[tuple[str, str, int]]:
        """Event, run and source offset of what is on ``deliveries.webhook.replay``."""
        found = [Delivery.from_headers(each.headers()) for each in self.log.records(topics.WEBHOOK_REPLAYS)]
        return [(each.event, each.run, each.source.offset) for each in found]


class Executor(RunExecutor):
    """One over doubles; its view and marks are the world's, or its own."""

    def __init__(self, world: World, registry: CollectorRegistry, **options: Any) -> None:
        super().__init__(
            settings=SETTINGS,
            catalog=SimpleNamespace(catch_up=lambda: None, view=world.catalog),  # type: ignore[arg-type]
            decoders=None,  # type: ignore[arg-type]
            view=world.view,
            letters=options.pop("letters", None) or caught_up_letters(world),
            states=world.states,
            held=options.pop("held", None) or held(lambda: ()),
            skew=0,
            new_producer=lambda name: Producer(world.log, name),  # type: ignore[arg-type,return-value]
            metrics=ProcessorMetrics(registry),
            clock=lambda: world.now,
            **options,
        )
        self._new_consumer = lambda: Consumer(world.log)  # type: ignore[assignment,return-value]


def held(find: Callable[[], tuple[OffsetRange, ...] | None]) -> Any:
    """Finds what a pause kept, as a test says."""
    return SimpleNamespace(find=lambda _run, _topics: find(), forget=lambda _run: None)


def caught_up_letters(world: World) -> Letters:
    """A view of the marks that reads the log when it is told to catch up."""
    letters = Letters(SETTINGS)

    def catch_up() -> None:
        for each in world.log.records(topics.DEAD_LETTER_MARKS):
            letters.apply(each)  # type: ignore[arg-type]

    letters.catch_up = catch_up  # type: ignore[method-assign]
    return letters


def event_headers(event: str) -> Headers:
    """As the publisher writes them."""
    return [("ce_id", event.encode()), ("hr_event", event.encode())]


def routed(event: str, endpoint: str = "hook", offset: int = 0, **fields: Any) -> Delivery:
    """A delivery as the router makes it."""
    return Delivery(
        id=delivery_id(event, endpoint),
        event=event,
        endpoint=endpoint,
        workspace="acme",
        source=SourceOffset("events.acme.n.c", 0, offset),
        subscriptions=("s",),
        routed_at=NOW,
        **fields,
    )
