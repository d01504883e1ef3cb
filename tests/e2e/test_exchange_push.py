"""An Exchange publisher's event reaches a push subscriber: gateway, router and webhook connector as processes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.support.exchange_account import ExchangeAccount, ExchangeEndpoint, exchange_account

if TYPE_CHECKING:
    from tests.component.connectors.receiver import Mailbox, Receiver
    from tests.support.running_gateway import RunningGateway

WHEN = "2015-02-28T20:16:12.000Z"
EMAIL = {"name": "email", "value": "someone@example.org"}


@pytest.fixture(scope="module")
def account(gateway: RunningGateway, processors: None, webhooks: None) -> ExchangeAccount:
    """An account on planes that may push to this machine."""
    return exchange_account(gateway)


@pytest.fixture
def mailbox(receiver: Receiver) -> tuple[str, Mailbox]:
    """The URL of a subscriber, and what is posted below it."""
    name = f"subscriber-{uuid4()}"
    return receiver.url(name), receiver.mailbox(f"{name}/v1/events")


@pytest.fixture
def publisher(account: ExchangeAccount) -> ExchangeEndpoint:
    return account.endpoint(source=True, identifiers=("email",), provider="Acme")


def publish(publisher: ExchangeEndpoint, code: str, total: str) -> None:
    attributes = [{"name": "productID", "value": "P-1"}, {"name": "orderTotal", "value": total, "type": "number"}]
    event = {"code": code, "timestamp": WHEN, "attributes": attributes}
    with publisher.client() as http:
        body = {"channel": "mobile", "identifiers": [EMAIL], "events": [event]}
        http.post("/v1/event", json=body).raise_for_status()


def bodies(mailbox: Mailbox, count: int) -> list[dict[str, Any]]:
    # Whatever earlier tests left on the topics is routed and cancelled first.
    deadline = time.monotonic() + 120
    while len(mailbox.received) < count:
        assert time.monotonic() < deadline, f"{len(mailbox.received)} of {count} pushes came"
        time.sleep(0.05)
    return [json.loads(each.body) for each in mailbox.received]


def test_A_161_a_push_subscriber_gets_the_event(
    account: ExchangeAccount, publisher: ExchangeEndpoint, mailbox: tuple[str, Mailbox]
) -> None:
    url, received = mailbox
    code = f"code-{uuid4()}"
    consumer = account.endpoint(destination={"enabled": True, "url": url})
    publisher.register(code).raise_for_status()
    account.subscribe(consumer, publisher, code)

    publish(publisher, code, "125.50")

    (body,) = bodies(received, 1)
    assert body.pop("x1Id")
    assert body == {
        "provider": "Acme",
        "source": publisher.name,
        "channel": "mobile",
        "identifiers": [EMAIL],
        "events": [
            {
                "code": code,
                "timestamp": WHEN,
                "attributes": [
                    {"name": "productID", "value": "P-1", "type": "String"},
                    {"name": "orderTotal", "value": "125.50", "type": "Number"},
                ],
            }
        ],
    }
    (request,) = received.received
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert not {"authorization", "webhook-signature"} & request.headers.keys()


def test_A_162_what_is_not_subscribed_to_is_not_pushed(
    account: ExchangeAccount, publisher: ExchangeEndpoint, mailbox: tuple[str, Mailbox]
) -> None:
    url, received = mailbox
    wanted, unwanted = f"wanted-{uuid4()}", f"unwanted-{uuid4()}"
    consumer = account.endpoint(destination={"enabled": True, "url": url})
    other = account.endpoint(source=True, identifiers=("email",))
    for endpoint in (publisher, other):
        endpoint.register(wanted).raise_for_status()
        endpoint.register(unwanted).raise_for_status()
    account.subscribe(consumer, publisher, wanted)

    publish(publisher, unwanted, "1")
    publish(other, wanted, "2")
    publish(publisher, wanted, "3")
    bodies(received, 1)
    # One more round trip: time for a push that should not come.
    publish(publisher, wanted, "4")

    totals = [body["events"][0]["attributes"][1]["value"] for body in bodies(received, 2)]
    assert sorted(totals) == ["3", "4"]


def test_a_consumer_that_is_gone_is_shown_as_disabled_until_it_says_again_that_it_receives(
    account: ExchangeAccount, publisher: ExchangeEndpoint, mailbox: tuple[str, Mailbox]
) -> None:
    url, received = mailbox
    received.answers = [410, 204]
    code = f"code-{uuid4()}"
    push = {"enabled": True, "url": url}
    consumer = account.endpoint(destination=push)
    publisher.register(code).raise_for_status()
    account.subscribe(consumer, publisher, code)
    with account.gateway.client(params={"workspace": account.workspace}) as admin, consumer.client() as http:

        def state() -> dict[str, Any]:
            answer = admin.get(f"/headrace/v1/endpoints/{consumer.id}").raise_for_status()
            shown: dict[str, Any] = answer.json()["state"]
            return shown

        assert state()["status"] == "enabled"
        publish(publisher, code, "1")
        bodies(received, 1)
        deadline = time.monotonic() + 60
        while (gone := state())["status"] == "enabled":
            assert time.monotonic() < deadline, "what the connector found is written"
            time.sleep(0.05)
        assert (gone["status"], gone["reason"]) == ("disabled", "the endpoint answered 410 Gone")

        http.put("/v1/endpoint", json={"endpointTypes": {"event": {"destination": push}}}).raise_for_status()

        assert state()["status"] == "enabled"
        publish(publisher, code, "2")
    assert [body["events"][0]["attributes"][1]["value"] for body in bodies(received, 2)] == ["1", "2"]


def test_a_consumer_that_stops_receiving_gets_no_more(
    account: ExchangeAccount, publisher: ExchangeEndpoint, mailbox: tuple[str, Mailbox]
) -> None:
    url, received = mailbox
    code = f"code-{uuid4()}"
    push = {"enabled": True, "url": url}
    consumer = account.endpoint(destination=push)
    publisher.register(code).raise_for_status()
    account.subscribe(consumer, publisher, code)
    with consumer.client() as http:
        http.put("/v1/endpoint", json={"endpointTypes": {"event": {}}}).raise_for_status()
        publish(publisher, code, "1")
        http.put("/v1/endpoint", json={"endpointTypes": {"event": {"destination": push}}}).raise_for_status()
    publish(publisher, code, "2")

    (body,) = bodies(received, 1)
    assert body["events"][0]["attributes"][1]["value"] == "2"
