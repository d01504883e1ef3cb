"""eventhos' ``POST /event/send`` and ``POST /auth/token``, case by case, against a running gateway on real Kafka."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from schemas.model.ids import derived
from tests.support.eventhos_calls import SEED_BODY, Eventhos, EventhosEvent, eventhos_on, refused, unique
from tests.support.running_gateway import running_gateway

if TYPE_CHECKING:
    from pathlib import Path


RECEIVED = {"code": 200000, "message": "success"}
NO_CONTRACTS = {"code": 200310, "message": "Success, but no contracts exists for this event"}


@pytest.fixture(scope="module")
def event(eventhos: Eventhos) -> EventhosEvent:
    """With one active contract."""
    return eventhos.linked_event()


@pytest.fixture(scope="module")
def lonely(eventhos: Eventhos) -> EventhosEvent:
    """Without contracts."""
    return eventhos.event()


def event_filter(event: EventhosEvent) -> str:
    """Id of the event's filter, as the catalog derives it."""
    return derived("eventhos", "event", event.identifier)


def claims(token: str) -> dict[str, Any]:
    text = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return decoded


def test_E_01_an_event_with_a_contract_is_received(eventhos: Eventhos, event: EventhosEvent) -> None:
    before = eventhos.stored(event)
    response = eventhos.send(event)

    assert (response.status_code, response.json()) == (200, RECEIVED)
    assert eventhos.stored(event) == before + 1


def test_E_03_the_answer_has_the_samples_members_in_order(eventhos: Eventhos, event: EventhosEvent) -> None:
    response = eventhos.send(event)

    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["code", "message"]


def test_E_04_an_event_without_contracts_is_received_too(eventhos: Eventhos, lonely: EventhosEvent) -> None:
    before = eventhos.stored(lonely)
    response = eventhos.send(lonely)

    assert (response.status_code, response.json()) == (200, NO_CONTRACTS)
    assert eventhos.stored(lonely) == before + 1


def test_E_04_the_status_can_be_that_of_the_original(kafka_bootstrap: str, tmp_path: Path) -> None:
    with running_gateway(kafka_bootstrap, tmp_path, HEADRACE_INGEST_EVENTHOS_COMPAT_STATUS="true") as compatible:
        eventhos = eventhos_on(compatible)
        response = eventhos.send(eventhos.event())

    assert (response.status_code, response.json()) == (203, NO_CONTRACTS)


def test_E_06_contracts_that_are_not_active_do_not_count(eventhos: Eventhos) -> None:
    event = eventhos.event()
    contract = eventhos.contract(event, eventhos.action(event.system, "http://127.0.0.1:9/"))
    assert eventhos.send(event).json() == RECEIVED

    with eventhos.manager() as http:
        assert http.put(f"/contract/{contract}", json={"active": False}).status_code == 201
        assert eventhos.send(event).json() == NO_CONTRACTS
        assert http.put(f"/contract/{contract}", json={"active": True}).status_code == 201
        assert eventhos.send(event).json() == RECEIVED
        assert http.delete(f"/contract/{contract}").status_code == 201
    assert eventhos.send(event).json() == NO_CONTRACTS


def test_E_06_what_else_receives_an_event_is_no_contract(eventhos: Eventhos) -> None:
    event = eventhos.event()
    with eventhos.gateway.client() as admin:
        endpoint = admin.post("/headrace/v1/endpoints", json={"name": "n", "type": "WEB_SOCKET"}).json()["id"]
        link = {"filter": event_filter(event), "endpoint": endpoint}
        admin.post("/headrace/v1/subscriptions", json=link).raise_for_status()

    assert eventhos.send(event).json() == NO_CONTRACTS


@pytest.mark.parametrize("key", ["garbage", "a.b.c", "hrk_a-key-that-nobody-was-given", "Bearer x"])
def test_E_07_an_incorrect_token_is_refused(eventhos: Eventhos, lonely: EventhosEvent, key: str) -> None:
    before = eventhos.stored(lonely)

    refused(eventhos.send(lonely, key), 401202)
    assert eventhos.stored(lonely) == before


