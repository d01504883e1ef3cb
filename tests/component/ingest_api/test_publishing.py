"""``POST /headrace/v1/events``: the three modes, what is refused and that nothing of it reaches Kafka, idempotency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from tests.support.records import records_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.running_gateway import RunningGateway

EVENTS = "/headrace/v1/events"
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
ATTRIBUTES = [
    {"name": "orderTotal", "type": "Number", "required": True},
    {"name": "productID", "type": "String"},
]


class Producer(NamedTuple):
    gateway: RunningGateway
    workspace: str
    id: str
    http: httpx.Client

    def register(self, **members: Any) -> str:
        code = f"Order-{uuid4()}"
        body = {"code": code, "attributes": ATTRIBUTES, **members}
        self.http.post("/headrace/v1/registrations", json=body).raise_for_status()
        return code

    def stored(self, code: str) -> int:
        return self.gateway.records(self.workspace, "events", code)


@pytest.fixture(scope="module")
def producer(gateway: RunningGateway) -> Iterator[Producer]:
    workspace = gateway.create_workspace()
    client_id, key = gateway.create_client(workspace, "producer")
    with gateway.client(key) as http:
        yield Producer(gateway, workspace, client_id, http)


def event(code: str, **members: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "type": code, "data": {"orderTotal": 1.5}, **members}


def problems(response: httpx.Response, status: int) -> list[str]:
    """The paths that a refusal names."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    return [each["path"] for each in problem.get("errors", [])]


def test_a_structured_event_is_in_kafka_as_answered(producer: Producer) -> None:
    code = producer.register()
    answer = producer.http.post(
        EVENTS, json=event(code, subject="s", time="2021-03-04T16:36:54.591Z"), headers=STRUCTURED
    )

    assert answer.status_code == 201
    published = answer.json()
    (record,) = records_of(producer.gateway.bootstrap, published["topic"])
    headers = dict(record.headers() or [])
    assert (record.partition(), record.offset()) == (published["partition"], published["offset"])
    assert headers["ce_id"].decode() == published["id"]
    assert headers["ce_type"].decode() == code
    assert headers["ce_source"].decode() == producer.id
    assert headers["ce_subject"] == b"s"
    assert headers["ce_time"] == b"2021-03-04T16:36:54.591Z"
    assert record.value()[:1] == b"\0"


def test_a_batch_is_answered_in_order(producer: Producer) -> None:
    code = producer.register()
    batch = [event(code, subject=str(number)) for number in range(20)]
    answer = producer.http.post(EVENTS, json=batch, headers=BATCH)

    assert answer.status_code == 201
    published = answer.json()["events"]
    records = {
        (each.partition(), each.offset()): each
        for each in records_of(producer.gateway.bootstrap, published[0]["topic"])
    }
    subjects = [dict(records[each["partition"], each["offset"]].headers() or [])["ce_subject"] for each in published]
    assert subjects == [str(number).encode() for number in range(20)]


def test_binary_mode(producer: Producer) -> None:
    code = producer.register()
    headers = {"ce-specversion": "1.0", "ce-type": code, "ce-id": "mine-1", "content-type": "application/json"}
    answer = producer.http.post(EVENTS, content=b'{"orderTotal": 2}', headers=headers)

    assert answer.status_code == 201
    (record,) = records_of(producer.gateway.bootstrap, answer.json()["topic"])
    assert dict(record.headers() or [])["ce_id"] == b"mine-1"


def test_binary_mode_without_a_media_type_is_json(producer: Producer) -> None:
    """So the Python SDK's ``to_binary`` sends an event without ``datacontenttype``."""
    code = producer.register()
    headers = {"ce-specversion": "1.0", "ce-type": code, "ce-source": "/till", "ce-id": "1"}
    for given in ({}, {"content-type": ""}):
        request = producer.http.build_request("POST", EVENTS, content=b'{"orderTotal": 1}', headers=headers | given)
        if not given:
            assert "content-type" not in request.headers
        answer = producer.http.send(request)
        assert answer.status_code in {200, 201}, answer.text
    assert producer.stored(code) == 1
    for broken in (b"<a/>", b'{"orderTotal": "x"}'):
        request = producer.http.build_request("POST", EVENTS, content=broken, headers=headers | {"ce-id": "2"})
        problems(producer.http.send(request), 400)
    problems(producer.http.post(EVENTS, content=b'{"orderTotal": 1}'), 400)


