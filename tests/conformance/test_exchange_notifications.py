"""Notifications of changed subscriptions: cases A-140 to A-160 of the Exchange document, to a receiver that listens."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from uuid import uuid4

import pytest
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.component.connectors.receiver import Mailbox, Receiver
    from tests.support.exchange_account import ExchangeAccount
    from tests.support.running_installation import Installation

NOTIFICATION = "/v1/subscription/notification"
PULL = {"enabled": True, "destinationType": "pull"}
SECRETS = ("s3cret-key", "s3cret-password", "s3cret-client", "s3cret-refresh")
OAUTH = {"authType": "OAuth", "clientID": "me", "clientSecret": "s3cret-client", "refreshToken": "s3cret-refresh"}
SUPPLIER = {"authType": "OAuthRefreshTokenOnly", "supplierKey": "supplier", "refreshToken": "s3cret-refresh"}


class Desk:
    """PUB with a code that it wants to know the subscribers of, SUB, and where the calls come in."""

    def __init__(self, account: ExchangeAccount, mailbox: Mailbox) -> None:
        self.account = account
        self.mailbox = mailbox
        self.pub = account.endpoint(source=True, identifiers=("email",))
        self.sub = account.endpoint(destination=PULL)
        self.code = f"code-{uuid4()}"
        self.pub.register(self.code, name="Product view").raise_for_status()

    def put(self, **members: Any) -> httpx.Response:
        body = {"notificationKey": "account 7", "notificationURL": self.mailbox.url} | members
        with self.pub.client() as http:
            return http.put(NOTIFICATION, json={name: value for name, value in body.items() if value is not None})

    def registered(self, **members: Any) -> None:
        answer = self.put(**members)
        assert answer.status_code == 200, answer.text
        assert not any(secret in answer.text for secret in SECRETS)

    def subscribe(self, *codes: str) -> str:
        return self.account.subscribe(self.sub, self.pub, *(codes or (self.code,)))

    def change(self, method: str, path: str, body: Any = None) -> None:
        with self.account.gateway.client(params={"workspace": self.account.workspace}) as admin:
            admin.request(method, f"/headrace/v1{path}", json=body).raise_for_status()

    def told(self, count: int) -> list[dict[str, Any]]:
        """The notifications so far, which must become that many; no further one is under way when they have come."""
        bodies = [json.loads(each.body) for each in self.mailbox.wait(count)]
        assert len(bodies) == count
        return bodies

    def types(self, count: int) -> list[str]:
        return [each["changeType"] for each in self.told(count)]


@pytest.fixture(scope="module")
def account(installation: Installation, exchange: ExchangeAccount) -> ExchangeAccount:
    assert installation.gateway is exchange.gateway
    return exchange


@pytest.fixture
def desk(account: ExchangeAccount, mailbox: Mailbox) -> Desk:
    return Desk(account, mailbox)


@pytest.fixture(scope="module")
def refusing(exchange: ExchangeAccount, receiver: Receiver) -> Desk:
    """A desk whose registrations are all refused."""
    return Desk(exchange, receiver.mailbox(f"refused-{uuid4()}"))


class TokenServer:
    """Gives access tokens T1, T2, … and notes the forms that asked for them."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.url = mailbox.url
        self.rotates = False
        self._mailbox = mailbox
        mailbox.answering = self._answer

    async def _answer(self, _request: web.Request, number: int) -> web.Response:
        rotated = {"refresh_token": f"R{number}"} if self.rotates else {}
        return web.json_response({"access_token": f"T{number}", "expires_in": 3600, **rotated})

    @property
    def forms(self) -> list[dict[str, str]]:
        asked = [parse_qs(each.body.decode()) for each in self._mailbox.received]
        return [{name: values[0] for name, values in form.items()} for form in asked]


@pytest.fixture
def tokens(receiver: Receiver) -> TokenServer:
    return TokenServer(receiver.mailbox(f"token-{uuid4()}"))


def refused(answer: httpx.Response, status: int, *paths: str) -> None:
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert list(error) == ["message", "code", "errors"]
    assert {one["path"] for one in error["errors"]} == set(paths)
    assert not any(secret in answer.text for secret in SECRETS)


