"""A broker that stands still again and again under load: what was answered is in Kafka, and once.

Twelve producers send records without keys. Two gateways take events with keys; a request without a 2xx is repeated on
the other gateway until there is one, and now and then a gateway is killed in the middle of a stall.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import os
import random
import signal
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.producer import Producer
from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings
from backbone.publishing.landed_events import event_id_of
from schemas.model.errors import Unavailable
from schemas.model.topics import event_topic
from tests.support.records import records_of
from tests.support.running_gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.running_gateway import RunningGateway

PRODUCERS = 12
_BETWEEN_RECORDS = 0.02
_KEYED_TASKS = 12
_BETWEEN_EVENTS = 0.05
_BEFORE, _AFTER = 1.0, 1.5
"""Seconds of undisturbed work before and after a stall."""

_STARVED = 1.5
"""Seconds after a stall for which the broker gets a fifth of the time, as on a machine that is overloaded."""

_UNTIL_ANSWERED = 240.0

_START_SECONDS = 600.0
"""A machine that does other work besides takes minutes; what is measured here is not that."""


@dataclass
class Verdict:
    """What was sent and answered, and what of it is there how often."""

    acknowledged: int = 0
    refused: int = 0
    missing: list[Any] = field(default_factory=list)
    twice: list[Any] = field(default_factory=list)
    keyed: int = 0
    keyed_repeats: int = 0
    kills: int = 0
    keyed_missing: list[str] = field(default_factory=list)
    keyed_twice: list[str] = field(default_factory=list)
    answered_differently: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether everything that was answered is there once."""
        return not (self.missing or self.twice or self.keyed_missing or self.keyed_twice or self.answered_differently)


