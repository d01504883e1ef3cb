"""Dead letters are settled once, whoever asks, and only by who may."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from backbone.kafka.records import Record
from schemas.model import topics
from schemas.model.delivery import Delivery, EndpointState
from schemas.model.errors import PayloadTooLarge
from schemas.model.projection import EndpointProjection, ProjectionVersion
from schemas.model.run import LetterFilter, LetterMark, OffsetRange, Run, RunKind, RunState
from stream_processors.runs import work
from stream_processors.runs.decisions import DISABLED, NO_ENDPOINT
from stream_processors.runs.letters import EXPIRED, NO_EVENT, ORDERED, POISON
from tests.unit.stream_processors.runs.doubles import NOW, SETTINGS, Producer, World, event_headers, routed

LETTERS = (topics.DEAD_LETTERS, 0)


@pytest.fixture
def world() -> World:
    made = World()
    made.endpoint()
    return made


@pytest.fixture(autouse=True)
def _recently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "MOST_DELIVERIES", 3)
    monkeypatch.setattr("stream_processors.runs.executor.timestamps.now", lambda: 1_800_000_100_000_000)


def set_aside(world: World, delivery: Delivery, *, value: bytes | None = b"event", **options: Any) -> None:
    """A delivery whose tries are used up."""
    kind, topic = options.pop("kind", b"delivery"), options.pop("topic", topics.WEBHOOK_DELIVERIES)
    about = [("hr_dead_kind", kind), ("hr_dead_reason", b"attempt 10 failed: answered 500")]
    about.append(("hr_dead_topic", topic.encode()))
    headers = event_headers(delivery.event) + delivery.to_headers() + about
    world.log.append(Record(topics.DEAD_LETTERS, value, delivery.record_key, headers), **options)


def ask(world: World, kind: RunKind = RunKind.REDRIVE, run_id: str = "run-1", **fields: Any) -> Run:
    """A run over all letters."""
    wanted = fields.pop("letters", LetterFilter())
    everything = OffsetRange(*LETTERS, 0, world.log.end(LETTERS))
    return world.ask(kind, everything, run_id=run_id, endpoint=None, letters=wanted, **fields)


def marks(world: World) -> list[LetterMark]:
    return [
        msgspec.json.decode(each.value() or b"", type=LetterMark)
        for each in world.log.records(topics.DEAD_LETTER_MARKS)
    ]


def test_two_operators_redrive_the_same_letters_once(world: World) -> None:
    events = [f"event-{number}" for number in range(20)]
    for event in events:
        set_aside(world, routed(event, attempts=10))
    one, other = ask(world, run_id="one"), ask(world, run_id="other")
    first, second = world.executor(), world.executor()

    for _ in range(40):
        # Two processes, and each believes to have both.
        world.turns(first, 1)
        world.turns(second, 1)
        world.now += 2

    assert {world.known(run).state for run in (one, other)} == {RunState.DONE}
    assert Counter(event for event, _, _ in world.replayed()) == Counter(events)
    assert sorted(each.offset for each in marks(world)) == list(range(20))
    again = ask(world, run_id="again")
    world.turns(world.executor())
    progress = world.known(again).progress
    assert progress is not None
    assert (progress.state, progress.deliveries) == (RunState.DONE, 0)


def test_a_redriven_delivery_that_dies_again_is_another_letter(world: World) -> None:
    set_aside(world, routed("event", attempts=10))
    executor = world.executor()
    first = ask(world, run_id="first")
    world.turns(executor)
    (record,) = world.log.records(topics.WEBHOOK_REPLAYS)
    again = Delivery.from_headers(record.headers())
    set_aside(world, msgspec.structs.replace(again, attempts=10), topic=topics.WEBHOOK_REPLAYS)

    second = ask(world, run_id="second")
    world.turns(executor)

    assert [(each.offset, each.run) for each in marks(world)] == [(0, first.id), (1, second.id)]
    assert [(event, run) for event, run, _ in world.replayed()] == [("event", first.id), ("event", second.id)]


def test_letters_of_an_endpoint_that_a_connector_disabled_stay_open(world: World) -> None:
    set_aside(world, routed("event"))
    world.states._note(EndpointState(endpoint="hook", disabled_reason="it failed for 5 days", changed_at=1))
    executor = world.executor()

    run = ask(world, run_id="too early")
    world.turns(executor)

    progress = world.known(run).progress
    assert progress is not None
    assert (progress.state, progress.skipped) == (RunState.DONE, {DISABLED: 1})
    assert (marks(world), world.replayed()) == ([], [])

    endpoint = world.catalog.endpoint("hook")
    assert endpoint is not None
    world.catalog.put(msgspec.structs.replace(endpoint, updated_at=2), NOW)
    ask(world, run_id="again")
    world.turns(executor)
    assert [each.run for each in marks(world)] == ["again"]


def test_a_letter_that_kafka_does_not_take_again_stays_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    produce = Producer.produce

    def refuse(self: Producer, record: Record) -> None:
        if record.value == b"large":
            raise PayloadTooLarge("over the limit")
        produce(self, record)

    monkeypatch.setattr(Producer, "produce", refuse)
    set_aside(world, routed("event"), value=b"large")
    set_aside(world, routed("other"))
    executor = world.executor()
    first = ask(world, run_id="first")
    world.turns(executor)
    second = ask(world, run_id="second")
    world.turns(executor)

    for run, count in ((first, 1), (second, 0)):
        progress = world.known(run).progress
        assert progress is not None
        assert (progress.deliveries, progress.skipped) == (count, {work.TOO_LARGE: 1})
    assert [each.offset for each in marks(world)] == [1]


def test_a_redriven_delivery_begins_anew_with_the_same_id(world: World) -> None:
    then = routed("event", attempts=10, offset=7)
    set_aside(world, then)
    run = ask(world)

    world.turns(world.executor())

    (record,) = world.log.records(topics.WEBHOOK_REPLAYS)
    delivery = Delivery.from_headers(record.headers())
    assert (delivery.id, delivery.run, delivery.attempts) == (then.id, run.id, 0)
    assert record.value() == b"event"
    assert not [name for name, _ in record.headers() or () if name.startswith("hr_dead")]


@pytest.mark.parametrize("current", [2, None])
def test_a_redriven_delivery_gets_the_present_projection(world: World, current: int | None) -> None:
    then = routed("event", projection=1)
    versions = tuple(ProjectionVersion(number=each, expression="id", created_at=0) for each in (1, 2))
    mended = EndpointProjection(
        endpoint=then.endpoint,
        workspace=then.workspace,
        topic=then.source.topic,
        namespace="n",
        code="c",
        versions=versions,
        current=current,
        created_at=0,
        updated_at=0,
    )
    world.catalog.put(mended, 0)
    set_aside(world, then)
    ask(world)

    world.turns(world.executor())

    (record,) = world.log.records(topics.WEBHOOK_REPLAYS)
    assert Delivery.from_headers(record.headers()).projection == current


def test_what_is_discarded_is_not_redriven(world: World) -> None:
    set_aside(world, routed("event"))
    discarding = ask(world, RunKind.DISCARD, "discarding")
    executor = world.executor()
    world.turns(executor)
    ask(world, run_id="redriving")
    world.turns(executor)

    assert world.replayed() == []
    assert [(each.kind.value, each.run) for each in marks(world)] == [("discarded", discarding.id)]


def test_a_dry_run_counts_and_settles_nothing(world: World) -> None:
    set_aside(world, routed("a"))
    set_aside(world, routed("b"))
    dry = ask(world, dry_run=True, run_id="dry")
    executor = world.executor()
    world.turns(executor)
    progress = world.known(dry).progress
    assert progress is not None
    assert progress.deliveries == 2
    assert marks(world) == []

    ask(world)
    world.turns(executor)
    assert len(world.replayed()) == 2


def test_what_cannot_be_redriven_is_counted_by_its_reason_and_stays(world: World) -> None:
    world.endpoint("disabled", enabled=False)
    set_aside(world, routed("a", "deleted"))
    set_aside(world, routed("b", "disabled"))
    set_aside(world, routed("c"), value=None)
    set_aside(world, msgspec.structs.replace(routed("d"), id="a contract's"))
    set_aside(world, routed("e"), at=1_800_000_000_000_000 - (SETTINGS.delivery_retention + 1) * 1_000_000)
    world.log.append(Record(topics.DEAD_LETTERS, b"x", b"k", [("hr_dead_topic", b"events.acme.n.c")]))
    run = ask(world, letters=LetterFilter(poison=True))

    world.turns(world.executor())

    progress = world.known(run).progress
    assert progress is not None
    assert progress.skipped == dict.fromkeys((NO_ENDPOINT, DISABLED, NO_EVENT, ORDERED, EXPIRED, POISON), 1)
    assert marks(world) == []


@pytest.mark.parametrize(
    ("wanted", "events"),
    [
        (LetterFilter(), ["a", "b"]),
        (LetterFilter(endpoint="hook"), ["a"]),
        (LetterFilter(endpoints=("other",)), ["b"]),
        (LetterFilter(topic="events.acme.n.c"), ["a", "b"]),
        (LetterFilter(topic="events.acme.n.d"), []),
        (LetterFilter(reason="ANSWERED 500"), ["a", "b"]),
        (LetterFilter(reason="timeout"), []),
        (LetterFilter(since=1_800_000_000_000_000), ["a", "b"]),
        (LetterFilter(until=1_800_000_000_000_000), []),
    ],
)
def test_a_filter_chooses(world: World, wanted: LetterFilter, events: list[str]) -> None:
    world.endpoint("other")
    set_aside(world, routed("a"))
    set_aside(world, routed("b", "other"))
    set_aside(world, msgspec.structs.replace(routed("c"), workspace="another"))
    # Whoever writes an event may call its headers so; this one could not be handled.
    set_aside(world, routed("forged"), kind=b"poison", topic="events.another.n.c")
    ask(world, letters=wanted)

    world.turns(world.executor())

    assert [event for event, _, _ in world.replayed()] == events