def test_E_08_a_missing_token_is_an_incorrect_one(eventhos: Eventhos, lonely: EventhosEvent) -> None:
    before = eventhos.stored(lonely)

    refused(eventhos.send(lonely, ""), 401202)
    assert eventhos.stored(lonely) == before


def test_E_09_the_event_identifier_is_required(eventhos: Eventhos, lonely: EventhosEvent) -> None:
    response = eventhos.ask("POST", "/event/send", headers={"access-key": lonely.token}, json=SEED_BODY)
    message = refused(response, 400201)
    assert "event-identifier" in message


def test_E_10_an_empty_event_identifier_is_none(eventhos: Eventhos, lonely: EventhosEvent) -> None:
    refused(eventhos.send("", lonely.token), 400201)


def test_E_11_an_unknown_event_is_refused(eventhos: Eventhos, lonely: EventhosEvent) -> None:
    refused(eventhos.send("nope", lonely.token), 400024)


def test_E_12_the_identifier_is_looked_at_first(eventhos: Eventhos) -> None:
    refused(eventhos.send("", "garbage"), 400201)


def test_E_13_the_event_is_looked_at_before_the_token(eventhos: Eventhos) -> None:
    refused(eventhos.send("nope", "garbage"), 400024)


def test_E_14_another_clients_token_is_refused(eventhos: Eventhos, event: EventhosEvent, lonely: EventhosEvent) -> None:
    before = eventhos.stored(event)

    refused(eventhos.send(event, lonely.token), 401202)
    assert eventhos.stored(event) == before


def test_E_15_a_revoked_clients_token_is_refused_until_it_is_rectified(eventhos: Eventhos) -> None:
    event = eventhos.event()
    with eventhos.manager() as http:
        answer = http.put(f"/auth/client/{event.client.id}/revoke", json={"revoke": True})
        assert (answer.status_code, answer.json()) == (201, {"code": 200001, "message": "Token revoked"})
        assert "revoked" in refused(eventhos.send(event), 401202)
        refused(eventhos.ask("POST", "/auth/token", data=event.client.credentials()), 401202)
        assert http.put(f"/auth/client/{event.client.id}/revoke", json={"revoke": False}).status_code == 201
    assert eventhos.send(event).json() == NO_CONTRACTS


def test_E_16_a_deleted_event_does_not_exist(eventhos: Eventhos) -> None:
    event = eventhos.event()
    with eventhos.manager() as http:
        assert http.delete(f"/event/{event.id}").status_code == 201

    refused(eventhos.send(event), 400024)


def test_E_17_an_event_whose_client_is_deleted_cannot_be_sent(eventhos: Eventhos) -> None:
    event = eventhos.event()
    with eventhos.manager() as http:
        assert http.delete(f"/auth/client/{event.client.id}").status_code == 201

    refused(eventhos.send(event), 400004)
    refused(eventhos.ask("POST", "/auth/token", data=event.client.credentials()), 400004)


def test_E_17_a_system_can_get_another_client(eventhos: Eventhos) -> None:
    event, other = eventhos.event(), eventhos.client()
    token = eventhos.token_of(other)
    with eventhos.manager() as http:
        assert http.put(f"/system/{event.system}", json={"clientId": other.id}).status_code == 201
    refused(eventhos.send(event), 401202)
    assert eventhos.send(event, token).json() == NO_CONTRACTS

    with eventhos.manager() as http:
        assert http.put(f"/system/{event.system}", json={"clientId": None}).status_code == 201
    refused(eventhos.send(event, token), 400004)


def test_E_18_a_systems_event_without_a_client_cannot_be_sent(eventhos: Eventhos) -> None:
    client = eventhos.client()
    event = eventhos.event(eventhos.system(None), client)

    refused(eventhos.send(event), 400004)


