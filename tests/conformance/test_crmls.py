"""The CRMLS EventGateway document, case by case, against a running gateway on real Kafka."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import jwt
import pytest

from tests.support.crmls_account import EVENTS, Account, crmls_account, fresh, part, refused, seed_body
from tests.support.running_gateway import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

WEEK = 604_800
SEVEN_DIGITS = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00$")


@pytest.fixture(scope="module")
def account(gateway: RunningGateway) -> Account:
    return crmls_account(gateway, gateway.create_workspace())


@pytest.fixture
def http(account: Account) -> Iterator[httpx.Client]:
    """Calls with the account's token."""
    with account.gateway.client(account.token, headers={"accept": "application/json"}) as client:
        yield client


@pytest.fixture
def anonymous(account: Account) -> Iterator[httpx.Client]:
    with account.gateway.client(None) as client:
        yield client


def test_C_01_a_token_for_an_api_key(account: Account, anonymous: httpx.Client) -> None:
    response = anonymous.post("/api/token", params={"apiKey": account.key})

    assert response.status_code == 200
    assert response.json().keys() == {"token", "expiration"}
    assert all(isinstance(value, str) for value in response.json().values())


def test_C_02_header_and_claims_of_the_token(account: Account) -> None:
    assert part(account.token, 0) == {"alg": "HS256", "typ": "JWT"}
    claims = part(account.token, 1)
    assert claims.keys() == {"nameid", "unique_name", "role", "nbf", "exp", "iat"}
    assert claims["nameid"] == claims["unique_name"] == account.id


def test_C_03_an_unknown_api_key_is_refused(anonymous: httpx.Client) -> None:
    response = anonymous.post("/api/token", params={"apiKey": "abcdef123456789"})

    refused(response, 401)
    assert "www-authenticate" in response.headers


def test_C_04_a_token_lives_seven_days(account: Account) -> None:
    claims = part(account.token, 1)

    assert claims["exp"] - claims["iat"] == WEEK
    assert claims["nbf"] == claims["iat"]
    assert abs(claims["iat"] - time.time()) < 300


def test_C_05_expiration_has_seven_digits_and_equals_exp(account: Account, anonymous: httpx.Client) -> None:
    answer = anonymous.post("/api/token", params={"apiKey": account.key}).json()

    assert SEVEN_DIGITS.match(answer["expiration"])
    assert int(datetime.fromisoformat(answer["expiration"]).timestamp()) == part(answer["token"], 1)["exp"]


@pytest.mark.parametrize("query", ["", "?apiKey="])
def test_C_07_a_token_without_api_key_is_refused(anonymous: httpx.Client, query: str) -> None:
    problem = refused(anonymous.post(f"/api/token{query}"), 400)

    assert "apiKey" in problem["detail"]


def test_C_08_tokens_are_posted_for(account: Account, anonymous: httpx.Client) -> None:
    response = anonymous.get("/api/token", params={"apiKey": account.key})

    refused(response, 405)
    assert response.headers["allow"] == "POST"


def test_C_10_the_seed_body_is_accepted_and_echoed(account: Account, http: httpx.Client) -> None:
    message_type = fresh("Offer")
    answer = http.post(EVENTS, json=seed_body(messageType=message_type))

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    event = answer.json()
    assert (event["eventName"], event["messageType"]) == ("Offer1234", message_type)
    assert event["message"] == seed_body()["message"]
    assert account.stored(message_type) == 1


def test_C_11_event_time_is_spelt_with_an_offset(http: httpx.Client) -> None:
    assert http.post(EVENTS, json=seed_body()).json()["eventTime"] == "2021-03-04T16:36:54.591+00:00"


def test_C_12_source_account_is_the_tokens_nameid(account: Account, http: httpx.Client) -> None:
    assert http.post(EVENTS, json=seed_body()).json()["sourceAccount"] == account.id


def test_C_13_ids_are_unique_uuids(http: httpx.Client) -> None:
    ids = {http.post(EVENTS, json=seed_body()).json()["id"] for _ in range(100)}

    assert len(ids) == 100
    assert all(str(UUID(each)) == each for each in ids)


def test_C_14_created_by_and_modified_by_are_null(http: httpx.Client) -> None:
    event = http.post(EVENTS, json=seed_body()).json()

    assert event["createdBy"] is None
    assert event["modifiedBy"] is None


def test_C_15_created_on_has_seven_digits_and_is_now(http: httpx.Client) -> None:
    event = http.post(EVENTS, json=seed_body()).json()

    assert SEVEN_DIGITS.match(event["createdOn"])
    assert event["modifiedOn"] == event["createdOn"]
    assert abs(datetime.fromisoformat(event["createdOn"]).timestamp() - time.time()) < 60


def test_C_16_the_members_come_in_the_samples_order(http: httpx.Client) -> None:
    members = "eventName eventTime sourceAccount message messageType createdBy createdOn id modifiedBy modifiedOn"

    assert list(http.post(EVENTS, json=seed_body()).json()) == members.split()


