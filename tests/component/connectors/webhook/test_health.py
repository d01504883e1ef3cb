"""The health of an endpoint on real Kafka: disabled after nothing but failures, enabled again, shared by its topic."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import msgspec
import pytest

from backbone.endpoint_states import EndpointStateView, EndpointStatus
from backbone.kafka.settings import KafkaSettings
from schemas.model import timestamps
from schemas.model.delivery import Outcome
from tests.component.connectors.post_office import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.receiver import Receiver

pytestmark = pytest.mark.usefixtures("connector")


@pytest.fixture
def shown(kafka_bootstrap: str) -> Iterator[EndpointStateView]:
    """What the API knows of endpoints."""
    view = EndpointStateView(KafkaSettings(bootstrap_servers=kafka_bootstrap))
    view.start()
    yield view
    view.stop()


async def test_nothing_but_failures_disable_an_endpoint_until_it_is_enabled(
    office: PostOffice, receiver: Receiver, shown: EndpointStateView
) -> None:
    mailbox = receiver.mailbox(uuid.uuid4().hex)
    mailbox.answers = [500]
    endpoint = await office.endpoint(mailbox.url, disable_after=3.0, retry_schedule=(0.1,) * 9)

    await office.deliver(endpoint, 6)
    await until(lambda: shown.health(endpoint).is_failing, "it is said to fail")
    assert shown.standing(endpoint).status is EndpointStatus.ENABLED
    await until(lambda: shown.standing(endpoint).status is EndpointStatus.DISABLED, "it is disabled")
    reason = shown.standing(endpoint).reason or ""
    assert reason.startswith("all ")
    assert reason.endswith(" failed")
    assert shown.health(endpoint).status == 500
    await until(
        lambda: {each.outcome for each in office.attempts(endpoint)} >= {Outcome.DEAD, Outcome.CANCELLED}, "ended"
    )
    assert office.dead_letters(endpoint.id)

    mailbox.answers = [204]
    enabled = msgspec.structs.replace(endpoint, updated_at=timestamps.now())
    await office.put(enabled)
    before = len(mailbox.received)
    await office.deliver(endpoint)
    await until(lambda: len(mailbox.received) > before, "delivered again")
    await until(lambda: shown.health(enabled).succeeded_at is not None, "its success is shown")
    assert shown.health(enabled).failures == 0
    assert shown.standing(enabled).status is EndpointStatus.ENABLED


async def test_a_breaker_is_shown_while_it_is_open(
    office: PostOffice, receiver: Receiver, shown: EndpointStateView
) -> None:
    mailbox = receiver.mailbox(uuid.uuid4().hex)
    mailbox.answers = [503]
    endpoint = await office.endpoint(mailbox.url, retry_schedule=())
    await office.deliver(endpoint, 12)
    await until(lambda: shown.health(endpoint).closed_until is not None, "the breaker is open")
    assert shown.health(endpoint).failures >= 8
