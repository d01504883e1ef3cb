"""How much one client may have: every family refuses more in its own shape, and names the setting."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from schemas.model.topics import event_topic
from tests.support.crmls_account import EVENTS, crmls_account, seed_body
from tests.support.event_service_client import event_service
from tests.support.eventhos_calls import eventhos_on, refused, unique
from tests.support.exchange_account import exchange_account
from tests.support.running_gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

V1 = "/headrace/v1"
MANY = [{"name": f"attribute_{number}", "type": "String"} for number in range(12_000)]


@pytest.fixture(scope="module")
def small(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway where one client may have two of everything."""
    names = ("ENDPOINTS", "FILTERS", "SUBSCRIPTIONS", "EVENT_TYPES", "KEYS")
    bounds = {f"HEADRACE_MAX_{name}": "2" for name in names} | {"HEADRACE_MAX_WORKSPACE_RECORDS": "3"}
    bounds["HEADRACE_MAX_RETENTION"] = "3600"
    with running_gateway(kafka_bootstrap, tmp_path_factory.mktemp("small"), **bounds) as gateway:
        yield gateway


def third(http: httpx.Client, path: str, *bodies: dict[str, Any]) -> tuple[int, str]:
    """The status and text of the third answer to three bodies, of which two are taken."""
    answers = [http.post(f"{V1}/{path}", json=body) for body in bodies]
    assert [answer.status_code for answer in answers[:2]] == [201] * 2, answers
    assert answers[2].headers["content-type"] == "application/problem+json"
    return answers[2].status_code, answers[2].json()["detail"]


def test_our_own_api(small: RunningGateway) -> None:
    workspace = small.create_workspace()
    client_id, key = small.create_client(workspace, "producer", "subscriber")
    _, other = small.create_client(workspace, "producer", "subscriber")
    with small.client(key) as http:
        status, told = third(http, "endpoints", *({"name": f"e{n}", "url": "https://example.org"} for n in range(3)))
        assert (status, "(HEADRACE_MAX_ENDPOINTS)" in told) == (403, True)
        filters = [{"name": f"f{n}", "types": [{"code": "T"}]} for n in range(3)]
        status, told = third(http, "filters", *filters)
        assert (status, "at most 2 are allowed (HEADRACE_MAX_FILTERS)" in told) == (403, True)
        ends = [[each["id"] for each in http.get(f"{V1}/{what}").json()["items"]] for what in ("filters", "endpoints")]
        links = [{"filter": f, "endpoint": e} for f in ends[0] for e in ends[1]]
        status, told = third(http, "subscriptions", *links[:3])
        assert (status, "(HEADRACE_MAX_SUBSCRIPTIONS)" in told) == (403, True)
        status, told = third(http, "registrations", *({"code": f"T{n}"} for n in range(3)))
        assert (status, "(HEADRACE_MAX_EVENT_TYPES)" in told) == (403, True)
    with small.client(params={"workspace": workspace}) as admin:
        answers = [admin.post(f"{V1}/clients/{client_id}/keys", json={}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 403], answers[0].text
        assert "(HEADRACE_MAX_KEYS)" in answers[1].json()["detail"]
        topic = f"{V1}/operations/topics/{event_topic(workspace, 'events', 'T0')}"
        kept = [admin.patch(topic, json={"retention_seconds": seconds}) for seconds in (3_600, 3_601)]
        assert [answer.status_code for answer in kept] == [200, 403], kept[0].text
        assert "(HEADRACE_MAX_RETENTION)" in kept[1].json()["detail"]
    with small.client(other) as http:
        assert http.post(f"{V1}/endpoints", json={"name": "e", "url": "https://example.org"}).status_code == 201


def test_crmls(small: RunningGateway) -> None:
    account = crmls_account(small, small.create_workspace())
    headers = {"authorization": f"Bearer {account.token}"}
    with small.client(None) as http:
        posted = [http.post(EVENTS, json=seed_body(messageType=f"T{n}"), headers=headers) for n in range(3)]
    assert [answer.status_code // 100 for answer in posted] == [2, 2, 4]
    assert posted[2].status_code == 403
    assert "(HEADRACE_MAX_EVENT_TYPES)" in posted[2].text


def test_the_event_service(small: RunningGateway) -> None:
    service = event_service(small)
    service.websocket()
    service.webhook()
    (error,) = service.result('mutation { createWebSocketEndpoint(name: "e") { id } }')["errors"]
    assert "(HEADRACE_MAX_ENDPOINTS)" in error["message"]
    assert error["extensions"]["code"] == "FORBIDDEN"


def test_exchange(small: RunningGateway) -> None:
    publisher = exchange_account(small).endpoint(source=True)
    answers = [publisher.register(f"c{number}") for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 403]
    assert "(HEADRACE_MAX_EVENT_TYPES)" in answers[2].json()["message"]
    too_many = publisher.register("c0", attributes=MANY)
    assert (too_many.status_code, too_many.json()["code"]) == (413, 413)
    assert "(HEADRACE_MAX_ATTRIBUTES)" in too_many.text


def test_eventhos(small: RunningGateway, gateway: RunningGateway) -> None:
    # Its workspace is one for all tests on this broker, and may have more records than the small gateway takes.
    eventhos = dataclasses.replace(eventhos_on(gateway), gateway=small)
    body = {"name": "A system", "type": "test", "description": "", "systemClass": "hybrid"}
    with eventhos.manager() as http:
        answers = [http.post("/system", json=body | {"identifier": unique()}) for _ in range(4)]
    assert "(HEADRACE_MAX_WORKSPACE_RECORDS)" in refused(answers[-1], 403_000)


def test_an_event_type_of_very_many_attributes_is_refused_to_its_author(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    client, _ = gateway.create_client(workspace, "producer")
    with gateway.client(params={"workspace": workspace}) as admin:
        for path, whose in (("event-types", {}), ("registrations", {"client": client})):
            answer = admin.post(f"{V1}/{path}", json={"code": "T", "attributes": MANY, **whose})
            assert answer.status_code == 413, answer.text
            assert "(HEADRACE_MAX_ATTRIBUTES)" in answer.json()["detail"]
        admin.post(f"{V1}/event-types", json={"code": "T", "attributes": MANY[:1_000]}).raise_for_status()
        assert admin.patch(f"{V1}/event-types/events/T", json={"attributes": MANY[:1_001]}).status_code == 413
