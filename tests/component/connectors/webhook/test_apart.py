"""Deliveries do not touch each other: one event's receivers, a run beside live tries, credentials before and after."""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiohttp import web

from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery, Outcome
from schemas.model.endpoint import Authorization, AuthorizationType
from schemas.model.ids import LIVE, delivery_id
from tests.component.connectors.post_office import read_by_connector, until

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from backbone.kafka.records import Record
    from schemas.model.endpoint import Endpoint
    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.receiver import Mailbox, Receiver

pytestmark = pytest.mark.usefixtures("connector")


@pytest.fixture
def mailbox(receiver: Receiver) -> Mailbox:
    return receiver.mailbox(uuid.uuid4().hex)


def changed(record: Record, topic: str = topics.WEBHOOK_DELIVERIES, **fields: Any) -> Record:
    """The delivery of a record with other fields."""
    then = Delivery.from_headers(record.headers)
    delivery = msgspec.structs.replace(then, **fields)
    own = [each for each in record.headers or () if each not in then.to_headers()]
    return msgspec.structs.replace(
        record, topic=topic, key=delivery.endpoint.encode(), headers=own + delivery.to_headers()
    )


def counted(connector: CollectorRegistry, outcome: Outcome) -> float:
    return connector.get_sample_value("headrace_webhook_attempts_total", {"outcome": outcome.value.lower()}) or 0.0


async def test_only_the_receiver_that_failed_is_asked_again(
    office: PostOffice, receiver: Receiver, mailbox: Mailbox, connector: CollectorRegistry
) -> None:
    mailbox.answers = [400, 404, 204]
    failing = await office.endpoint(mailbox.url, retry_schedule=(0.1, 0.1))
    others = [receiver.mailbox(uuid.uuid4().hex) for _ in range(3)]
    healthy = [await office.endpoint(each.url, retry_schedule=(0.1, 0.1)) for each in others]
    before = {each: counted(connector, each) for each in (Outcome.DELIVERED, Outcome.RETRYING)}

    first = office.delivery(failing)
    event = Delivery.from_headers(first.headers).event
    await office.producer.send(
        [first, *(changed(first, id=delivery_id(event, each.id), endpoint=each.id) for each in healthy)]
    )
    await until(lambda: len(mailbox.received) == 3, "the third try of the one that failed")
    await until(lambda: len(office.attempts(failing)) == 3, "its attempts")

    expected = [(Outcome.RETRYING, 400), (Outcome.RETRYING, 404), (Outcome.DELIVERED, 204)]
    assert [(each.outcome, each.status) for each in office.attempts(failing)] == expected
    assert [len(each.received) for each in others] == [1, 1, 1]
    assert {each.event for endpoint in healthy for each in office.attempts(endpoint)} == {event}
    assert len({each.received[0].id for each in [mailbox, *others]}) == 4
    assert counted(connector, Outcome.DELIVERED) - before[Outcome.DELIVERED] == 4
    assert counted(connector, Outcome.RETRYING) - before[Outcome.RETRYING] == 2


async def test_a_run_beside_live_tries_has_tries_of_its_own(office: PostOffice, mailbox: Mailbox) -> None:
    async def take_runs_only(request: web.Request, _number: int) -> web.Response:
        return web.Response(status=204 if "webhook-replay" in request.headers else 500)

    mailbox.answering = take_runs_only
    endpoint = await office.endpoint(mailbox.url, retry_schedule=(0.1, 0.1))
    live = office.delivery(endpoint)
    delivery = Delivery.from_headers(live.headers).id
    await office.producer.send([live])
    await until(lambda: len(office.attempts(endpoint)) >= 1, "it failed")
    # While its next try is due, it is sent again by hand, twice.
    await office.producer.send([changed(live, topics.WEBHOOK_REPLAYS, run=f"run-{n}") for n in range(2)])
    await until(lambda: len(office.attempts(endpoint)) == 5, "all have come to an end")

    tries = {run: [each for each in office.attempts(endpoint) if each.run == run] for run in (LIVE, "run-0", "run-1")}
    assert [each.outcome for each in tries[LIVE]] == [Outcome.RETRYING, Outcome.RETRYING, Outcome.DEAD]
    assert [each.number for each in tries[LIVE]] == [1, 2, 3]
    for run in ("run-0", "run-1"):
        assert [(each.number, each.outcome) for each in tries[run]] == [(1, Outcome.DELIVERED)]
    assert {each.id for each in mailbox.received} == {delivery}


async def test_new_credentials_and_headers_are_used_without_a_restart(
    office: PostOffice, mailbox: Mailbox, receiver: Receiver
) -> None:
    def basic(user: str, password: str) -> Authorization:
        return Authorization(type=AuthorizationType.BASIC, user=user, secret=office.sealed(password))

    endpoint: Endpoint = await office.endpoint(mailbox.url, authorization=basic("me", "one"), headers={"X-Team": "a"})
    await office.deliver(endpoint)
    await until(lambda: len(mailbox.received) == 1, "received")
    edited = msgspec.structs.replace(
        endpoint, authorization=basic("you", "two"), headers={"X-Team": "b"}, updated_at=timestamps.now()
    )
    await office.put(edited)
    await read_by_connector(office, receiver)
    await office.deliver(endpoint)
    await until(lambda: len(mailbox.received) == 2, "received")

    sent = [(each.headers["authorization"], each.headers["x-team"]) for each in mailbox.received]
    assert sent == [
        (f"Basic {base64.b64encode(b'me:one').decode()}", "a"),
        (f"Basic {base64.b64encode(b'you:two').decode()}", "b"),
    ]
