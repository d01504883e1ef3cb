"""``POST /v1/event`` of the Exchange document: requests as a whole, and the keys they come with."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.support.exchange_publishing import EMAIL, Publishing, pairs

if TYPE_CHECKING:
    from tests.support.exchange_account import ExchangeAccount


def test_A_39_events_and_eventbatch_together(publishing: Publishing) -> None:
    entry = {"identifiers": [EMAIL], "events": [publishing.undated(channel="Web")]}

    publishing.refused(publishing.individual() | {"eventbatch": [entry]}, "eventbatch")


@pytest.mark.parametrize("body", [{}, {"events": []}, {"eventbatch": []}, {"eventbatch": [{"events": []}]}, [], "x"])
def test_A_40_a_request_has_events(publishing: Publishing, body: object) -> None:
    publishing.refused(body)


@pytest.mark.parametrize("body", [{"events": {}}, {"events": [7]}, {"eventbatch": {}}, {"eventbatch": ["x"]}])
def test_A_41_events_are_objects_in_lists(publishing: Publishing, body: object) -> None:
    publishing.refused(body)


@pytest.mark.parametrize("authorization", [None, "Bearer 1234-abcd-5678-efgh", "Basic eDp5", "Bearer"])
def test_A_42_a_key_is_needed(publishing: Publishing, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    with publishing.publisher.account.gateway.client(None, headers=headers) as http:
        answer = http.post("/v1/event", json=publishing.individual())

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json().keys() == {"message", "code", "errors"}
    assert publishing.publisher.account.stored(publishing.code) == 0


def test_A_44_keys_of_other_levels_and_roles_do_not_publish(publishing: Publishing, exchange: ExchangeAccount) -> None:
    consumer = exchange.endpoint(identifiers=("email", "cookieId"))
    consumer.register(publishing.code).raise_for_status()
    for key in (exchange.account_key, exchange.application_key, consumer.key):
        with exchange.gateway.client(key) as http:
            answer = http.post("/v1/event", json=publishing.individual())
        assert answer.status_code == 403
        assert answer.json()["code"] == 403
    assert exchange.stored(publishing.code) == 0


def test_A_44_keys_of_other_families_are_unknown(publishing: Publishing, exchange: ExchangeAccount) -> None:
    _, crmls = exchange.gateway.create_client(exchange.workspace, "producer", realm="crmls")
    _, own = exchange.gateway.create_client(exchange.workspace, "producer", "operator")
    for key in (crmls, own):
        with exchange.gateway.client(key) as http:
            assert http.post("/v1/event", json=publishing.individual()).status_code == 401
    with exchange.gateway.client(publishing.publisher.key) as http:
        assert http.get("/headrace/v1/clients").status_code == 401


def test_A_46_members_that_are_not_known_are_ignored(publishing: Publishing) -> None:
    body = publishing.individual(identifiers=[EMAIL | {"isOriginal": True}], x1Id="x", provider="Acoustic")
    (event,) = publishing.accepted(body, 1)

    assert pairs(event) == [("email", EMAIL["value"])]


def test_a_batch_is_refused_as_a_whole_with_every_problem(publishing: Publishing) -> None:
    wrong = publishing.event(attributes=[{"name": "orderTotal", "value": "x"}])
    body = publishing.individual(publishing.event(), wrong, publishing.event(attributes=[{"name": "b", "value": "1"}]))

    errors = publishing.refused(body)
    assert [one["path"] for one in errors] == ["$.events[1].attributes[0]", "$.events[2].attributes[0]"]
    structure = publishing.refused(publishing.individual(publishing.event(code=""), 7, publishing.undated()))
    assert [one["path"] for one in structure] == ["$.events[0].code", "$.events[1]", "$.events[2].timestamp"]


def test_a_repeat_with_an_idempotency_key_writes_nothing(publishing: Publishing) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    for _ in range(2):
        answer = publishing.http.post("/v1/event", json=publishing.individual(), headers=headers)
        assert answer.json() == {"accepted": 1}
    other = publishing.http.post("/v1/event", json=publishing.individual(channel="Web"), headers=headers)

    assert other.status_code == 422
    assert publishing.publisher.account.stored(publishing.code) == 1


def test_an_applications_identifiers_hold_for_its_endpoints(exchange: ExchangeAccount) -> None:
    provider = f"provider-{uuid4()}"
    databases = {"marketingDatabases": [{"name": "people", "identifiers": [{"name": "loyaltyId"}]}]}
    with exchange.gateway.client(exchange.application_key) as http:
        body = {"providerName": provider, "marketingDatabasesDefinition": databases}
        assert "authenticationKey" not in http.post("/v1/application", json=body).raise_for_status().json()
    endpoint = exchange.endpoint(source=True, provider=provider)
    code = f"of-application-{uuid4()}"
    assert endpoint.register(code).status_code == 200
    with endpoint.client() as http:
        body = Publishing(endpoint, http, code).individual(identifiers=[{"name": "loyaltyId", "value": "L-1"}])
        assert http.post("/v1/event", json=body).status_code == 200
        body["identifiers"] = [EMAIL]
        assert http.post("/v1/event", json=body).status_code == 400


def test_a_namespace_that_the_code_is_not_registered_in(publishing: Publishing) -> None:
    publishing.refused(publishing.individual(publishing.event(namespace="elsewhere")), "$.events[0].code")


def test_more_events_than_a_request_may_have(publishing: Publishing) -> None:
    events = [publishing.event(attributes=[])] * 10_001
    publishing.refused(publishing.individual(*events), "10000")
