"""Which of the last events would a filter have matched?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

DRY_RUN = "/headrace/v1/filters/dry-run"
OVER_100: dict[str, Any] = {"data": {"total": [{"numeric": [">", 100]}]}}


@pytest.fixture(scope="module")
def workspace(gateway: RunningGateway) -> str:
    """With 30 orders, of totals 10, 20, … 300, and one refund."""
    name = gateway.create_workspace()
    _, key = gateway.create_client(name, "producer")
    with gateway.client(key) as producer:
        for code in ("Order", "Refund"):
            registration = {"code": code, "partitions": 3, "attributes": [{"name": "total", "type": "Number"}]}
            producer.post("/headrace/v1/registrations", json=registration).raise_for_status()
        for number in range(1, 31):
            publish(producer, "Order", number)
        publish(producer, "Refund", 11)
    return name


def publish(producer: httpx.Client, code: str, number: int) -> None:
    event = {
        "specversion": "1.0",
        "id": f"{code}-{number}",
        "type": code,
        "source": "shop",
        "subject": f"customer-{number}",
        "data": {"total": 10 * number},
    }
    headers = {"content-type": "application/cloudevents+json"}
    producer.post("/headrace/v1/events", json=event, headers=headers).raise_for_status()


@pytest.fixture(scope="module")
def subscriber(gateway: RunningGateway, workspace: str) -> Iterator[httpx.Client]:
    _, key = gateway.create_client(workspace, "subscriber", "viewer")
    with gateway.client(key) as client:
        yield client


def ran(http: httpx.Client, *codes: str, last: int = 100, **members: Any) -> dict[str, Any]:
    body = {"name": "a try", "types": [{"code": code} for code in codes], **members}
    answer = http.post(DRY_RUN, params={"last": last}, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["matched"] == sum(event["matches"] for event in found["events"])
    return found


def test_every_event_of_its_types_is_looked_at(subscriber: httpx.Client, workspace: str) -> None:
    found = ran(subscriber, "Order", condition=OVER_100)

    assert found["matched"] == 20
    assert len(found["events"]) == len({event["id"] for event in found["events"]}) == 30
    assert {event["topic"] for event in found["events"]} == {event_topic(workspace, "events", "Order")}


def test_the_last_come_first_whatever_their_type(subscriber: httpx.Client) -> None:
    every = ran(subscriber, "*", condition=OVER_100)["events"]
    assert (every[0]["type"], every[0]["matches"], len(every)) == ("Refund", True, 31)
    assert ran(subscriber, "*", last=7, condition=OVER_100)["events"] == every[:7]


def test_without_a_condition_all_match_and_of_a_type_without_events_there_are_none(subscriber: httpx.Client) -> None:
    assert ran(subscriber, "Refund")["matched"] == 1
    assert ran(subscriber, "Nothing") == {"matched": 0, "events": []}


def test_nothing_is_created(subscriber: httpx.Client) -> None:
    ran(subscriber, "Order")
    assert subscriber.get("/headrace/v1/filters").json()["items"] == []


def test_what_no_filter_can_be_is_refused_where_it_is_wrong(subscriber: httpx.Client) -> None:
    body = {"name": "f", "types": [{"code": "Order"}], "condition": {"data": {"total": 5}}}
    answer = subscriber.post(DRY_RUN, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "$.condition.data.total")
    assert subscriber.post(DRY_RUN, params={"last": 1_001}, json=body | {"condition": None}).status_code == 400


def test_it_is_for_who_subscribes_or_reads_the_workspace(gateway: RunningGateway, workspace: str) -> None:
    body = {"name": "f", "types": [{"code": "Order"}]}
    for role, status in (("producer", 403), ("viewer", 200), ("operator", 200)):
        _, key = gateway.create_client(workspace, role)
        with gateway.client(key) as client:
            assert client.post(DRY_RUN, json=body).status_code == status
    _, other = gateway.create_client(workspace, "subscriber")
    with gateway.client(other) as client:
        assert client.post(DRY_RUN, json=body).json() == {"matched": 0, "events": []}
    _, foreign = gateway.create_client(gateway.create_workspace(), "subscriber")
    with gateway.client(foreign) as client:
        assert client.post(DRY_RUN, json=body).json() == {"matched": 0, "events": []}


def test_a_condition_that_multiplies_is_refused_and_does_not_outlive_its_time(
    gateway: RunningGateway, subscriber: httpx.Client, workspace: str
) -> None:
    _, key = gateway.create_client(workspace, "producer")
    with gateway.client(key) as producer:
        producer.post("/headrace/v1/registrations", json={"code": "Array", "open": True}).raise_for_status()
        event = {"specversion": "1.0", "type": "Array", "source": "s", "data": {"a": [""] * 200_000}}
        headers = {"content-type": "application/cloudevents+json"}
        for number in range(3):
            producer.post("/headrace/v1/events", json=event | {"id": str(number)}, headers=headers).raise_for_status()

    def tried(tests: int) -> httpx.Response:
        condition = {"data": {"a": [{"suffix": f"x{number}"} for number in range(tests)]}}
        return subscriber.post(DRY_RUN, json={"name": "f", "types": [{"code": "Array"}], "condition": condition})

    began = time.monotonic()
    refused, too_expensive = tried(1_500), tried(900)
    assert time.monotonic() - began < 10
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (400, "$.condition")
    assert "at most 1,000" in refused.json()["errors"][0]["message"]
    assert (too_expensive.status_code, too_expensive.json()["errors"][0]["path"]) == (400, "$.condition")
    assert "too many steps" in too_expensive.json()["detail"]