def test_C_17_a_token_is_needed(account: Account, anonymous: httpx.Client) -> None:
    message_type = fresh("Offer")
    response = anonymous.post(EVENTS, json=seed_body(messageType=message_type))

    refused(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert account.stored(message_type) == 0


def test_C_19_the_case_of_bearer_does_not_matter(account: Account, anonymous: httpx.Client) -> None:
    for scheme in ("bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {account.token}"}
        assert anonymous.post(EVENTS, json=seed_body(), headers=headers).status_code == 200


def test_C_20_an_api_key_does_not_do_for_a_token(account: Account, anonymous: httpx.Client) -> None:
    message_type = fresh("Offer")
    body = seed_body(messageType=message_type)

    refused(anonymous.post(EVENTS, params={"apiKey": account.key}, json=body), 401)
    refused(anonymous.post(EVENTS, headers={"Authorization": f"Bearer {account.key}"}, json=body), 401)
    assert account.stored(message_type) == 0


def test_C_22_a_token_without_signature_is_refused(account: Account, anonymous: httpx.Client) -> None:
    message_type = fresh("Offer")
    token = jwt.encode(part(account.token, 1), None, algorithm="none")
    headers = {"Authorization": f"Bearer {token}"}
    response = anonymous.post(EVENTS, json=seed_body(messageType=message_type), headers=headers)

    refused(response, 401)
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert account.stored(message_type) == 0


def test_C_23_an_expired_token_is_refused(account: Account, anonymous: httpx.Client) -> None:
    message_type = fresh("Offer")
    issued = int(time.time()) - WEEK - 1
    claims = part(account.token, 1)
    for age, status in ((0, 401), (60, 200)):
        moved = claims | {"iat": issued + age, "nbf": issued + age, "exp": issued + age + WEEK}
        token = jwt.encode(moved, account.signing_key(), algorithm="HS256")
        body = seed_body(messageType=message_type)
        response = anonymous.post(EVENTS, json=body, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == status
        assert account.stored(message_type) == (1 if status == 200 else 0)


@pytest.mark.parametrize("change", [{"eventName": None}, {"eventName": 7}, {"eventName": ""}])
def test_C_25_event_name_is_required(account: Account, http: httpx.Client, change: dict[str, Any]) -> None:
    refused_naming("eventName", account, http, change)


def test_C_26_event_time_is_required(account: Account, http: httpx.Client) -> None:
    refused_naming("eventTime", account, http, {"eventTime": None})


def test_C_27_message_type_is_required(http: httpx.Client) -> None:
    assert "messageType" in refused(http.post(EVENTS, json=seed_body(messageType=None)), 400)["errors"]


@pytest.mark.parametrize("message_type", ["", "*", "a\tb", "a\0b", "x" * 201])
def test_C_27_message_type_must_be_able_to_name_an_event_type(http: httpx.Client, message_type: str) -> None:
    assert list(refused(http.post(EVENTS, json=seed_body(messageType=message_type)), 400)["errors"]) == ["messageType"]


def test_C_28_message_is_required(account: Account, http: httpx.Client) -> None:
    refused_naming("message", account, http, {"message": None})


@pytest.mark.parametrize("when", ["yesterday", "2021-03-04T16:36:54", 1614876441, "2021-02-30T00:00:00Z"])
def test_C_29_event_time_must_be_a_time(account: Account, http: httpx.Client, when: object) -> None:
    refused_naming("eventTime", account, http, {"eventTime": when})


@pytest.mark.parametrize("message", ["text", [1], 7, True])
def test_C_31_message_must_be_an_object(account: Account, http: httpx.Client, message: object) -> None:
    refused_naming("message", account, http, {"message": message})


def refused_naming(member: str, account: Account, http: httpx.Client, change: dict[str, Any]) -> None:
    message_type = fresh("Offer")
    problem = refused(http.post(EVENTS, json=seed_body(messageType=message_type, **change)), 400)

    assert list(problem["errors"]) == [member]
    assert account.stored(message_type) == 0


def test_C_32_the_message_is_echoed_unchanged(http: httpx.Client) -> None:
    message = (
        '{"n": 12345678901234567890.123456789, "f":125.50,"e":1E400, "u":"\\u00e9é\U0001f600","d":{"a":[{"b":null}]}}'
    )
    body = '{"eventName":"n","eventTime":"2021-03-04T16:36:54Z","messageType":"Offer","message":' + message + "}"
    answer = http.post(EVENTS, content=body.encode(), headers={"content-type": "application/json; charset=utf-8"})

    assert answer.status_code == 200
    assert message in answer.text


def preflight(anonymous: httpx.Client, origin: str) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "Authorization,Content-Type",
    }
    return anonymous.options(EVENTS, headers=headers)


def test_C_37_browsers_of_a_configured_origin_may_post(anonymous: httpx.Client, http: httpx.Client) -> None:
    answer = preflight(anonymous, ORIGIN)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert "content-type" in allowed
    posted = http.post(EVENTS, json=seed_body(), headers={"Origin": ORIGIN})
    assert posted.headers["access-control-allow-origin"] == ORIGIN
    assert "retry-after" in posted.headers["access-control-expose-headers"].lower()
    assert "access-control-allow-origin" not in preflight(anonymous, "https://elsewhere.example").headers


def test_C_38_swagger_ui_is_served_with_all_its_files(anonymous: httpx.Client) -> None:
    page = anonymous.get("/docs/swagger/index.html")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert loaded
    assert all(not each.startswith("http") for each in loaded)
    assert all(anonymous.get(each).status_code == 200 for each in loaded)
    assert EVENTS in anonymous.get("/openapi.json").json()["paths"]