def test_a_type_of_another_namespace_is_named_with_it(producer: Producer) -> None:
    code = producer.register(namespace="shop")
    answer = producer.http.post(EVENTS, json=event(f"shop/{code}"), headers=STRUCTURED)

    assert answer.status_code == 201
    assert answer.json()["topic"].split(".")[2] == "shop"


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"orderTotal": 1, "unknown": 2}, "$.data.unknown"),
        ({"orderTotal": "much"}, "$.data.orderTotal"),
        ({"orderTotal": None}, "$.data.orderTotal"),
        ({"productID": "p"}, "$.data.orderTotal"),
        ({"orderTotal": 1, "productID": 7}, "$.data.productID"),
        ([1], "$.data"),
    ],
)
def test_data_that_breaks_its_type_is_refused(producer: Producer, data: object, path: str) -> None:
    code = producer.register()

    assert problems(producer.http.post(EVENTS, json=event(code, data=data), headers=STRUCTURED), 400) == [path]
    assert producer.stored(code) == 0


def test_one_bad_event_refuses_the_batch(producer: Producer) -> None:
    code = producer.register()
    batch = [event(code), event(code, data={"orderTotal": "x"}), event(code), event(code, data={})]

    assert problems(producer.http.post(EVENTS, json=batch, headers=BATCH), 400) == [
        "$[1].data.orderTotal",
        "$[3].data.orderTotal",
    ]
    assert producer.stored(code) == 0


def test_every_event_of_a_batch_that_is_not_valid_is_named(producer: Producer) -> None:
    """Whatever is wrong with it: its form, an attribute, its type or its data."""
    code = producer.register()
    batch = [
        event(code),
        event(code, data={"orderTotal": "x"}),
        event(code, time="yesterday"),
        event(code, subject=7),
        event("nobody-registered"),
        "text",
        event(code, extension=[]),
        event(code),
    ]
    for kept in (batch, [each for each in batch if isinstance(each, dict) and each.get("subject") != 7]):
        answer = producer.http.post(EVENTS, json=kept, headers=BATCH)
        named = {int(path.split("]")[0][2:]) for path in problems(answer, 400)}
        assert named == set(range(1, len(kept) - 1))
        assert answer.json()["detail"] == (
            f"Nothing was published: a batch is all or nothing, and {len(named)} events are not valid."
        )
    assert producer.stored(code) == 0


def test_in_a_batch_of_one_event_it_is_named_by_its_place(producer: Producer) -> None:
    code = producer.register()
    for batch, path in (
        ([event(code, data={"orderTotal": "x"})], "$[0].data.orderTotal"),
        ([event(code, time="yesterday")], "$[0].time"),
        ([event("nobody-registered")], "$[0].type"),
    ):
        assert problems(producer.http.post(EVENTS, json=batch, headers=BATCH), 400) == [path]


def test_an_unknown_type_is_refused(producer: Producer) -> None:
    assert problems(producer.http.post(EVENTS, json=event("nobody-registered"), headers=STRUCTURED), 400) == ["$.type"]


def test_another_clients_type_is_refused(producer: Producer) -> None:
    code = producer.register()
    _, key = producer.gateway.create_client(producer.workspace, "producer")
    with producer.gateway.client(key) as stranger:
        problems(stranger.post(EVENTS, json=event(code), headers=STRUCTURED), 403)
    assert producer.stored(code) == 0


def test_an_operator_publishes_without_registration(producer: Producer) -> None:
    code = producer.register()
    _, key = producer.gateway.create_client(producer.workspace, "operator")
    with producer.gateway.client(key) as operator:
        assert operator.post(EVENTS, json=event(code), headers=STRUCTURED).status_code == 201


