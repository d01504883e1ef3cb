"""Runs under way while everything else fails, and whether each delivery of theirs is in Kafka exactly once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from schemas.model import topics
from schemas.model.delivery import Delivery
from schemas.model.errors import CorruptRecord
from schemas.model.ids import LIVE
from schemas.model.run import PROGRESS, Run, RunKind, RunProgress, RunState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from confluent_kafka import Message

    from operations.api.client import OwnApi

_BACK = 15
"""Seconds of the past that one replay sends again."""
_RATE = 40
"""Deliveries a second: a replay is under way for most of a round."""
_LOOK_EVERY = 0.5
_ENDED = {state.value for state in (RunState.DONE, RunState.CANCELLED, RunState.FAILED)}

Place = tuple[str, int, int]
"""Topic, partition and offset of an event."""

READ = (topics.RUNS, topics.WEBHOOK_DELIVERIES, topics.WEBHOOK_REPLAYS)


async def begin(api: OwnApi, endpoint: str) -> None:
    """Send an endpoint the last seconds again. A call that is cut off may have begun a run; that one counts too."""
    since = datetime.now(UTC) - timedelta(seconds=_BACK)
    await api.post(f"/endpoints/{endpoint}/replay", {"from": since.isoformat(), "rate": _RATE})


async def ended(api: OwnApi, limit: float) -> list[str]:
    """Wait until no run is under way; those that still are after so many seconds."""
    deadline = time.monotonic() + limit
    while True:
        runs = (await api.get("/runs", limit="1000"))["items"]
        left = [f"{each['kind']} {each['id']}: {each['state']}" for each in runs if each["state"] not in _ENDED]
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(_LOOK_EVERY)


def unexact(messages: Iterable[Message], events: Sequence[Place], paused: str) -> list[str]:
    """What is wrong with the runs, by all records of ``READ``.

    Args:
        messages: the records.
        events: where all events are; every endpoint gets each.
        paused: id of the endpoint that is paused at times: an event is live, or is sent by one backfill.
    """
    runs: dict[str, Run] = {}
    progress: dict[str, RunProgress] = {}
    sent: defaultdict[str, Counter[tuple[str, Place]]] = defaultdict(Counter)
    for message in messages:
        if message.topic() == topics.RUNS:
            _take_in(message, runs, progress)
            continue
        try:
            found = Delivery.from_headers(message.headers() or [])
        except CorruptRecord:
            continue  # of all contracts of an event
        if found.returned or found.attempts:
            continue  # the receiver put it off, or refused it: it comes back from a tier
        source = found.source
        sent[found.run][found.endpoint, (source.topic, source.partition, source.offset)] += 1
    wrong = [f"deliveries of a run that is not there: {each}" for each in sent.keys() - runs.keys() - {LIVE}]
    for run in runs.values():
        wrong += [f"{run.kind} {run.id}: {each}" for each in _of_run(run, progress.get(run.id), sent[run.id], events)]
    once = Counter({place: times for (endpoint, place), times in sent[LIVE].items() if endpoint == paused})
    for run in runs.values():
        if run.kind is RunKind.BACKFILL:
            once.update({place: times for (_, place), times in sent[run.id].items()})
    return wrong + _differences("of the endpoint that was paused", once, events)


def _take_in(message: Message, runs: dict[str, Run], progress: dict[str, RunProgress]) -> None:
    key, value = (message.key() or b"").decode(), message.value() or b""
    if "/" not in key:
        runs.setdefault(key, msgspec.json.decode(value, type=Run))
    elif key.endswith(PROGRESS):
        progress[key.removesuffix(PROGRESS)] = msgspec.json.decode(value, type=RunProgress)


def _of_run(
    run: Run, progress: RunProgress | None, sent: Counter[tuple[str, Place]], events: Sequence[Place]
) -> list[str]:
    if progress is None or progress.state is not RunState.DONE:
        return [f"did not come to its end: {progress}"]
    wrong: list[Any] = []
    if (progress.skipped, progress.lost) != ({}, 0):
        wrong.append(f"skipped {progress.skipped}, lost {progress.lost}")
    if progress.deliveries != sent.total():
        wrong.append(f"says that it made {progress.deliveries} deliveries, and made {sent.total()}")
    if run.kind is RunKind.REPLAY:
        ranges = defaultdict(list)
        for each in run.ranges:
            ranges[each.topic, each.partition].append(each)
        wanted = [
            (topic, number, offset)
            for topic, number, offset in events
            if any(each.first <= offset < each.end for each in ranges[topic, number])
        ]
        wrong += _differences("sent again", Counter({place: times for (_, place), times in sent.items()}), wanted)
    return wrong


def _differences(name: str, sent: Counter[Place], wanted: Sequence[Place]) -> list[str]:
    missing = sorted(set(wanted) - sent.keys())
    other = sorted(sent.keys() - set(wanted))
    several = sorted(place for place, times in sent.items() if times > 1)
    found = {"missing": missing, "not asked for": other, "more than once": several}
    return [f"{len(places)} {name} {what}: {places[:5]}" for what, places in found.items() if places]
