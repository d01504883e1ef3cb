"""What the endurance programs say of runs: each kind of damage is found, and a delivery that was put off is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.runs.records import progress_record, run_record
from schemas.model import topics
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.ids import LIVE
from schemas.model.run import OffsetRange, Run, RunKind, RunProgress, RunState
from tests.endurance.replays import unexact

if TYPE_CHECKING:
    from backbone.kafka.records import Record

TOPIC = "events.w.n.c"
EVENTS = [(TOPIC, 0, offset) for offset in range(4)]
REPLAY = Run(
    id="replay",
    kind=RunKind.REPLAY,
    workspace="w",
    endpoint="other",
    ranges=(OffsetRange(TOPIC, 0, 1, 3),),
    requested_by="me",
    created_at=0,
)
BACKFILL = msgspec.structs.replace(REPLAY, id="backfill", kind=RunKind.BACKFILL, endpoint="paused", ranges=())


class Message:
    def __init__(self, topic: str, record: Record | None = None, headers: Any = None) -> None:
        self._topic, self._record, self._headers = topic, record, headers

    def topic(self) -> str:
        return self._topic

    def key(self) -> bytes | None:
        return self._record.key if self._record else None

    def value(self) -> bytes | None:
        return self._record.value if self._record else None

    def headers(self) -> Any:
        return self._headers


def sent(run: str, offset: int, endpoint: str = "other", **fields: Any) -> Message:
    delivery = Delivery(
        id=f"{endpoint}-{offset}",
        event=f"event-{offset}",
        endpoint=endpoint,
        workspace="w",
        source=SourceOffset(TOPIC, 0, offset),
        subscriptions=("s",),
        run=run,
        routed_at=0,
        **fields,
    )
    topic = topics.WEBHOOK_DELIVERIES if run == LIVE else topics.WEBHOOK_REPLAYS
    return Message(topic, headers=delivery.to_headers())


def ran(run: Run, deliveries: int, state: RunState = RunState.DONE) -> list[Message]:
    progress = RunProgress(run=run.id, state=state, deliveries=deliveries, started_at=0, changed_at=0)
    return [Message(topics.RUNS, each) for each in (run_record(run, 1), progress_record(run, progress, 1))]


GOOD = [
    *ran(REPLAY, 2),
    *ran(BACKFILL, 1),
    sent("replay", 1),
    sent("replay", 2),
    sent("backfill", 3, "paused"),
    *(sent(LIVE, offset, "paused") for offset in range(3)),
]


def test_runs_that_sent_each_event_once_are_good() -> None:
    put_off = [sent("replay", 2, returned=True), sent(LIVE, 2, "paused", attempts=1)]

    assert unexact([*GOOD, *put_off], EVENTS, "paused") == []  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([*GOOD, sent("replay", 2)], "more than once"),
        ([*GOOD, sent("replay", 3)], "not asked for"),
        ([each for each in GOOD if each is not GOOD[4]], "missing"),
        ([*GOOD, sent(LIVE, 3, "paused")], "of the endpoint that was paused more than once"),
        (GOOD[:-1], "of the endpoint that was paused missing"),
        ([*GOOD, sent("nobody", 1)], "not there"),
        ([*GOOD, *ran(REPLAY, 2, RunState.FAILED)], "did not come to its end"),
    ],
)
def test_damage_is_found(messages: list[Message], said: str) -> None:
    assert any(said in line for line in unexact(messages, EVENTS, "paused"))  # type: ignore[arg-type]
