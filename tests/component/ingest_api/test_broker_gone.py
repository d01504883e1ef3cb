"""A Kafka that does not answer: 503 with Retry-After within five seconds, never a 2xx; service resumes by itself."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from schemas.model.topics import event_topic
from tests.support.broker_stalls import StalledBroker
from tests.support.credentials import crmls_token, envoy_token
from tests.support.eventhos_calls import eventhos_on
from tests.support.exchange_account import exchange_account
from tests.support.records import records_of
from tests.support.running_gateway import running_gateway
from tests.support.stoppable_broker import stoppable_broker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import httpx

    from tests.support.running_gateway import RunningGateway
    from tests.support.stoppable_broker import StoppableBroker

STRUCTURED = {"content-type": "application/cloudevents+json"}
CRMLS_BODY = {"eventName": "n", "eventTime": "2021-03-04T16:36:54Z", "messageType": "Offer", "message": {}}
LONGEST_ANSWER = 5.0
_ELSEWHERE = {"authorization": "Bearer nobody", "host": "elsewhere.example"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoppableBroker]:
    with stoppable_broker(tmp_path_factory.mktemp("stoppable")) as broker:
        yield broker


@pytest.fixture(scope="module")
def local(broker: StoppableBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(broker.bootstrap, tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


def timed(call: Callable[[], httpx.Response]) -> tuple[httpx.Response, float]:
    started = time.monotonic()
    return call(), time.monotonic() - started


def answered(
    gateway: RunningGateway, threads: ThreadPoolExecutor, calls: Sequence[Callable[[], httpx.Response]]
) -> list[tuple[httpx.Response, float]]:
    """The answers to calls that are made at once, and what each took longer than one that needs no Kafka."""
    over = Event()

    def slowest() -> float:
        with gateway.client(None) as http:
            taken = [0.0]
            while not over.wait(0.05):
                taken.append(timed(lambda: http.get("/healthz"))[1])
        return max(taken)

    lateness = threads.submit(slowest)
    try:
        answers = list(threads.map(timed, calls))
    finally:
        over.set()
    return [(answer, seconds - lateness.result()) for answer, seconds in answers]


def ids_of(bootstrap: str, topic: str) -> list[bytes]:
    return [dict(each.headers() or [])["ce_id"] for each in records_of(bootstrap, topic)]


def test_z_02_without_kafka_there_is_no_success_and_a_repeat_completes(
    broker: StoppableBroker, local: RunningGateway
) -> None:
    workspace = local.create_workspace()
    _, producer_key = local.create_client(workspace, "producer")
    _, crmls_key = local.create_client(workspace, "producer", realm="crmls")
    _, operator_key = local.create_client(workspace, "operator")
    with local.client(None) as anonymous:
        token = anonymous.post("/api/token", params={"apiKey": crmls_key}).raise_for_status().json()["token"]
    with (
        local.client(producer_key) as own,
        local.client(token) as crmls,
        local.client(operator_key) as operator,
        ThreadPoolExecutor(12) as threads,
    ):
        operator.get("/headrace/v1/operations").raise_for_status()
        own.post("/headrace/v1/registrations", json={"code": "Open", "open": True}).raise_for_status()
        crmls.post("/api/app/events", json=CRMLS_BODY).raise_for_status()
        keys = [str(uuid4()) for _ in range(3)]

        def publish(key: str) -> httpx.Response:
            event: dict[str, Any] = {"specversion": "1.0", "type": "Open", "data": {"key": key}}
            return own.post("/headrace/v1/events", json=event, headers={**STRUCTURED, "Idempotency-Key": key})

        def post(message_type: str) -> httpx.Response:
            return crmls.post("/api/app/events", json={**CRMLS_BODY, "messageType": message_type})

        broker.stand_still()
        try:
            calls: list[Callable[[], httpx.Response]] = [
                *(lambda key=key: publish(key) for key in keys),
                lambda: post("Offer"),
                lambda: post("NeverSeen"),
                lambda: own.get("/headrace/v1/event-types"),
                lambda: own.post("/headrace/v1/event-types", json={"code": "NeverSeen"}),
                lambda: own.get("/headrace/v1/endpoints", headers={"authorization": "Bearer nobody"}),
                lambda: own.get("/schema-registry/schemas/ids/999999999"),
                # By another name of the server it asks for a key, and this one has to be looked for.
                lambda: own.get("/schema-registry/schemas/ids/1", headers=_ELSEWHERE),
                lambda: own.get("/readyz"),
            ]
            answers = answered(local, threads, calls)
            # What was known before is told, with its age.
            assert operator.get("/headrace/v1/operations").raise_for_status().json()["age_seconds"] is None
            operator.get("/headrace/v1/operations/topics").raise_for_status()
        finally:
            broker.go_on()

        assert [answer.status_code for answer, _ in answers] == [503] * len(calls)
        assert all(answer.headers["retry-after"].isdigit() for answer, _ in answers)
        assert all(answer.headers["content-type"] == "application/problem+json" for answer, _ in answers[:-3])
        assert max(seconds for _, seconds in answers) < LONGEST_ANSWER
        assert not any(inside in answer.text for answer, _ in answers for inside in ("the tail", "_NOENT", "Local:"))

        completed = [_until_accepted(lambda key=key: publish(key)) for key in keys]
        assert [publish(key).json() for key in keys] == [answer.json() for answer in completed]
        _until_accepted(lambda: post("NeverSeen"))
    topic = completed[0].json()["topic"]
    # The first attempt did arrive, when the broker went on: the repeats found it.
    assert sorted(ids_of(local.bootstrap, topic)) == sorted(answer.json()["id"].encode() for answer in completed)


def test_z_02_exchange_has_no_success_without_kafka_and_a_repeat_completes(
    broker: StoppableBroker, local: RunningGateway
) -> None:
    account = exchange_account(local)
    endpoint = account.endpoint(source=True, identifiers=("email",))
    endpoint.register("viewed", attributes=[]).raise_for_status()
    event = {"code": "viewed", "timestamp": "2015-02-28T20:16:12Z"}
    body = {"channel": "Web", "identifiers": [{"name": "email", "value": "x"}], "events": [event]}
    headers = {"Idempotency-Key": str(uuid4())}
    with endpoint.client() as http, ThreadPoolExecutor(12) as threads:

        def post(changed: dict[str, Any]) -> httpx.Response:
            return http.post("/v1/event", json=body | changed, headers=headers)

        http.get("/v1/eventtype").raise_for_status()
        broker.stand_still()
        try:
            calls: list[Callable[[], httpx.Response]] = [
                lambda: post({}),
                lambda: post({"events": [event | {"code": "unheard of"}]}),
                lambda: http.get("/v1/eventtype"),
                lambda: http.post("/v1/eventtype", json={"code": "other", "name": "other"}),
                lambda: http.get("/v1/endpoint"),
                lambda: http.put("/v1/endpoint", json={"description": "changed"}),
            ]
            answers = answered(local, threads, calls)
        finally:
            broker.go_on()
        assert [answer.status_code for answer, _ in answers] == [503] * len(calls)
        assert all(answer.headers["retry-after"].isdigit() for answer, _ in answers)
        assert all(answer.json()["code"] == 503 for answer, _ in answers)
        assert max(seconds for _, seconds in answers) < LONGEST_ANSWER
        assert _until_accepted(lambda: post({})).json() == {"accepted": 1}
        assert post({}).json() == {"accepted": 1}
    assert len(ids_of(local.bootstrap, event_topic(account.workspace, "exchange", "viewed"))) == 1


def test_E_26_z_02_eventhos_has_no_success_without_kafka_and_a_repeat_completes(
    broker: StoppableBroker, local: RunningGateway
) -> None:
    eventhos = eventhos_on(local)
    event = eventhos.event()
    headers = {"Idempotency-Key": str(uuid4())}
    with eventhos.manager() as http, ThreadPoolExecutor(12) as threads:

        def send() -> httpx.Response:
            return eventhos.send(event, headers=headers)

        broker.stand_still()
        try:
            calls: list[Callable[[], httpx.Response]] = [
                send,
                lambda: eventhos.send(event, "hrk_a-key-of-nobody"),
                lambda: http.get("/event"),
                lambda: http.post("/system", json={"identifier": "x", "name": "x", "systemClass": "hybrid"}),
                lambda: http.post("/auth/token", data=event.client.credentials(client_id="nobody")),
            ]
            answers = answered(local, threads, calls)
        finally:
            broker.go_on()
        assert [(answer.status_code, answer.json()["code"]) for answer, _ in answers] == [(500, 500000)] * len(calls)
        assert all(answer.headers["retry-after"].isdigit() for answer, _ in answers)
        assert max(seconds for _, seconds in answers) < LONGEST_ANSWER
        assert _until_accepted(send, refusal=500).json()["code"] == 200310
        assert send().json()["code"] == 200310
    assert len(ids_of(local.bootstrap, event_topic("default", "eventhos", event.identifier))) == 1


def test_z_02_envoy_has_no_success_without_kafka_and_a_repeat_completes(
    broker: StoppableBroker, local: RunningGateway
) -> None:
    token = envoy_token(local, local.create_workspace(), "events:manage")
    with local.client(token) as user, local.client("hrk_a-key-of-nobody") as nobody, ThreadPoolExecutor(12) as threads:
        user.get("/events/deprovision").raise_for_status()
        broker.stand_still()
        try:
            calls: list[Callable[[], httpx.Response]] = [
                lambda: user.get("/events/provision"),
                lambda: nobody.get("/events/connection_token"),
            ]
            answers = answered(local, threads, calls)
        finally:
            broker.go_on()
        assert [answer.status_code for answer, _ in answers] == [503] * len(calls)
        assert [answer.json()["error"]["status"] for answer, _ in answers] == [503] * len(calls)
        assert max(seconds for _, seconds in answers) < LONGEST_ANSWER
        _until_accepted(lambda: user.get("/events/provision"))
        assert user.get("/events/connection_token").status_code == 200


def test_z_02_graphql_has_no_success_without_kafka_and_a_repeat_completes(
    broker: StoppableBroker, local: RunningGateway
) -> None:
    _, key = local.create_client(local.create_workspace(), "subscriber", realm="graphql")
    made = {"query": 'mutation { createWebSocketEndpoint(name: "screen") { id } }'}
    listed = {"query": "{ endpoints { totalCount collectionItems { id } } }"}
    headers = {"Idempotency-Key": str(uuid4())}
    with local.client(key) as http, ThreadPoolExecutor(12) as threads:

        def post(body: dict[str, str]) -> httpx.Response:
            return http.post("/event-service/graphql", json=body, headers=headers)

        assert post(listed).json()["data"]["endpoints"]["totalCount"] == 0
        broker.stand_still()
        try:
            answers = answered(local, threads, [lambda: post(made), lambda: post(listed)])
        finally:
            broker.go_on()
        # What the family knows as errors is answered 200, with the errors in it and without data.
        assert [answer.json()["errors"][0]["extensions"]["code"] for answer, _ in answers] == [
            "SERVICE_UNAVAILABLE"
        ] * 2
        assert max(seconds for _, seconds in answers) < LONGEST_ANSWER
        deadline = time.monotonic() + 120

        def completed(body: dict[str, str]) -> Any:
            while "errors" in (found := post(body).json()):
                assert time.monotonic() < deadline, found
            return found["data"]

        ids = [completed(made)["createWebSocketEndpoint"]["id"]]
        assert [each["id"] for each in completed(listed)["endpoints"]["collectionItems"]] == ids


def _until_accepted(
    call: Callable[[], httpx.Response], patience: float = 120.0, *, refusal: int = 503
) -> httpx.Response:
    deadline = time.monotonic() + patience
    while not (answer := call()).is_success:
        assert answer.status_code == refusal, answer.text
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return answer


def test_z_03_what_each_family_answered_is_in_kafka_though_the_gateway_is_killed(
    broker: StoppableBroker, tmp_path: Path
) -> None:
    count = 5
    with running_gateway(broker.bootstrap, tmp_path) as gateway:
        workspace = gateway.create_workspace()
        token = crmls_token(gateway, gateway.create_client(workspace, "producer", realm="crmls")[1])
        eventhos = eventhos_on(gateway)
        sent = eventhos.event()
        account = exchange_account(gateway)
        publisher = account.endpoint(source=True, identifiers=("email",))
        publisher.register("viewed", attributes=[]).raise_for_status()
        viewed = {
            "channel": "Web",
            "identifiers": [{"name": "email", "value": "x"}],
            "events": [{"code": "viewed", "timestamp": "2015-02-28T20:16:12Z"}],
        }
        with gateway.client(token) as crmls, publisher.client() as exchange:
            posted = [crmls.post("/api/app/events", json=CRMLS_BODY).raise_for_status().json() for _ in range(count)]
            for _ in range(count):
                assert eventhos.send(sent).json()["code"] == 200310
                assert exchange.post("/v1/event", json=viewed).json() == {"accepted": 1}
            gateway.process.kill()
    stored = ids_of(broker.bootstrap, event_topic(workspace, "crmls", "Offer"))
    assert sorted(stored) == sorted(each["id"].encode() for each in posted)
    for topic in (
        event_topic("default", "eventhos", sent.identifier),
        event_topic(account.workspace, "exchange", "viewed"),
    ):
        assert len(set(ids_of(broker.bootstrap, topic))) == count


def test_z_03_what_was_answered_is_in_kafka_though_the_gateway_is_killed(
    broker: StoppableBroker, tmp_path: Path
) -> None:
    with running_gateway(broker.bootstrap, tmp_path) as gateway:
        workspace = gateway.create_workspace()
        _, key = gateway.create_client(workspace, "producer")
        with gateway.client(key) as http:
            http.post("/headrace/v1/registrations", json={"code": "Open", "open": True}).raise_for_status()
            answered = [
                http.post("/headrace/v1/events", json={"specversion": "1.0", "type": "Open"}, headers=STRUCTURED)
                for _ in range(20)
            ]
            gateway.process.kill()
    places = {(each.json()["id"].encode(), each.json()["partition"], each.json()["offset"]) for each in answered}
    found = {
        (dict(each.headers() or [])["ce_id"], each.partition(), each.offset())
        for each in records_of(broker.bootstrap, answered[0].json()["topic"])
    }
    assert found == places


async def test_what_is_answered_through_a_stall_is_there_once_though_a_gateway_is_killed(
    broker: StoppableBroker, tmp_path: Path
) -> None:
    """The long form is ``tests/endurance/test_stalls.py``."""
    load = StalledBroker(broker.bootstrap, broker.group, delivery_timeout=120, directory=tmp_path)
    verdict = await load.run([4.3], kill_every=1)
    assert verdict.acknowledged
    assert verdict.keyed_repeats
    assert verdict.kills == 1
    assert verdict.is_right, verdict
