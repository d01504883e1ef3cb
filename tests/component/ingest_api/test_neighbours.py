"""One tenant's publishes beside the heaviest requests of another, over HTTP and with Kafka behind."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.exchange_account import exchange_account

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

MANY = 10_000
LONGEST = 3.0
"""Seconds of one publish on a busy machine. Beside each of these it was five to a hundred."""

EVENTS = "/headrace/v1/events"
BATCH = {"content-type": "application/cloudevents-batch+json"}
SINGLE = {"content-type": "application/cloudevents+json"}
JSON = {"content-type": "application/json"}
AT_ONCE = 6


def events(**members: Any) -> bytes:
    return json.dumps([{"specversion": "1.0", "type": "T", "data": {"a": "x"}, **members}] * MANY).encode()


def exchange_event(**members: Any) -> dict[str, Any]:
    event = {"code": "c", "timestamp": "2021-03-04T16:36:54.591Z", "channel": "web"}
    return {**event, "identifiers": [{"name": "email", "value": "a@example.org"}], **members}


def escapes() -> bytes:
    text = b'"\\ud83d\\ude00' + b"\\n" * 4_000_000 + b'"'
    return b'[{"specversion":"1.0","type":"T","data":' + text + b"}]"


def unknown_attributes() -> bytes:
    attributes = [{"name": f"unknown {number}", "value": ""} for number in range(10_000)]
    return json.dumps({"events": [exchange_event(attributes=attributes)]}).encode()


@pytest.mark.parametrize(
    ("path", "headers", "content", "status"),
    [
        pytest.param(EVENTS, BATCH, escapes, 400, id="escapes"),
        pytest.param(EVENTS, BATCH, lambda: events(data={"a": 1, "b": 2}), 400, id="invalid batch"),
        pytest.param(EVENTS, BATCH, lambda: b"[" + b"1," * 4_000_000 + b"1]", 400, id="numbers"),
        pytest.param("/v1/event", JSON, unknown_attributes, 400, id="unknown attributes"),
        pytest.param(
            "/v1/event",
            JSON,
            lambda: json.dumps({"events": [exchange_event(attributes=[{"name": "x", "value": ""}])] * MANY}).encode(),
            400,
            id="invalid exchange batch",
        ),
    ],
)
def test_a_publish_beside_large_requests_of_another_workspace(
    gateway: RunningGateway, path: str, headers: dict[str, str], content: Any, status: int
) -> None:
    _, quiet = gateway.create_client(gateway.create_workspace(), "producer")
    if path == EVENTS:
        _, busy = gateway.create_client(gateway.create_workspace(), "producer")
    else:
        publisher = exchange_account(gateway).endpoint(source=True, identifiers=("email",))
        publisher.register("c").raise_for_status()
        busy = publisher.key
    registration = {"code": "T", "attributes": [{"name": "a", "type": "String"}]}
    for key in {quiet, busy if path == EVENTS else quiet}:
        with gateway.client(key) as http:
            http.post("/headrace/v1/registrations", json=registration).raise_for_status()
    body = content()

    def send(_: int) -> int:
        with gateway.client(busy) as http:
            return http.post(path, content=body, headers=headers).status_code

    waited = []
    with ThreadPoolExecutor(AT_ONCE) as pool, gateway.client(quiet) as http:
        sent = [pool.submit(send, number) for number in range(2 * AT_ONCE)]
        while not all(each.done() for each in sent) or not waited:
            began = time.monotonic()
            event = {"specversion": "1.0", "type": "T", "data": {"a": "x"}}
            http.post(EVENTS, content=json.dumps(event).encode(), headers=SINGLE).raise_for_status()
            waited.append(time.monotonic() - began)
    assert {each.result() for each in sent} <= {status, 503}
    assert max(waited) < LONGEST