class StalledBroker:
    """The load on one broker.

    Args:
        bootstrap: where it is.
        group: its process group, which is stopped and continued.
        delivery_timeout: of producers and gateways, seconds.
        directory: of the gateways.
    """

    def __init__(self, bootstrap: str, group: int, *, delivery_timeout: float, directory: Path) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._settings = KafkaSettings(bootstrap_servers=bootstrap, delivery_timeout=delivery_timeout)
        self._directory = directory
        self._gateways: list[RunningGateway] = []
        self._contexts: list[contextlib.ExitStack] = []
        self._over = asyncio.Event()
        self._acknowledged: set[tuple[str, int]] = set()
        self._answers: dict[str, set[tuple[str, int, int]]] = {}
        self._verdict = Verdict()

    async def run(self, stalls: Sequence[float], *, kill_every: int, seed: int = 1) -> Verdict:
        """Stand still for so many seconds each; every so many stalls a gateway is killed."""
        names = [f"stalls-{uuid.uuid4()}" for _ in range(PRODUCERS)]
        await Admin(self._settings).ensure_topics([TopicSpec(name, 1) for name in names])
        producers = [Producer(self._settings) for _ in names]
        for producer in producers:
            await producer.start()
        self._contexts = [contextlib.ExitStack() for _ in range(2)]
        try:
            self._gateways = [await asyncio.to_thread(self._start, context) for context in self._contexts]
            workspace, key = await asyncio.to_thread(self._register, self._gateways[0])
            sending = [
                asyncio.create_task(self._send(producer, name)) for producer, name in zip(producers, names, strict=True)
            ]
            posting = [asyncio.create_task(self._post(key, number)) for number in range(_KEYED_TASKS)]
            await self._stall(stalls, kill_every, random.Random(seed))
            self._over.set()
            await asyncio.gather(*sending, *posting)
            for producer in producers:
                await producer.stop()
            await asyncio.to_thread(self._judge, names, event_topic(workspace, "events", "Stall"))
        finally:
            os.killpg(self._group, signal.SIGCONT)
            for context in self._contexts:
                await asyncio.to_thread(context.close)
        return self._verdict

    def _start(self, context: contextlib.ExitStack) -> RunningGateway:
        timeout = str(self._settings.delivery_timeout)
        return context.enter_context(
            running_gateway(
                self._bootstrap,
                self._directory,
                start_seconds=_START_SECONDS,
                HEADRACE_KAFKA_DELIVERY_TIMEOUT=timeout,
            )
        )

    @staticmethod
    def _register(gateway: RunningGateway) -> tuple[str, str]:
        workspace = gateway.create_workspace()
        _, key = gateway.create_client(workspace, "producer")
        with gateway.client(key) as http:
            http.post("/headrace/v1/registrations", json={"code": "Stall", "open": True}).raise_for_status()
        return workspace, key

    async def _stall(self, stalls: Sequence[float], kill_every: int, chance: random.Random) -> None:
        for number, seconds in enumerate(stalls, 1):
            await asyncio.sleep(_BEFORE)
            os.killpg(self._group, signal.SIGSTOP)
            await asyncio.sleep(seconds / 2)
            killed = number % kill_every == 0
            if killed:
                victim = chance.randrange(2)
                self._gateways[victim].process.kill()
                self._verdict.kills += 1
            await asyncio.sleep(seconds / 2)
            loop = asyncio.get_running_loop()
            end = loop.time() + _STARVED
            while loop.time() < end:
                os.killpg(self._group, signal.SIGCONT)
                await asyncio.sleep(0.1)
                os.killpg(self._group, signal.SIGSTOP)
                await asyncio.sleep(0.4)
            os.killpg(self._group, signal.SIGCONT)
            if killed:
                await asyncio.to_thread(self._contexts[victim].close)
                self._gateways[victim] = await asyncio.to_thread(self._start, self._contexts[victim])
            await asyncio.sleep(_AFTER)

    async def _send(self, producer: Producer, topic: str) -> None:
        async def one(number: int) -> None:
            try:
                await producer.send([Record(topic, b"%d" % number)])
            except Unavailable:
                self._verdict.refused += 1
            else:
                self._acknowledged.add((topic, number))

        tasks = []
        for number in itertools.count():
            if self._over.is_set():
                break
            tasks.append(asyncio.create_task(one(number)))
            await asyncio.sleep(_BETWEEN_RECORDS)
        await asyncio.gather(*tasks)

    async def _post(self, key: str, task: int) -> None:
        """Post event after event; half of them have an ``Idempotency-Key``, half an id of the producer's."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents+json"}
        async with httpx.AsyncClient(verify=False, timeout=30, headers=headers) as http:  # noqa: S501 - plain HTTP
            for number in itertools.count(task):
                if self._over.is_set():
                    return
                name = str(uuid.uuid4())
                event: dict[str, Any] = {"specversion": "1.0", "type": "Stall", "data": {"key": name}}
                keyed = {"Idempotency-Key": name} if number % 2 else {}
                if not number % 2:
                    event |= {"id": name, "source": "/stalls"}
                await self._until_answered(http, name, event, keyed, first=number % 2)
                await asyncio.sleep(_BETWEEN_EVENTS)

    async def _until_answered(
        self, http: httpx.AsyncClient, name: str, event: dict[str, Any], headers: dict[str, str], *, first: int
    ) -> None:
        async with asyncio.timeout(_UNTIL_ANSWERED):
            for turn in itertools.count(first):
                gateway = self._gateways[turn % 2]
                with contextlib.suppress(httpx.TransportError):
                    answer = await http.post(f"{gateway.url}/headrace/v1/events", json=event, headers=headers)
                    if answer.is_success:
                        body = answer.json()
                        place = (body["id"], body["partition"], body["offset"])
                        self._answers.setdefault(name, set()).add(place)
                        # And once more: an answer that was given stays.
                        if turn > first:
                            self._verdict.keyed_repeats += turn - first
                        return
                    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
                    assert answer.headers["retry-after"].isdigit()
                await asyncio.sleep(0.2)

    def _judge(self, names: Sequence[str], topic: str) -> None:
        verdict = self._verdict
        counts: collections.Counter[tuple[str, int]] = collections.Counter()
        for name in names:
            counts.update((name, int(message.value() or b"")) for message in records_of(self._bootstrap, name))
        verdict.acknowledged = len(self._acknowledged)
        verdict.missing = [each for each in self._acknowledged if not counts[each]]
        verdict.twice = [each for each in self._acknowledged if counts[each] > 1]
        found = collections.Counter(event_id_of(message).decode() for message in records_of(self._bootstrap, topic))
        verdict.keyed = len(self._answers)
        for name, places in self._answers.items():
            ids = {event_id for event_id, _, _ in places}
            if len(places) > 1:
                verdict.answered_differently.append(name)
            verdict.keyed_missing += [event_id for event_id in ids if not found[event_id]]
        verdict.keyed_twice = [event_id for event_id, count in found.items() if count > 1]