@pytest.mark.parametrize("content", [b"[1,2]", b"[]", b" [1, {}] "])
def test_E_19_an_array_is_valid_json(eventhos: Eventhos, event: EventhosEvent, content: bytes) -> None:
    assert eventhos.send(event, content=content).json() == RECEIVED


@pytest.mark.parametrize("content", [b'"x"', b"null", b"3", b"true", b"1e400", '"\\u00e9 é"'.encode()])
def test_E_20_a_scalar_is_valid_json(eventhos: Eventhos, event: EventhosEvent, content: bytes) -> None:
    assert eventhos.send(event, content=content).json() == RECEIVED


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_E_22_no_body_is_an_empty_object(eventhos: Eventhos, event: EventhosEvent, content: bytes) -> None:
    assert eventhos.send(event, content=content).json() == RECEIVED


def test_E_23_the_access_key_may_be_in_the_query_where_it_wins(eventhos: Eventhos, event: EventhosEvent) -> None:
    assert eventhos.send(event, "", params={"access-key": event.token}).json() == RECEIVED
    assert eventhos.send(event, "garbage", params={"access-key": event.token}).json() == RECEIVED
    refused(eventhos.send(event, params={"access-key": "garbage"}), 401202)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_E_24_the_content_type_does_not_matter(
    eventhos: Eventhos, event: EventhosEvent, media_type: str | None
) -> None:
    headers = {} if media_type is None else {"content-type": media_type}

    assert eventhos.send(event, content=json.dumps(SEED_BODY), headers=headers).json() == RECEIVED


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
def test_E_25_events_are_posted(eventhos: Eventhos, method: str) -> None:
    response = eventhos.ask(method, "/event/send")

    assert response.status_code == 405
    assert response.json()["code"] == 405000
    assert "POST" in response.headers["allow"]


def test_E_27_a_body_that_is_too_large_is_refused(eventhos: Eventhos, lonely: EventhosEvent) -> None:
    before = eventhos.stored(lonely)

    refused(eventhos.send(lonely, content=b'"' + b"x" * 9_000_000 + b'"'), 413000)
    assert eventhos.stored(lonely) == before


