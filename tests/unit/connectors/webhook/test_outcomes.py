"""What is written of deliveries when Kafka is away, when a record is too large, and when our own code fails."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from backbone.kafka.records import Ack, Record
from backbone.kafka.settings import KafkaSettings
from connectors.shared.offsets import PartitionProgress
from connectors.webhook import outcomes as outcomes_module
from connectors.webhook.attempts import smaller
from connectors.webhook.endpoint_states import EndpointStates
from connectors.webhook.health import HealthBook
from connectors.webhook.metrics import WebhookMetrics
from connectors.webhook.outcomes import Job, Outcomes
from connectors.webhook.settings import WebhookSettings
from connectors.webhook.transport import Response
from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import Unavailable
from tests.support.consumed_messages import ConsumedMessage

if TYPE_CHECKING:
    from collections.abc import Sequence


MESSAGE: Any = ConsumedMessage(topics.WEBHOOK_DELIVERIES, b"event", [("ce_id", b"e1")])


class World:
    """Outcomes whose producer refuses so many times."""

    def __init__(self, refusals: int = 0, states: EndpointStates | None = None) -> None:
        self.refusals = refusals
        self.written: list[Record] = []
        states = states or EndpointStates(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
        self.outcomes = Outcomes(
            states=states,
            health=HealthBook(states, WebhookSettings()),
            producer=self,  # type: ignore[arg-type]
            metrics=WebhookMetrics(CollectorRegistry()),
            settings=WebhookSettings(),
        )

    async def send(self, records: Sequence[Record], *, final: bool) -> list[Ack]:
        assert final, "sent again, it would be written twice"
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("not now")
        self.written += records
        return [Ack(0, 0)] * len(records)


async def test_kafkas_absence_is_told_once_however_many_wait_for_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outcomes_module, "PAUSE", 0.0)
    world = World(refusals=50)
    caplog.set_level(logging.INFO, outcomes_module.__name__)

    await world.outcomes.note(MESSAGE, [Record(topics.ATTEMPTS, b"1")])
    await world.outcomes.note(MESSAGE, [Record(topics.ATTEMPTS, b"2")])

    assert [record.value for record in world.written] == [b"1", b"2"]
    assert [line.message for line in caplog.records] == [
        "outcomes wait for Kafka: not now",
        "outcomes are written again",
    ]


@pytest.fixture
def asked() -> int:
    """When a try began, microseconds since the epoch."""
    return timestamps.now()


@pytest.fixture
def endpoint(asked: int) -> Endpoint:
    """As it was when the try began."""
    return Endpoint(
        id="hook", workspace="acme", name="hook", type=EndpointType.WEB_HOOK, created_at=asked - 1, updated_at=asked - 1
    )


@pytest.fixture
def job() -> Job:
    delivery = Delivery(
        id="d1",
        event="e1",
        endpoint="hook",
        workspace="acme",
        source=SourceOffset("events.acme.shop.order", 0, 7),
        subscriptions=(),
        routed_at=timestamps.now(),
    )
    return Job(message=MESSAGE, headers=[], delivery=delivery, progress=PartitionProgress())


def test_gone_disables_as_of_the_request(job: Job, endpoint: Endpoint, asked: int) -> None:
    states = EndpointStates(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    world = World(states=states)
    gone = Response(status=410, duration=0.1)

    edited = msgspec.structs.replace(endpoint, updated_at=asked + 1)
    later = world.outcomes.of_try(job, edited, gone, asked)
    assert [record.topic for record in later] == [topics.ATTEMPTS, topics.RETRY_TIERS[5]]
    assert states.disabled_reason(edited) is None

    at_once = world.outcomes.of_try(job, endpoint, gone, asked)
    assert [record.topic for record in at_once] == [topics.ENDPOINT_STATE, topics.ATTEMPTS, topics.DEAD_LETTERS]
    assert states.disabled_reason(endpoint) is not None
    assert states.disabled_reason(edited) is None


def test_retry_after_pauses_the_endpoint_that_asked_and_not_what_it_was_edited_to(
    job: Job, endpoint: Endpoint, asked: int
) -> None:
    states = EndpointStates(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    world = World(states=states)
    busy = Response(status=429, retry_after=3_600.0, duration=0.1)
    edited = msgspec.structs.replace(endpoint, updated_at=asked + 1)

    later = world.outcomes.of_try(job, edited, busy, asked)
    assert [record.topic for record in later] == [topics.ATTEMPTS, topics.RETRY_TIERS[5]]
    assert states.pause_left(edited) == 0

    paused = world.outcomes.of_try(job, endpoint, busy, asked)
    assert [record.topic for record in paused] == [topics.ENDPOINT_STATE, topics.ATTEMPTS, topics.RETRY_TIERS[1_800]]
    assert states.pause_left(endpoint) == pytest.approx(3_600, abs=60)
    assert states.pause_left(edited) == 0


async def test_what_our_own_code_cannot_handle_is_set_aside_and_holds_up_no_offset() -> None:
    world = World()
    progress = PartitionProgress()
    progress.start(7)

    async def work() -> None:
        raise OverflowError("a-secret")

    await world.outcomes.guard(MESSAGE, progress, work)

    (letter,) = world.written
    assert letter.topic == topics.DEAD_LETTERS
    assert dict(letter.headers or [])["hr_dead_reason"] == b"it cannot be handled: OverflowError"
    assert progress.unfinished == 0


@pytest.mark.parametrize("topic", [topics.WEBHOOK_DELIVERIES, topics.RETRY_TIERS[5], topics.DEAD_LETTERS])
def test_a_delivery_that_kafka_does_not_take_becomes_a_dead_letter_without_its_value(topic: str) -> None:
    written = smaller(Record(topic, b"event", b"key"), MESSAGE, "too large")

    assert (written.topic, written.value) == (topics.DEAD_LETTERS, None)
