"""A backfill is the complement of live routing, and waits for the end of a pause."""

from __future__ import annotations

import msgspec
import pytest

from backbone.kafka.records import Record
from schemas.model.endpoint import EventFilter, Subscription, TypeSelection
from schemas.model.event_type import EventType
from schemas.model.run import OffsetRange, RunKind, RunState, Wanted
from tests.unit.stream_processors.runs.doubles import NOW, World, event_headers, held

EVENTS = "events.acme.n.c"
LINKED_AT = NOW + 500


@pytest.fixture
def world() -> World:
    """An endpoint that is subscribed since just after ``NOW``, and an event in each millisecond around it."""
    made = World()
    made.endpoint()
    common = {"workspace": "acme", "created_at": 0, "updated_at": 0}
    made.catalog.put(EventType(namespace="n", code="c", effective_partitions=1, schema_id=1, **common), NOW)
    types = (TypeSelection(namespace="n", code="c"),)
    made.catalog.put(EventFilter(id="f", name="f", types=types, **common), NOW - 60_000_000)
    made.catalog.put(Subscription(id="s", event_filter="f", endpoint="hook", **common), LINKED_AT)
    for number in range(-3, 4):
        made.log.append(Record(EVENTS, b"value", None, event_headers(f"event{number:+d}")), at=NOW + number * 1_000)
    return made


def test_it_ends_where_the_subscription_begins(world: World) -> None:
    run = world.ask(RunKind.BACKFILL, OffsetRange(EVENTS, 0, 0, 7), subscriptions=("s",))

    world.turns(world.executor())

    # Live routing matches from the millisecond of the link on.
    assert [event for event, _, _ in world.replayed()] == ["event-3", "event-2", "event-1"]
    assert world.known(run).state is RunState.DONE


def test_what_a_pause_kept_is_sent_when_the_router_has_seen_its_end(world: World) -> None:
    found: list[tuple[OffsetRange, ...] | None] = [(OffsetRange(EVENTS, 0, 0, 6),), None, None]
    world.endpoint(held_since=7)
    run = world.ask(RunKind.BACKFILL, held_since=7)
    executor = world.executor(held=held(found.pop))

    world.turns(executor, 5)
    assert (world.known(run).state, len(found)) == (RunState.WAITING, 3)
    endpoint = world.catalog.endpoint("hook")
    assert endpoint is not None
    world.catalog.put(msgspec.structs.replace(endpoint, held_since=None), NOW)
    for _ in range(10):
        world.turns(executor, 1)
        world.now += 1

    # What was appended before the subscription was not kept for it.
    assert [event for event, _, _ in world.replayed()] == ["event+0", "event+1", "event+2"]
    progress = world.known(run).progress
    assert progress is not None
    assert (progress.state, progress.total, progress.looked_at) == (RunState.DONE, 6, 6)


def test_one_that_ended_before_it_knew_where_to_look_finds_it_when_it_is_retried(world: World) -> None:
    world.endpoint(held_since=7)
    run = world.ask(RunKind.BACKFILL, held_since=7)
    executor = world.executor(held=held(lambda: (OffsetRange(EVENTS, 0, 0, 6),)))
    world.command(run, Wanted.CANCEL)
    world.turns(executor)
    assert world.known(run).state is RunState.CANCELLED
    world.endpoint()

    world.command(run, Wanted.RUN, retries=1)
    world.turns(executor)

    assert [event for event, _, _ in world.replayed()] == ["event+0", "event+1", "event+2"]
    progress = world.known(run).progress
    assert progress is not None
    assert (progress.state, progress.total, progress.looked_at) == (RunState.DONE, 6, 6)
