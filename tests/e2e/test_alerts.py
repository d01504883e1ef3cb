"""Alerts through all planes: who subscribes to operational events is told of its own endpoints, and of no others."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.component.connectors.receiver import Mailbox, Receiver
    from tests.support.running_gateway import RunningGateway

pytestmark = pytest.mark.usefixtures("processors", "webhooks")

V1 = "/headrace/v1"


class Subscriber(NamedTuple):
    """A client that publishes to itself, and is sent alerts to a webhook of its own."""

    http: httpx.Client
    alerts: Mailbox

    def make(self, path: str, **body: Any) -> str:
        """The id of a new resource."""
        return str(self.http.post(f"{V1}/{path}", json=body).raise_for_status().json().get("id"))

    def subscribe(self, url: str, *types: tuple[str, str], **endpoint: Any) -> str:
        """A webhook that gets events of these types; returns its id."""
        made = self.make("endpoints", name="hook", url=url, **endpoint)
        selected = [{"namespace": namespace, "code": code} for namespace, code in types]
        self.make("subscriptions", filter=self.make("filters", name="f", types=selected), endpoint=made)
        return made

    def told(self, *codes: str) -> list[dict[str, Any]]:
        """The operational events that came, once those with all these codes have."""
        deadline = time.monotonic() + 120
        while True:
            came = [json.loads(each.body) for each in list(self.alerts.received)]
            if {each["type"] for each in came} >= set(codes):
                return came
            assert time.monotonic() < deadline, [each["type"] for each in came]
            time.sleep(0.05)


@pytest.fixture
def subscribers(gateway: RunningGateway, receiver: Receiver) -> Iterator[list[Subscriber]]:
    """Two clients of one workspace that want to be told of everything that they may know."""
    workspace = gateway.create_workspace()
    keys = [gateway.create_client(workspace, "producer", "subscriber")[1] for _ in range(2)]
    with gateway.client(keys[0]) as first, gateway.client(keys[1]) as second:
        made = [Subscriber(http, receiver.mailbox(uuid4().hex)) for http in (first, second)]
        for each in made:
            each.subscribe(each.alerts.url, ("headrace", "*"))
        yield made


def test_an_owner_is_told_that_its_endpoint_fails_recovers_and_gives_up(
    subscribers: list[Subscriber], receiver: Receiver
) -> None:
    owner, other = subscribers
    code = f"Code-{uuid4().hex}"
    owner.make("registrations", kind="PUBLISH", namespace="events", code=code, open=True)
    flaky, dead = receiver.mailbox(uuid4().hex), receiver.mailbox(uuid4().hex)
    flaky.answers, dead.answers = [500] * 5 + [204], [400]
    recovers = owner.subscribe(flaky.url, ("events", code), retry_schedule=[5, 5])
    gives_up = owner.subscribe(dead.url, ("events", code), retry_schedule=[])

    for name in range(5):
        event = {"specversion": "1.0", "type": code, "source": "s", "id": str(name), "data": {}}
        headers = {"Content-Type": "application/cloudevents+json"}
        owner.http.post(f"{V1}/events", json=event, headers=headers).raise_for_status()

    came = owner.told("endpoint.failing", "endpoint.recovered", "delivery.exhausted")
    about = {(each["type"], each["data"]["endpoint"]) for each in came}
    assert {("endpoint.failing", recovers), ("endpoint.recovered", recovers), ("delivery.exhausted", gives_up)} <= about
    failing = next(each for each in came if each["type"] == "endpoint.failing" and each["subject"] == recovers)
    assert failing["data"]["failures"] == 5
    assert failing["data"]["status"] == 500
    assert failing["source"] == f"/headrace/endpoints/{recovers}"
    health = owner.http.get(f"{V1}/endpoints/{recovers}/health").json()
    assert (health["status"], health["consecutive_failures"]) == ("healthy", 0)
    assert other.alerts.received == []