def test_a_body_over_the_limit_is_refused(producer: Producer) -> None:
    problems(producer.http.post(EVENTS, content=b" " * (8 * 1_048_576 + 1), headers=STRUCTURED), 413)

    def chunks() -> Iterator[bytes]:
        for _ in range(9):
            yield b" " * 1_048_576

    problems(producer.http.post(EVENTS, content=chunks(), headers=STRUCTURED), 413)


def test_an_event_over_the_limit_is_refused(producer: Producer) -> None:
    code = producer.register(open=True, attributes=[])
    batch = [event(code), event(code, data={"x": "y" * 1_000_001})]

    assert problems(producer.http.post(EVENTS, json=batch, headers=BATCH), 413) == ["$[1]"]
    assert producer.stored(code) == 0


@pytest.mark.parametrize("authorization", [None, "Bearer nobody", "Basic dTpw", "Bearer"])
def test_a_key_is_needed(producer: Producer, authorization: str | None) -> None:
    headers = STRUCTURED | ({} if authorization is None else {"authorization": authorization})
    answer = httpx.post(producer.gateway.url + EVENTS, json=event("x"), headers=headers)

    problems(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_keys_of_other_realms_are_unknown_here(producer: Producer) -> None:
    _, key = producer.gateway.create_client(producer.workspace, "producer", realm="crmls")
    url = producer.gateway.url
    token = httpx.post(f"{url}/api/token", params={"apiKey": key}).raise_for_status().json()["token"]

    for credential in (key, token):
        with producer.gateway.client(credential) as http:
            problems(http.post(EVENTS, json=event("x"), headers=STRUCTURED), 401)
            problems(http.get("/headrace/v1/endpoints"), 401)
    assert (
        httpx.post(f"{url}/api/token", params={"apiKey": producer.http.headers["authorization"][7:]}).status_code == 401
    )


def test_a_repeat_with_the_same_key_is_answered_alike_and_writes_nothing(producer: Producer) -> None:
    code = producer.register()
    headers = STRUCTURED | {"Idempotency-Key": str(uuid4())}
    first = producer.http.post(EVENTS, json=event(code), headers=headers)
    again = producer.http.post(EVENTS, json=event(code), headers=headers)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert producer.stored(code) == 1
    other = producer.http.post(EVENTS, json=event(code, subject="other"), headers=headers)
    problems(other, 422)
    assert producer.stored(code) == 1


def test_in_binary_mode_a_repeat_has_the_same_attributes_too(producer: Producer) -> None:
    code = producer.register()
    headers = {"ce-specversion": "1.0", "ce-type": code, "Idempotency-Key": str(uuid4())}

    def post(subject: str) -> httpx.Response:
        return producer.http.post(EVENTS, json=event(code)["data"], headers=headers | {"ce-subject": subject})

    assert [post("one").status_code, post("one").status_code] == [201, 200]
    problems(post("other"), 422)
    assert producer.stored(code) == 1


def test_a_batch_of_too_many_events_is_refused(producer: Producer) -> None:
    code = producer.register()
    problems(producer.http.post(EVENTS, json=[event(code)] * 10_001, headers=BATCH), 400)
    assert producer.stored(code) == 0


def test_a_repeat_of_the_producers_own_id_writes_nothing(producer: Producer) -> None:
    code = producer.register()
    posts = [producer.http.post(EVENTS, json=event(code, id="mine"), headers=STRUCTURED).json() for _ in range(3)]

    assert posts[0] == posts[1] == posts[2]
    assert producer.stored(code) == 1


def test_other_methods_are_refused_as_such(producer: Producer) -> None:
    answer = producer.http.put(EVENTS)

    problems(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST"}


def test_a_revoked_key_is_refused_at_once(producer: Producer) -> None:
    client_id, key = producer.gateway.create_client(producer.workspace, "producer")
    with producer.gateway.client(key) as http, producer.gateway.client() as admin:
        keys = f"/headrace/v1/clients/{client_id}/keys"
        assert http.get("/headrace/v1/event-types").status_code == 200
        (issued,) = http.get(keys).json()["items"]
        admin.delete(f"{keys}/{issued['id']}", params={"workspace": producer.workspace}).raise_for_status()
        problems(http.post(EVENTS, json=event("x"), headers=STRUCTURED), 401)