def test_A_140_a_notification_is_registered(desk: Desk) -> None:
    answer = desk.put()
    assert answer.status_code == 200
    assert answer.json() == {"notificationKey": "account 7", "notificationURL": desk.mailbox.url}


def test_A_141_a_new_subscription_is_told(desk: Desk) -> None:
    desk.registered()
    desk.subscribe()
    (told,) = desk.told(1)
    assert list(told) == ["notificationKey", "changeTime", "changeType", "eventTypeCode", "eventName"]
    assert told.pop("changeTime").startswith("20")
    assert told == {
        "notificationKey": "account 7",
        "changeType": "Add",
        "eventTypeCode": desk.code,
        "eventName": "Product view",
    }
    (request,) = desk.mailbox.received
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert not {"authorization", "webhook-signature"} & request.headers.keys()


def test_A_142_without_a_key(desk: Desk) -> None:
    desk.registered(notificationKey=None)
    desk.subscribe()
    assert "notificationKey" not in desk.told(1)[0]


def test_A_143_disable_enable_and_delete_are_told_in_order(desk: Desk) -> None:
    desk.registered()
    subscription = desk.subscribe()
    for enabled in (False, True):
        desk.change("PATCH", f"/subscriptions/{subscription}", {"enabled": enabled})
    # What changes nothing is not told.
    desk.change("PATCH", f"/subscriptions/{subscription}", {"enabled": True})
    desk.change("DELETE", f"/subscriptions/{subscription}")
    assert desk.types(4) == ["Add", "Disable", "Enable", "Delete"]


def test_changes_of_a_filter_are_told(desk: Desk) -> None:
    second = f"code-{uuid4()}"
    desk.pub.register(second).raise_for_status()
    desk.registered()
    subscription = desk.subscribe(desk.code, second)
    assert {each["eventTypeCode"] for each in desk.told(2)} == {desk.code, second}
    with desk.account.gateway.client(params={"workspace": desk.account.workspace}) as admin:
        filter_id = admin.get(f"/headrace/v1/subscriptions/{subscription}").json()["filter"]
    desk.change("PATCH", f"/filters/{filter_id}", {"types": [{"namespace": "exchange", "code": second}]})
    assert [(each["changeType"], each["eventTypeCode"]) for each in desk.told(3)[2:]] == [("Delete", desk.code)]
    desk.change("DELETE", f"/filters/{filter_id}")
    assert [(each["changeType"], each["eventTypeCode"]) for each in desk.told(4)[3:]] == [("Delete", second)]


def test_changes_of_the_consumer_are_told(desk: Desk) -> None:
    desk.registered()
    desk.subscribe()
    for roles in ({}, {"destination": PULL}):
        with desk.sub.client() as http:
            http.put("/v1/endpoint", json={"endpointTypes": {"event": roles}}).raise_for_status()
    desk.change("DELETE", f"/clients/{desk.sub.id}")
    assert desk.types(4) == ["Add", "Disable", "Enable", "Delete"]


def test_a_consumer_is_told_of_its_own_subscriptions(desk: Desk) -> None:
    with desk.sub.client() as http:
        http.put(NOTIFICATION, json={"notificationURL": desk.mailbox.url}).raise_for_status()
    desk.subscribe()
    assert desk.told(1)[0]["eventTypeCode"] == desk.code


@pytest.mark.parametrize(
    "url", [None, "/relative", "example.com", "ftp://example.com/", "https://", "http://a:b/", "", 7]
)
def test_A_144_a_url_that_is_none(refusing: Desk, url: object) -> None:
    refused(refusing.put(notificationURL=url), 400, "$.notificationURL")


@pytest.mark.parametrize("body", [[], "text", None])
def test_A_144_a_body_that_is_none(refusing: Desk, body: object) -> None:
    with refusing.pub.client() as http:
        refused(http.put(NOTIFICATION, json=body), 400, "$")


@pytest.mark.parametrize("auth", [{}, {"authType": "Digest"}, {"authType": 7}, {"authType": "apikey", "APIKey": "x"}])
def test_A_145_an_authentication_type_that_there_is_not(refusing: Desk, auth: dict[str, Any]) -> None:
    refused(refusing.put(authentication=auth), 400, "$.authentication.authType")


