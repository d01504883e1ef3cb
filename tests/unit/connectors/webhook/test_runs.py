"""Deliveries of runs and test sends at the webhook connector: behind live ones, and back to where they came from."""

from __future__ import annotations

import msgspec
import pytest

from backbone.endpoint_states import HELD_SECONDS, EndpointStatus
from backbone.kafka.settings import KafkaSettings
from connectors.shared.offsets import PartitionProgress
from connectors.webhook.attempts import again_record
from connectors.webhook.endpoint_states import EndpointStates
from connectors.webhook.outcomes import Job
from connectors.webhook.transport import Response
from schemas.model import timestamps, topics
from schemas.model.delivery import Attempt, Delivery, Outcome, SourceOffset
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.ids import LIVE, TEST
from tests.unit.connectors.webhook.test_outcomes import MESSAGE, World

HOOK = Endpoint(id="hook", workspace="acme", name="hook", type=EndpointType.WEB_HOOK, created_at=0, updated_at=0)


def job(run: str, routed_at: int) -> Job:
    delivery = Delivery(
        id="d1",
        event="e1",
        endpoint="hook",
        workspace="acme",
        source=SourceOffset("events.acme.shop.order", 0, 7),
        subscriptions=(),
        run=run,
        routed_at=routed_at,
    )
    return Job(message=MESSAGE, headers=[], delivery=delivery, progress=PartitionProgress())


def test_a_live_delivery_goes_before_what_a_run_wrote_earlier() -> None:
    replayed, later, live = job("a run", 1), job("a run", 2), job(LIVE, 3)

    assert sorted([replayed.order, later.order, live.order]) == [live.order, replayed.order, later.order]


@pytest.mark.parametrize(("run", "topic"), [(LIVE, topics.WEBHOOK_DELIVERIES), ("a run", topics.WEBHOOK_REPLAYS)])
def test_what_is_handed_on_goes_back_to_its_topic_and_says_so(run: str, topic: str) -> None:
    record = again_record(MESSAGE, job(run, 1).delivery)

    assert record.topic == topic
    assert Delivery.from_headers(record.headers).returned


@pytest.mark.parametrize(
    ("status", "outcome"), [(204, Outcome.DELIVERED), (500, Outcome.DEAD), (410, Outcome.DEAD), (429, Outcome.DEAD)]
)
def test_a_test_send_leaves_nothing_but_its_attempt(status: int, outcome: Outcome) -> None:
    response = Response(status=status, duration=0.1, retry_after=60.0)

    (record,) = World().outcomes.of_try(job(f"{TEST}1", timestamps.now()), HOOK, response, timestamps.now())

    assert record.topic == topics.ATTEMPTS
    assert msgspec.json.decode(record.value or b"", type=Attempt).outcome is outcome


def test_what_was_routed_before_the_owners_pause_waits() -> None:
    states = EndpointStates(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    held = msgspec.structs.replace(HOOK, held_since=5)

    assert (states.pause_left(HOOK), states.pause_left(held)) == (0.0, HELD_SECONDS)
    assert (states.standing(held).status, states.standing(held).since) == (EndpointStatus.PAUSED, 5)
