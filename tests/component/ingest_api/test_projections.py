"""Projections of endpoints over HTTP: versions, refusals with their place, and dry runs on real events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

V1 = "/headrace/v1"


class Shop(NamedTuple):
    gateway: RunningGateway
    workspace: str
    subscriber: httpx.Client
    viewer: httpx.Client


@pytest.fixture(scope="module")
def shop(gateway: RunningGateway) -> Iterator[Shop]:
    """With a type and three orders, the last of them without a total."""
    name = gateway.create_workspace()
    keys = [gateway.create_client(name, *roles)[1] for roles in (["producer"], ["subscriber"], ["viewer"])]
    with gateway.client(keys[0]) as producer, gateway.client(keys[1]) as subscriber, gateway.client(keys[2]) as viewer:
        producer.post(f"{V1}/registrations", json={"code": "a/b", "open": True, "partitions": 2}).raise_for_status()
        headers = {"content-type": "application/cloudevents+json"}
        for number, data in enumerate(('{"total":125.50}', '{"total":1e400}', '{"text":"none"}')):
            event = f'{{"specversion":"1.0","id":"{number}","type":"a/b","source":"shop","data":{data}}}'
            producer.post(f"{V1}/events", content=event, headers=headers).raise_for_status()
        yield Shop(gateway, name, subscriber, viewer)


def endpoint(http: httpx.Client, **members: Any) -> str:
    body = {"name": "e", "url": "https://example.com/hook", **members}
    made: str = http.post(f"{V1}/endpoints", json=body).raise_for_status().json()["id"]
    return f"{V1}/endpoints/{made}/projections"


def problems(answer: httpx.Response, status: int = 400) -> list[str]:
    assert answer.status_code == status, answer.text
    return [problem["path"] for problem in answer.json().get("errors", [])]


def test_a_projection_is_set_changed_and_deleted_in_versions(shop: Shop) -> None:
    http = shop.subscriber
    address = f"{endpoint(http)}/events/a/b"
    assert http.get(address).status_code == 404

    first = http.put(address, json={"expression": "data.total"}).raise_for_status().json()
    assert (first["namespace"], first["code"], first["version"]) == ("events", "a/b", 1)
    assert http.put(address, json={"expression": "data.total"}).json() == first
    second = http.put(address, json={"expression": "{id: id}"}).json()
    assert (second["version"], second["expression"]) == (2, "{id: id}")
    assert [each["replaced_at"] is None for each in second["versions"]] == [False, True]
    # What comes back has its old number: deliveries that name it go on.
    assert http.put(address, json={"expression": "data.total"}).json()["version"] == 1
    assert http.get(address).json()["version"] == 1
    assert [each["code"] for each in http.get(address.removesuffix("/events/a/b")).json()["items"]] == ["a/b"]
    assert shop.viewer.get(address).json()["version"] == 1

    assert http.delete(address).status_code == 204
    assert [http.get(address).status_code, http.delete(address).status_code] == [404, 404]
    assert http.get(address.removesuffix("/events/a/b")).json() == {"items": []}
    assert http.put(address, json={"expression": "id"}).json()["version"] == 3


def test_what_cannot_be_one_is_refused_with_its_place(shop: Shop) -> None:
    http = shop.subscriber
    address = f"{endpoint(http)}/events/a/b"
    for expression, position in (("data.[total", 11), ("data | nothing(@)", 7), ("`1", 0)):
        answer = http.put(address, json={"expression": expression})
        assert problems(answer) == ["$.expression"]
        assert f"at position {position}" in answer.json()["errors"][0]["message"]
    assert problems(http.put(address, json={"expression": "a" * 4_097})) == ["$.expression"]
    assert problems(http.put(address, json={"expression": "id", "more": 1})) == ["$.more"]
    assert http.put(f"{endpoint(http)}/events/unknown", json={"expression": "id"}).status_code == 404
    socket = http.post(f"{V1}/endpoints", json={"name": "s", "type": "WEB_SOCKET"}).json()["id"]
    assert http.put(f"{V1}/endpoints/{socket}/projections/events/a/b", json={"expression": "id"}).status_code == 400
    assert http.get(address).status_code == 404


def test_a_dry_run_shows_results_with_their_digits_and_errors_with_their_place(shop: Shop) -> None:
    body = {"code": "a/b", "expression": "{id: id, sum: sum([data.total])}"}
    answer = shop.viewer.post(f"{endpoint(shop.subscriber)}/dry-run", json=body)

    assert answer.status_code == 200
    assert '"result":{"id":"0","sum":125.50}' in answer.text
    found = answer.json()
    assert found["failed"] == 1
    latest = found["events"][0]
    assert (latest["id"], latest["result"], latest["position"]) == ("2", None, 14)
    assert latest["error"] == "sum() does not take a value of type null"
    assert [each["size"] is None for each in found["events"]] == [True, False, False]
    shown = shop.viewer.post(f"{endpoint(shop.subscriber)}/dry-run?last=1", json=body).json()["events"]
    assert [each["id"] for each in shown] == ["2"]
    assert shop.subscriber.get(endpoint(shop.subscriber)).json() == {"items": []}


def test_a_dry_run_shows_nothing_of_what_the_caller_may_not_read(shop: Shop) -> None:
    address = endpoint(shop.subscriber)
    body = {"code": "a/b", "expression": "@"}
    # It has published none of them, and none was delivered to it.
    assert shop.subscriber.post(f"{address}/dry-run", json=body).json() == {"failed": 0, "events": []}
    for roles, status in (("producer", 403), ("subscriber", 404), ("operator", 200)):
        _, key = shop.gateway.create_client(shop.workspace, roles)
        with shop.gateway.client(key) as http:
            assert http.post(f"{address}/dry-run", json=body).status_code == status
            assert http.get(address).status_code == status
    _, foreign = shop.gateway.create_client(shop.gateway.create_workspace(), "operator")
    with shop.gateway.client(foreign) as http:
        assert http.post(f"{address}/dry-run", json=body).status_code == 404
    assert problems(shop.viewer.post(f"{address}/dry-run", json=body | {"expression": "a["})) == ["$.expression"]
    assert shop.viewer.post(f"{address}/dry-run", json=body | {"code": "unknown"}).status_code == 404