def test_A_146_an_api_key_is_sent_as_bearer(desk: Desk) -> None:
    desk.registered(authentication={"authType": "APIKey", "APIKey": "s3cret-key"})
    desk.subscribe()
    desk.told(1)
    assert desk.mailbox.received[0].headers["authorization"] == "Bearer s3cret-key"


def test_A_148_basic(desk: Desk) -> None:
    desk.registered(authentication={"authType": "Basic", "userId": "me", "password": "s3cret-password"})
    desk.subscribe()
    desk.told(1)
    sent = desk.mailbox.received[0].headers["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"me:s3cret-password"


def check_each_is_required(desk: Desk, **whole: str) -> None:
    for member in whole.keys() - {"authType"}:
        for left in (None, "", 7):
            refused(desk.put(authentication=whole | {member: left}), 400, f"$.authentication.{member}")


def test_A_147_the_api_key_is_required(refusing: Desk) -> None:
    check_each_is_required(refusing, authType="APIKey", APIKey="s3cret-key")


def test_A_149_user_and_password_are_required(refusing: Desk) -> None:
    check_each_is_required(refusing, authType="Basic", userId="me", password="s3cret-password")


def test_A_151_all_members_of_oauth_are_required(refusing: Desk) -> None:
    check_each_is_required(refusing, **OAUTH, authURL="https://login.example/token")


def test_A_153_so_are_those_of_a_refresh_token_only(refusing: Desk) -> None:
    check_each_is_required(refusing, **SUPPLIER, authURL="https://login.example/token")


@pytest.mark.parametrize("url", ["login", "ftp://login.example", "https://a:b/"])
def test_A_151_an_authURL_that_is_none(refusing: Desk, url: str) -> None:
    for auth in (OAUTH, SUPPLIER):
        refused(refusing.put(authentication=auth | {"authURL": url}), 400, "$.authentication.authURL")


@pytest.mark.parametrize(
    ("auth", "member"),
    [
        ({"authType": "APIKey", "APIKey": "a\nb"}, "APIKey"),
        ({"authType": "Basic", "userId": "a:b", "password": "x"}, "userId"),
    ],
)
def test_credentials_that_no_header_takes(refusing: Desk, auth: dict[str, str], member: str) -> None:
    refused(refusing.put(authentication=auth), 400, f"$.authentication.{member}")


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"authType": "APIKey"}, "$.authType"),
        ({"APIKey": "s"}, "$.APIKey"),
        ({"authentication": {"authType": "APIKey", "APIKey": "s"}, "APIKey": "s"}, "$.APIKey"),
        (
            {"authentication": {"authType": "Basic", "userId": "a", "password": "b", "APIKey": "c"}},
            "$.authentication.APIKey",
        ),
        ({"authentication": {"authType": "APIKey", "APIKey": "s", "anything": 1}}, "$.authentication.anything"),
        ({"Authentication": {"authType": "APIKey", "APIKey": "s"}}, "$.Authentication"),
        ({"notificationkey": "k"}, "$.notificationkey"),
        ({"unknown": 1}, "$.unknown"),
    ],
)
def test_credentials_in_the_wrong_place_are_refused(refusing: Desk, members: dict[str, Any], place: str) -> None:
    """They were passed over, and notifications sent without them."""
    refused(refusing.put(**members), 400, place)


def test_A_150_oauth_gets_a_token_first(desk: Desk, tokens: TokenServer) -> None:
    desk.registered(authentication=OAUTH | {"authURL": tokens.url})
    subscription = desk.subscribe()
    desk.told(1)
    desk.change("DELETE", f"/subscriptions/{subscription}")
    desk.told(2)
    form = {
        "grant_type": "refresh_token",
        "refresh_token": "s3cret-refresh",
        "client_id": "me",
        "client_secret": "s3cret-client",
    }
    # The token is kept while it holds.
    assert tokens.forms == [form]
    assert [each.headers["authorization"] for each in desk.mailbox.received] == ["Bearer T1", "Bearer T1"]


