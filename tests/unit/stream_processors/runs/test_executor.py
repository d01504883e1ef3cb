"""Runs over a Kafka in memory: each delivery once, whoever is killed, and as fast as was asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.kafka.records import Record
from schemas.model import topics
from schemas.model.delivery import EndpointState, RoutingReceipt
from schemas.model.errors import TransactionAborted
from schemas.model.run import OffsetRange, RunKind, RunState, Wanted
from stream_processors.runs import places, work
from stream_processors.runs.decisions import DISABLED, NO_ENDPOINT
from tests.unit.stream_processors.runs.doubles import World, event_headers, routed

if TYPE_CHECKING:
    from schemas.model.run import Run

EVENTS = "events.acme.n.c"


@pytest.fixture
def world() -> World:
    made = World()
    made.endpoint()
    return made


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "MOST_DELIVERIES", 10)


def publish(world: World, count: int) -> list[str]:
    """Events with a commit marker after each."""
    names = [f"event-{number}" for number in range(count)]
    for name in names:
        stored = world.log.append(Record(EVENTS, b"value", None, event_headers(name)))
        world.log.mark([(stored.topic(), 0)])
    return names


def resend_all(world: World, **fields: Any) -> Run:
    """A run that sends every event, whatever matches."""
    return world.ask(RunKind.RESEND, OffsetRange(EVENTS, 0, 0, world.log.end((EVENTS, 0))), **fields)


def test_every_event_is_sent_once_with_its_progress_and_receipts(world: World) -> None:
    events = publish(world, 35)
    run = resend_all(world, subscriptions=("s",))

    world.turns(world.executor())

    assert world.replayed() == [(event, run.id, 2 * number) for number, event in enumerate(events)]
    known = world.known(run)
    assert (known.state, known.progress and known.progress.deliveries) == (RunState.DONE, 35)
    assert known.progress is not None
    assert (known.progress.looked_at, known.progress.total, known.progress.left) == (70, 70, ())
    receipts = [
        msgspec.json.decode(each.value() or b"", type=RoutingReceipt)
        for each in world.log.records(topics.ROUTING_RECEIPTS)
    ]
    assert {each.run for each in receipts} == {run.id}
    assert sum(count for each in receipts for hours in each.matched.values() for count in hours.values()) == 35


def test_a_dry_run_counts_and_writes_nothing(world: World) -> None:
    publish(world, 12)
    run = resend_all(world, dry_run=True)

    world.turns(world.executor())

    progress = world.known(run).progress
    assert progress is not None
    assert (progress.state, progress.deliveries) == (RunState.DONE, 12)
    assert world.replayed() == []
    assert world.log.records(topics.ROUTING_RECEIPTS) == []


def test_a_dry_run_counts_what_it_would_send_to_a_paused_endpoint(world: World) -> None:
    publish(world, 3)
    world.endpoint("paused", held_since=1)
    run = resend_all(world, endpoint="paused", dry_run=True)

    world.turns(world.executor())

    progress = world.known(run).progress
    assert progress is not None
    assert (progress.state, progress.deliveries) == (RunState.DONE, 3)


def test_two_that_believe_to_have_a_run_send_each_event_once(world: World) -> None:
    events = publish(world, 40)
    resend_all(world)
    one, other = world.executor(), world.executor()

    for _ in range(40):
        # Each takes the lock from the other again and again.
        world.turns(one, 1)
        world.turns(other, 1)
        world.now += 2

    assert [event for event, _, _ in world.replayed()] == events


def test_one_that_is_killed_before_a_commit_is_continued_by_the_next(world: World) -> None:
    events = publish(world, 40)
    resend_all(world)
    turns = iter(range(100))

    def strike() -> None:
        if next(turns) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.turns(world.executor(before_commit=strike))
    assert 0 < len(world.replayed()) < len(events)

    world.turns(world.executor())

    assert [event for event, _, _ in world.replayed()] == events


def test_a_transaction_that_does_not_commit_is_made_again_after_a_moment(world: World) -> None:
    events = publish(world, 25)
    run = resend_all(world)
    turns = iter(range(100))

    def strike() -> None:
        if next(turns) == 1:
            raise TransactionAborted("not now")

    executor = world.executor(before_commit=strike)
    world.turns(executor)
    assert world.known(run).state is RunState.RUNNING
    world.now += 2
    world.turns(executor)

    assert [event for event, _, _ in world.replayed()] == events
    assert world.known(run).state is RunState.DONE


@pytest.mark.parametrize("kept_open", [places.KEPT_OPEN, 0.0])
def test_the_rate_is_kept(world: World, monkeypatch: pytest.MonkeyPatch, kept_open: float) -> None:
    """Also by a run that leaves Kafka while it waits."""
    monkeypatch.setattr(places, "KEPT_OPEN", kept_open)
    publish(world, 30)
    resend_all(world, rate=5.0)
    executor = world.executor()

    written = []
    for _ in range(4):
        world.turns(executor, 10)
        written.append(len(world.replayed()))
        world.now += 1.0

    assert written == [1, 6, 11, 16]


def test_a_paused_run_goes_on_where_it_was_and_a_cancelled_one_does_not(world: World) -> None:
    events = publish(world, 30)
    run = resend_all(world, rate=5.0)
    executor = world.executor()
    world.turns(executor, 2)

    world.command(run, Wanted.PAUSE)
    world.now += 60
    world.turns(executor)
    assert (world.known(run).state, len(world.replayed())) == (RunState.PAUSED, 1)

    world.command(run, Wanted.RUN)
    world.turns(executor, 2)
    world.now += 1
    world.turns(executor, 2)
    assert [event for event, _, _ in world.replayed()] == events[: len(world.replayed())]
    assert len(world.replayed()) > 1

    world.command(run, Wanted.CANCEL)
    world.now += 60
    sent = len(world.replayed())
    world.turns(executor)
    assert (world.known(run).state, len(world.replayed())) == (RunState.CANCELLED, sent)


def test_a_run_ends_with_its_endpoint(world: World) -> None:
    publish(world, 30)
    executor = world.executor()
    run = resend_all(world, rate=5.0)
    world.turns(executor, 2)
    world.endpoint(enabled=False)
    world.now += 1
    world.turns(executor)
    gone = resend_all(world, run_id="run-2", endpoint="another")
    world.turns(executor)

    ended = [(each.state, each.progress and each.progress.reason) for each in map(world.known, (run, gone))]
    assert ended == [(RunState.CANCELLED, DISABLED), (RunState.CANCELLED, NO_ENDPOINT)]
    assert len(world.replayed()) == 1


def test_a_run_ends_when_a_connector_disables_its_endpoint_and_is_retried_when_it_is_enabled(world: World) -> None:
    events = publish(world, 30)
    executor = world.executor()
    run = resend_all(world, rate=5.0)
    world.turns(executor, 2)

    reason = "the endpoint answered 410 Gone"
    world.states._note(EndpointState(endpoint="hook", disabled_reason=reason, changed_at=1))
    world.now += 1
    world.turns(executor)
    progress = world.known(run).progress
    assert progress is not None
    assert (progress.state, progress.reason) == (RunState.CANCELLED, f"{DISABLED}: {reason}")
    assert len(world.replayed()) == progress.deliveries == 1

    world.command(run, Wanted.RUN, retries=1)
    assert world.known(run).state is RunState.WAITING
    world.turns(executor)
    assert world.known(run).state is RunState.CANCELLED, "it is disabled still"

    world.endpoint(updated_at=2)
    world.command(run, Wanted.RUN, retries=2)
    while world.known(run).state is not RunState.DONE:
        world.turns(executor)
        world.now += 1
        assert world.now < 60
    assert [event for event, _, _ in world.replayed()] == events
    progress = world.known(run).progress
    assert progress is not None
    assert (progress.deliveries, progress.looked_at, progress.reason) == (30, 60, None)


def test_a_run_that_is_retried_sends_what_is_left_once_whoever_has_it(world: World) -> None:
    events = publish(world, 30)
    one, other = world.executor(), world.executor()
    run = resend_all(world, rate=2.0)
    world.turns(one, 2)
    for retries in range(1, 4):
        world.command(run, Wanted.CANCEL, retries=retries - 1)
        for _ in range(2):
            # At the first turn it finds that the other has taken the lock.
            world.turns(one)
            world.now += 1.5
        assert world.known(run).state is RunState.CANCELLED
        world.command(run, Wanted.RUN, retries=retries)
        # Each believes to have it, and one has its end in memory still.
        for _ in range(2):
            world.turns(one, 1)
            world.turns(other, 1)
            world.now += 1.5
    assert 3 < len(world.replayed()) < 30
    world.command(run, Wanted.PAUSE, retries=3)
    world.turns(other)
    assert world.known(run).state is RunState.PAUSED
    world.command(run, Wanted.RUN, retries=3)
    for _ in range(20):
        world.now += 1
        world.turns(other)

    assert world.known(run).state is RunState.DONE
    assert [event for event, _, _ in world.replayed()] == events


def test_what_retention_took_is_counted(world: World) -> None:
    events = publish(world, 10)
    run = resend_all(world)
    world.log.first[EVENTS, 0] = 8

    world.turns(world.executor())

    progress = world.known(run).progress
    assert progress is not None
    assert (progress.state, progress.lost) == (RunState.DONE, 8)
    assert [event for event, _, _ in world.replayed()] == events[4:]


def test_a_run_that_our_own_code_fails_on_ends_and_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    events = publish(world, 5)
    broken = resend_all(world, endpoint="hook", run_id="broken")
    sound = resend_all(world, endpoint="hook", run_id="sound")
    executor = world.executor()
    decide = work.RunWork._decide

    def fail(self: Any, *args: Any) -> Any:
        if self.run.id == "broken":
            raise ZeroDivisionError
        return decide(self, *args)

    monkeypatch.setattr(work.RunWork, "_decide", fail)
    for _ in range(10):
        world.turns(executor, 3)
        world.now += 2

    assert [world.known(run).state for run in (broken, sound)] == [RunState.FAILED, RunState.DONE]
    assert [event for event, run, _ in world.replayed() if run == sound.id] == events

    # With a version that can do it, it goes on.
    monkeypatch.setattr(work.RunWork, "_decide", decide)
    world.command(broken, Wanted.RUN, retries=1)
    world.turns(executor)
    assert world.known(broken).state is RunState.DONE
    assert [event for event, run, _ in world.replayed() if run == broken.id] == events


def test_what_was_routed_then_is_found_once_among_what_came_back(world: World) -> None:
    deliveries = [
        routed("a"),
        routed("b", offset=1),
        routed("b", offset=1, attempts=1),
        routed("a").handed_on(),
        routed("c", endpoint="another"),
        msgspec.structs.replace(routed("d"), run="another run"),
    ]
    for each in deliveries:
        headers = event_headers(each.event) + each.to_headers()
        world.log.append(Record(topics.WEBHOOK_DELIVERIES, b"value", each.record_key, headers))
    place = (topics.WEBHOOK_DELIVERIES, 0)
    run = world.ask(RunKind.REPLAY, OffsetRange(*place, 0, world.log.end(place)), matched="then")

    world.turns(world.executor())

    assert world.replayed() == [("a", run.id, 0), ("b", run.id, 1)]


def test_workspaces_share_the_executor(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_processors.runs.places.MOST_AT_ONCE", 3)
    monkeypatch.setattr("stream_processors.runs.places.MOST_OF_WORKSPACE", 2)
    publish(world, 30)
    many = [resend_all(world, run_id=f"many-{number}") for number in range(3)]
    other = resend_all(world, run_id="other", workspace="other")

    world.turns(world.executor(), 2)

    assert [world.known(run).state for run in (*many, other)] == [
        RunState.RUNNING,
        RunState.RUNNING,
        RunState.WAITING,
        RunState.RUNNING,
    ]


def test_a_client_with_many_slow_runs_keeps_no_other_waiting(world: World) -> None:
    publish(world, 30)
    for number in range(2 * places.MOST_AT_ONCE):
        resend_all(world, run_id=f"slow-{number}", workspace=f"w{number % 8}", created_at=1, rate=0.001)
    slow = [resend_all(world, run_id=f"own-{number}", created_at=1, rate=0.001) for number in range(6)]
    run = resend_all(world, run_id="other", requested_by="other")

    world.turns(world.executor())

    assert world.known(run).state is RunState.DONE
    assert world.known(slow[0]).state is RunState.RUNNING


def test_runs_that_wait_for_their_rate_have_no_place(world: World) -> None:
    publish(world, 30)
    many = 2 * places.MOST_AT_ONCE
    slow = [resend_all(world, run_id=f"slow-{number}", created_at=1, rate=0.001) for number in range(many)]
    fast = [resend_all(world, run_id=f"fast-{number}", created_at=2 + number) for number in range(3)]
    executor = world.executor()

    world.turns(executor)

    # All of one client: the slow ones have had their first delivery, and wait for 1,000 seconds.
    assert {world.known(run).state for run in fast} == {RunState.DONE}
    assert {world.known(run).state for run in slow} == {RunState.RUNNING}
    assert len(world.replayed()) == 3 * 30 + many
    assert (executor._works, executor._producers) == ({}, {})

    world.command(slow[0], Wanted.CANCEL)
    world.turns(executor, 2)
    assert world.known(slow[0]).state is RunState.CANCELLED
    world.now += 1_000
    world.turns(executor)
    assert len(world.replayed()) == 3 * 30 + many + (many - 1)


def test_runs_that_wait_for_a_moment_stay_open_while_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MOST_AT_ONCE", 2)
    publish(world, 30)
    for number in range(4):
        resend_all(world, run_id=f"slow-{number}", created_at=number, rate=1.0)
    executor = world.executor()

    world.turns(executor)

    assert len(executor._works) == len(executor._producers) == 2
    sent = [len(world.replayed())]
    for _ in range(3):
        world.now += 1.0
        world.turns(executor)
        sent.append(len(world.replayed()))
    assert sent == [4, 8, 12, 16]


def test_runs_that_wait_for_the_end_of_pauses_keep_no_others_waiting(world: World) -> None:
    publish(world, 3)
    for number in range(places.MOST_OF_WORKSPACE):
        world.endpoint(f"paused-{number}", held_since=1)
        resend_all(world, endpoint=f"paused-{number}", run_id=f"waits-{number}", created_at=1)
    run = resend_all(world)

    world.turns(world.executor())

    assert world.known(run).state is RunState.DONE
    assert len(world.replayed()) == 3

    world.endpoint("paused-0")
    world.turns(world.executor())
    assert len(world.replayed()) == 6