def test_E_28_the_status_is_the_codes_first_three_digits(
    eventhos: Eventhos, event: EventhosEvent, lonely: EventhosEvent
) -> None:
    answers = [
        eventhos.send(event),
        eventhos.send(lonely),
        eventhos.send(lonely, "garbage"),
        eventhos.send("nope", "garbage"),
        eventhos.send("", "garbage"),
        eventhos.send(lonely, content=b"{"),
        eventhos.ask("GET", "/event"),
        eventhos.ask("GET", "/event/nothing/here"),
    ]

    codes = [answer.json()["code"] for answer in answers]
    assert codes == [200000, 200310, 401202, 400024, 400201, 400000, 403002, 404000]
    assert [answer.status_code for answer in answers] == [code // 1000 for code in codes]


def test_E_29_a_repeat_with_the_same_idempotency_key_writes_nothing(eventhos: Eventhos, lonely: EventhosEvent) -> None:
    before, headers = eventhos.stored(lonely), {"Idempotency-Key": unique()}

    assert eventhos.send(lonely, headers=headers).json() == NO_CONTRACTS
    assert eventhos.send(lonely, headers=headers).json() == NO_CONTRACTS
    assert eventhos.stored(lonely) == before + 1
    refused(eventhos.send(lonely, json={"another": "body"}, headers=headers), 422000)


@pytest.mark.parametrize("form", ["data", "json"])
def test_E_30_a_token_for_client_credentials(eventhos: Eventhos, event: EventhosEvent, form: str) -> None:
    fields: Any = {form: event.client.credentials()}
    response = eventhos.ask("POST", "/auth/token", **fields)

    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    assert answer["code"] == 200000
    assert answer["message"] == f"Token generated for client {event.client.client_id}"
    content = answer["content"]
    assert content.keys() == {"jwt_token", "name", "description", "client_id", "identifier", "roles"}
    assert content["client_id"] == event.client.id
    assert eventhos.send(event, content["jwt_token"]).json() == RECEIVED


def test_E_31_the_token_says_whose_it_is_and_lives_a_day(event: EventhosEvent) -> None:
    said = claims(event.token)

    assert said["data"].keys() == {"id", "subjectType", "identifier"}
    assert (said["data"]["id"], said["data"]["subjectType"]) == (event.client.client_id, "client")
    assert said["exp"] - said["iat"] == 86_400


def test_E_32_a_client_with_a_long_lived_token_gets_no_other(eventhos: Eventhos) -> None:
    event = eventhos.event()
    with eventhos.manager() as http:
        path = f"/auth/client/{event.client.id}/long-live"
        given = http.put(path, json={"identifier": "any"})
        assert (given.status_code, given.json()["code"]) == (201, 200000)
        long_lived = given.json()["content"]["access_token"]

        refused(eventhos.ask("POST", "/auth/token", data=event.client.credentials()), 400011)
        assert eventhos.send(event, long_lived).json() == NO_CONTRACTS

        assert http.put(path, params={"remove_long_live": "true"}, json={"identifier": "any"}).status_code == 201
    refused(eventhos.send(event, long_lived), 401202)
    assert eventhos.token_of(event.client)


def test_E_32_a_client_can_be_made_with_a_long_lived_token(eventhos: Eventhos) -> None:
    with eventhos.manager() as http:
        body = {"identifier": unique(), "name": "n", "roles": []}
        made = http.post("/auth/client", params={"longLive": "true"}, json=body).json()["content"]
        assert made["access_token"]
        fields = {"grant_type": "client_credentials", "client_id": made["clientId"]}
        fields["client_secret"] = made["clientSecret"]
        refused(http.post("/auth/token", json=fields), 400011)


def test_E_33_an_unknown_client_gets_no_token(eventhos: Eventhos, event: EventhosEvent) -> None:
    refused(eventhos.ask("POST", "/auth/token", data=event.client.credentials(client_id="nobody")), 400004)


def test_E_33_an_unknown_user_gets_no_token(eventhos: Eventhos) -> None:
    fields = {"grant_type": "password", "username": "nobody", "password": "x"}
    refused(eventhos.ask("POST", "/auth/token", data=fields), 400004)


def test_E_34_a_wrong_secret_gets_no_token(eventhos: Eventhos, event: EventhosEvent, lonely: EventhosEvent) -> None:
    for wrong in ("wrong", lonely.client.secret, event.token):
        fields = event.client.credentials(client_secret=wrong)
        refused(eventhos.ask("POST", "/auth/token", data=fields), 401100)


def test_E_35_another_grant_is_not_supported(eventhos: Eventhos, event: EventhosEvent) -> None:
    fields = event.client.credentials(grant_type="password_x")

    assert "Unsupported" in refused(eventhos.ask("POST", "/auth/token", data=fields), 400000)


@pytest.mark.parametrize("missing", ["grant_type", "client_id", "client_secret"])
def test_E_36_a_missing_field_is_named(eventhos: Eventhos, event: EventhosEvent, missing: str) -> None:
    for fields in (event.client.credentials(**{missing: ""}), event.client.credentials()):
        fields = {name: value for name, value in fields.items() if name != missing or value == ""}  # noqa: PLW2901
        for body in ({"data": fields}, {"json": fields}):
            answer = eventhos.ask("POST", "/auth/token", **body)
            assert missing in refused(answer, 400000)


def test_E_38_the_token_route_is_posted_to(eventhos: Eventhos) -> None:
    assert eventhos.ask("GET", "/auth/token").status_code == 405