def test_A_150_a_refused_token_is_fetched_anew(desk: Desk, tokens: TokenServer) -> None:
    async def only_t2(request: web.Request, _number: int) -> web.Response:
        return web.Response(status=204 if request.headers["Authorization"] == "Bearer T2" else 401)

    desk.mailbox.answering = only_t2
    tokens.rotates = True
    desk.registered(authentication=OAUTH | {"authURL": tokens.url})
    desk.subscribe()
    desk.mailbox.wait(2)
    assert [each.headers["authorization"] for each in desk.mailbox.received] == ["Bearer T1", "Bearer T2"]
    assert [form["refresh_token"] for form in tokens.forms] == ["s3cret-refresh", "R1"]


def test_A_152_oauth_with_a_refresh_token_only(desk: Desk, tokens: TokenServer) -> None:
    desk.registered(authentication=SUPPLIER | {"authURL": tokens.url})
    desk.subscribe()
    desk.told(1)
    form = {"grant_type": "refresh_token", "refresh_token": "s3cret-refresh", "client_id": "supplier"}
    assert tokens.forms == [form]
    assert desk.mailbox.received[0].headers["authorization"] == "Bearer T1"


def test_A_154_no_secret_is_shown_anywhere(desk: Desk) -> None:
    desk.registered(authentication=OAUTH | {"authURL": "https://login.example/token"})
    with desk.account.gateway.client(params={"workspace": desk.account.workspace, "limit": 1_000}) as admin:
        answer = admin.get("/headrace/v1/endpoints")
    assert desk.mailbox.url in answer.text
    assert not any(secret in answer.text for secret in SECRETS)


def test_A_155_only_the_last_url_counts(desk: Desk, receiver: Receiver) -> None:
    desk.registered()
    other = receiver.mailbox(f"other-{uuid4()}")
    desk.registered(notificationURL=other.url, notificationKey="another")
    desk.subscribe()
    assert json.loads(other.wait(1)[0].body)["notificationKey"] == "another"
    assert desk.mailbox.received == []


def test_A_156_changes_of_others_are_not_told(desk: Desk) -> None:
    desk.registered()
    other = desk.account.endpoint(source=True)
    other.register(desk.code).raise_for_status()
    desk.account.subscribe(desk.sub, other, desk.code)
    # What is told next is told after what should not be.
    desk.subscribe()
    assert desk.types(1) == ["Add"]


def test_A_157_nothing_is_told_after_a_deletion(desk: Desk, receiver: Receiver) -> None:
    desk.registered()
    with desk.pub.client() as http:
        answer = http.delete(NOTIFICATION)
    assert (answer.status_code, answer.text) == (200, "true")
    desk.subscribe()
    later = receiver.mailbox(f"later-{uuid4()}")
    desk.registered(notificationURL=later.url)
    desk.subscribe()
    later.wait(1)
    assert desk.mailbox.received == []


def test_A_158_deleting_again(desk: Desk) -> None:
    desk.registered()
    with desk.pub.client() as http:
        http.delete(NOTIFICATION).raise_for_status()
        refused(http.delete(NOTIFICATION), 404)


def test_A_159_another_endpoints_deletion_changes_nothing(desk: Desk) -> None:
    desk.registered()
    with desk.sub.client() as http:
        refused(http.delete(NOTIFICATION), 404)
    desk.subscribe()
    desk.told(1)


@pytest.mark.parametrize("call", [lambda http: http.put(NOTIFICATION, json={}), lambda http: http.delete(NOTIFICATION)])
def test_A_160_keys_that_may_not(refusing: Desk, call: Callable[[httpx.Client], httpx.Response]) -> None:
    for key, status in ((None, 401), ("unknown:US", 401), (refusing.account.account_key, 403)):
        with refusing.account.gateway.client(key) as http:
            refused(call(http), status)


def test_the_namespace_of_notifications_is_reserved(refusing: Desk) -> None:
    answer = refusing.pub.register("subscription-changed", namespace="exchange-notifications")
    refused(answer, 400, "$.namespace")


def test_a_deleted_endpoint_leaves_no_notification_behind(desk: Desk) -> None:
    desk.registered()
    desk.change("DELETE", f"/clients/{desk.pub.id}")
    with desk.account.gateway.client(params={"workspace": desk.account.workspace, "limit": 1_000}) as admin:
        for kind in ("endpoints", "filters", "subscriptions"):
            assert desk.pub.name not in admin.get(f"/headrace/v1/{kind}").text
