"""URLs that are registered, in every family: schemes have no case, and an address must be one that may be sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.event_service_client import event_service
from tests.support.eventhos_calls import eventhos_on, refused, unique
from tests.support.exchange_account import exchange_account
from tests.support.exchange_account import refused as exchange_refused

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

ENDPOINTS = "/headrace/v1/endpoints"
SHOUTED = "HTTP://EXAMPLE.com/x"
FORBIDDEN = ["http://169.254.169.254/", "HTTP://2852039166/", "http://[::ffff:a9fe:a9fe]/", "http://0xa9.254.43518/"]
"""All of them the address at which clouds tell a machine its credentials."""

REASON = "169.254.169.254 is not a public address"


def test_an_endpoint_of_our_own(gateway: RunningGateway) -> None:
    with gateway.client(params={"workspace": gateway.create_workspace()}) as admin:
        made = admin.post(ENDPOINTS, json={"name": "e", "url": SHOUTED}).raise_for_status().json()
        assert made["url"] == SHOUTED
        oauth = {"type": "client_credentials", "user": "u", "secret": "s"}
        for url in FORBIDDEN:
            answers = [
                admin.post(ENDPOINTS, json={"name": "e", "url": url}),
                admin.patch(f"{ENDPOINTS}/{made['id']}", json={"url": url}),
                admin.patch(f"{ENDPOINTS}/{made['id']}", json={"authorization": oauth | {"token_url": url}}),
            ]
            assert [answer.status_code for answer in answers] == [400] * 3
            assert [answer.json()["errors"][0]["path"] for answer in answers] == [
                "$.url",
                "$.url",
                "$.authorization.token_url",
            ]
            if "::" not in url:
                assert all(REASON in answer.text for answer in answers)
        assert admin.get(f"{ENDPOINTS}/{made['id']}").json()["url"] == SHOUTED
        assert [each["id"] for each in admin.get(ENDPOINTS).json()["items"]] == [made["id"]]
        for allowed in ("http://127.1/", "http://2130706433:8080/a", "http://localhost/"):
            assert admin.post(ENDPOINTS, json={"name": "e", "url": allowed}).status_code == 201


def test_an_endpoint_of_the_event_service(gateway: RunningGateway) -> None:
    service = event_service(gateway)
    assert service.webhook(SHOUTED)
    for url in FORBIDDEN:
        create = f'mutation {{ createWebhookEndpoint(name: "e", url: "{url}") {{ id }} }}'
        (problem,) = service.result(create)["errors"][0]["extensions"]["problems"]
        assert problem["path"] == "$.url"
        assert "is not a public address" in problem["message"]
    assert len(service.listed()) == 1


def test_an_action_of_eventhos(gateway: RunningGateway) -> None:
    eventhos = eventhos_on(gateway)
    system = eventhos.system()
    number = eventhos.action(system, SHOUTED)
    body = {"identifier": unique(), "name": "An action", "operation": "process", "method": "post", "system_id": system}
    oauth = {"securityType": 1, "clientId": "c", "clientSecret": "s"}
    with eventhos.manager() as http:
        for url in FORBIDDEN:
            for members in ({"url": url}, {"url": SHOUTED, "securityUrl": url, **oauth}):
                assert "is not a public address" in refused(http.post("/action", json=body | members), 400000)
            assert http.put(f"/action/{number}", json=body | {"url": url}).status_code == 400


def test_a_destination_of_exchange(gateway: RunningGateway) -> None:
    account = exchange_account(gateway)
    consumer = account.endpoint(destination={"enabled": True, "url": SHOUTED})
    with gateway.client(account.account_key) as http:
        assert http.get(f"/v1/endpoint/{consumer.id}").json()["endpointTypes"]["event"]["destination"]["url"] == SHOUTED
        for url in FORBIDDEN:
            types = {"event": {"source": {"enabled": False}, "destination": {"enabled": True, "url": url}}}
            path = "$.endpointTypes.event.destination.url"
            body = {"name": "new", "providerName": "Acme", "endpointTypes": types}
            exchange_refused(http.put("/v1/endpoint", json=body), 400, path)
            exchange_refused(http.put("/v1/endpoint", json=body | {"name": consumer.name}), 400, path)
            exchange_refused(http.post("/v1/application", json=body), 400, path)


@pytest.mark.parametrize("url", FORBIDDEN[:1])
def test_a_notification_of_exchange(gateway: RunningGateway, url: str) -> None:
    consumer = exchange_account(gateway).endpoint(source=True)
    path = "/v1/subscription/notification"
    with gateway.client(consumer.key) as http:
        assert http.put(path, json={"notificationURL": SHOUTED}).status_code == 200
        exchange_refused(http.put(path, json={"notificationURL": url}), 400, "$.notificationURL")
        oauth = {"authType": "OAuth", "clientID": "c", "clientSecret": "s", "refreshToken": "r", "authURL": url}
        body = {"notificationURL": SHOUTED, "authentication": oauth}
        exchange_refused(http.put(path, json=body), 400, "$.authentication.authURL")
