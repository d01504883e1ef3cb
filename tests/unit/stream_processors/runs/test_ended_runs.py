"""Runs that ended long ago are removed, and those that a repeated request still has to find are not."""

from __future__ import annotations

import msgspec
import pytest

from backbone.kafka.records import Record
from backbone.runs.records import progress_record
from schemas.model import topics
from schemas.model.endpoint import EventFilter, Subscription
from schemas.model.run import OffsetRange, Run, RunKind, RunProgress, RunState
from stream_processors.runs.ended_runs import EndedRuns
from tests.unit.stream_processors.runs.doubles import NOW, PARTITIONS, Producer, World

RETENTION = 1_000
LATER = NOW + RETENTION * 1_000_000 + 1
OWN = range(PARTITIONS)


@pytest.fixture
def world() -> World:
    return World()


def ended_runs(world: World) -> EndedRuns:
    return EndedRuns(world.view, RETENTION, lambda: Producer(world.log, "ended"))  # type: ignore[arg-type,return-value]


def run(world: World, run_id: str, state: RunState, kind: RunKind = RunKind.REPLAY, **fields: object) -> Run:
    made = world.ask(kind, OffsetRange("events.acme.n.c", 0, 0, 7), run_id=run_id, **fields)
    progress = RunProgress(run=run_id, state=state, started_at=NOW, changed_at=NOW)
    world.log.append(progress_record(made, progress, PARTITIONS))
    return made


def left(world: World) -> set[str]:
    return {each.run.id for each in world.view.runs()}


def test_runs_are_removed_once_their_deliveries_are(world: World) -> None:
    for state in (RunState.DONE, RunState.CANCELLED, RunState.FAILED, RunState.RUNNING):
        run(world, state.value, state)
    ended = ended_runs(world)

    ended.remove(OWN, world.catalog, 0.0, LATER - 1_000)
    assert len(left(world)) == 4
    ended.remove(OWN, world.catalog, 1.0, LATER)
    assert len(left(world)) == 4, "it looks once a minute"
    ended.remove(OWN, world.catalog, 60.0, LATER)

    assert left(world) == {RunState.RUNNING}
    assert world.view._parts.keys() == {RunState.RUNNING}
    tombstones = [each.key() for each in world.log.records(topics.RUNS) if each.value() is None]
    assert len(tombstones) == 3 * 3
    # Read from the start, as a new process reads it.
    again = World()
    for each in world.log.records(topics.RUNS):
        again.view.apply(each)  # type: ignore[arg-type]
    assert left(again) == {RunState.RUNNING}


def test_runs_of_other_partitions_are_left_to_their_owners(world: World) -> None:
    for number in range(20):
        run(world, f"run-{number}", RunState.DONE)
    per_owner = [len(left(world))]
    for partition in OWN:
        ended_runs(world).remove([partition], world.catalog, 0.0, LATER)
        per_owner.append(len(left(world)))
    assert per_owner == sorted(set(per_owner), reverse=True)
    assert per_owner[-1] == 0


def test_the_backfill_of_a_subscription_stays_as_long_as_it(world: World) -> None:
    common = {"workspace": "acme", "created_at": 0, "updated_at": 0}
    world.endpoint()
    world.catalog.put(EventFilter(id="f", name="f", types=(), **common), NOW)
    subscription = Subscription(id="s", event_filter="f", endpoint="hook", **common)
    world.catalog.put(subscription, NOW)
    run(world, "linked", RunState.DONE, RunKind.BACKFILL, subscriptions=("s",))
    run(world, "paused", RunState.DONE, RunKind.BACKFILL, held_since=1)

    ended_runs(world).remove(OWN, world.catalog, 0.0, LATER)
    assert left(world) == {"linked"}

    world.catalog.remove(subscription.key)
    ended_runs(world).remove(OWN, world.catalog, 0.0, LATER)
    assert left(world) == set()


def test_what_else_a_view_reads_of_a_run_that_was_removed_is_no_run(world: World) -> None:
    removed = run(world, "removed", RunState.DONE)
    ended_runs(world).remove(OWN, world.catalog, 0.0, LATER)
    late = msgspec.structs.replace(
        RunProgress(run=removed.id, state=RunState.DONE, started_at=NOW, changed_at=NOW), deliveries=1
    )
    world.log.append(Record(topics.RUNS, msgspec.json.encode(late), f"{removed.id}/progress".encode()))
    assert left(world) == set()
