"""What the CRMLS EventGateway document leaves open or shows in passing: accounts, their tokens, types and times."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import jwt
import pytest

from schemas.model.topics import event_topic
from tests.support.crmls_account import EVENTS, Account, crmls_account, fresh, part, refused, seed_body
from tests.support.records import records_of
from tests.support.running_gateway import TOKEN_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

PRINTED = """{
"eventName": "Offer1234",
"eventTime": "2021-03-04T16:36:54.591Z",
"messageType": "%s",
"message": {
"ListingId":"#####",
"OfferId":"#####",
"OfferAmount":"#####",
}
}"""


@pytest.fixture(scope="module")
def account(gateway: RunningGateway) -> Account:
    return crmls_account(gateway, gateway.create_workspace())


@pytest.fixture
def http(account: Account) -> Iterator[httpx.Client]:
    """Calls with the account's token."""
    with account.gateway.client(account.token) as client:
        yield client


@pytest.fixture
def anonymous(account: Account) -> Iterator[httpx.Client]:
    with account.gateway.client(None) as client:
        yield client


def test_the_body_is_accepted_as_it_is_printed_with_its_trailing_comma(account: Account, http: httpx.Client) -> None:
    message_type = fresh("Offer")
    answer = http.post(EVENTS, content=PRINTED % message_type, headers={"content-type": "application/json"})

    assert answer.status_code == 200
    assert answer.json()["message"] == seed_body()["message"]
    assert account.stored(message_type) == 1


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("2021-03-04T18:36:54.1234567+02:00", "2021-03-04T16:36:54.1234567+00:00"),
        ("2021-03-04T16:36:54Z", "2021-03-04T16:36:54+00:00"),
        ("2021-03-04T16:36:54.500Z", "2021-03-04T16:36:54.5+00:00"),
    ],
)
def test_the_time_is_answered_in_utc_with_the_digits_it_came_with(http: httpx.Client, sent: str, answered: str) -> None:
    assert http.post(EVENTS, json=seed_body(eventTime=sent)).json()["eventTime"] == answered


def test_other_members_are_passed_over(http: httpx.Client) -> None:
    answer = http.post(EVENTS, json=seed_body(id="mine", sourceAccount="x", createdBy="me", more=[1]))

    assert answer.status_code == 200
    event = answer.json()
    assert "more" not in event
    assert event["createdBy"] is None
    assert event["id"] != "mine"


def test_tokens_that_are_not_ours_are_refused(account: Account, anonymous: httpx.Client) -> None:
    message_type = fresh("Offer")
    claims = part(account.token, 1)
    header, payload, signature = account.token.split(".")
    tokens = [
        "garbage",
        f"{header}.{payload}.{signature[::-1]}",
        jwt.encode(claims, TOKEN_SECRET + "x", algorithm="HS256"),
        jwt.encode(claims | {"nameid": str(uuid4())}, TOKEN_SECRET, algorithm="HS256"),
        jwt.encode(claims | {"realm": "eventhos"}, TOKEN_SECRET, algorithm="HS256"),
    ]
    for token in tokens:
        headers = {"Authorization": f"Bearer {token}"}
        refused(anonymous.post(EVENTS, json=seed_body(messageType=message_type), headers=headers), 401)
    assert account.stored(message_type) == 0


def test_a_disabled_account_is_refused_at_once(account: Account) -> None:
    other = crmls_account(account.gateway, account.workspace)
    address = f"/headrace/v1/clients/{other.id}"
    with (
        account.gateway.client(params={"workspace": account.workspace}) as admin,
        account.gateway.client(other.token) as http,
    ):
        for disabled, status in ((False, 200), (True, 401), (False, 200)):
            admin.patch(address, json={"disabled": disabled}).raise_for_status()
            assert http.post(EVENTS, json=seed_body()).status_code == status


def test_an_account_that_may_not_produce_is_refused(account: Account) -> None:
    message_type = fresh("Offer")
    with account.gateway.client(crmls_account(account.gateway, account.workspace, "subscriber").token) as http:
        refused(http.post(EVENTS, json=seed_body(messageType=message_type)), 403)
    assert account.stored(message_type) == 0


def test_many_may_use_a_message_type_first_at_the_same_moment(account: Account, http: httpx.Client) -> None:
    message_type = fresh("Offer")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: http.post(EVENTS, json=seed_body(messageType=message_type)), range(8)))

    assert [answer.status_code for answer in answers] == [200] * 8
    topic = event_topic(account.workspace, "crmls", message_type)
    stored = [dict(each.headers() or [])["ce_id"].decode() for each in records_of(account.gateway.bootstrap, topic)]
    assert sorted(stored) == sorted(answer.json()["id"] for answer in answers)


def test_a_message_type_that_was_declared_with_attributes_is_checked(account: Account, http: httpx.Client) -> None:
    message_type = fresh("Offer")
    declared = {"namespace": "crmls", "code": message_type, "attributes": [{"name": "Amount", "type": "Number"}]}
    with account.gateway.client(params={"workspace": account.workspace}) as admin:
        admin.post("/headrace/v1/event-types", json=declared).raise_for_status()

    wrong = http.post(EVENTS, json=seed_body(messageType=message_type, message={"Amount": "much"}))
    assert list(refused(wrong, 400)["errors"]) == ["message.Amount"]
    right = http.post(EVENTS, json=seed_body(messageType=message_type, message={"Amount": 450000}))
    assert right.json()["message"] == {"Amount": 450000}
    assert account.stored(message_type) == 1
