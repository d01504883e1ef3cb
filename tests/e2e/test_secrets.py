"""Z-05: what clients entrust to the gateway as a secret is in no answer and in no log, whichever way it went."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiohttp import web

from tests.support.credentials import crmls_token
from tests.support.eventhos_calls import eventhos_on
from tests.support.eventhos_log import EventLog
from tests.support.exchange_account import exchange_account

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.component.connectors.receiver import Mailbox, Receiver
    from tests.support.running_gateway import RunningGateway
    from tests.support.running_installation import Installation

NOTIFICATION = "/v1/subscription/notification"


class Secrets:
    """Secrets of one test, recognisable wherever they turn up."""

    def __init__(self) -> None:
        self.mark = f"s3cret{uuid4().hex}"
        self.answers: list[str] = []
        self._count = 0

    def new(self) -> str:
        """One more."""
        self._count += 1
        return f"{self.mark}-{self._count}"

    def note(self, answer: httpx.Response) -> httpx.Response:
        """Keep an answer, to be looked through."""
        self.answers.append(f"{answer.request.method} {answer.request.url.path}\n{answer.headers}\n{answer.text}")
        return answer

    def check(self, directory: Path) -> None:
        """None was shown, and none is in the logs of any plane."""
        assert self.answers
        assert [text for text in self.answers if self.mark in text] == []
        logs = list(directory.glob("*.log"))
        assert len(logs) >= 4
        assert [log.name for log in logs if self.mark in log.read_text()] == []


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def token_server(receiver: Receiver, secrets: Secrets) -> Mailbox:
    """It gives a secret access token to whoever asks."""
    mailbox = receiver.mailbox(f"tokens-{uuid4()}")

    async def answer(_request: web.Request, _number: int) -> web.Response:
        return web.json_response({"access_token": secrets.new(), "expires_in": 60, "refresh_token": secrets.new()})

    mailbox.answering = answer
    return mailbox


def test_Z_05_of_exchange_notifications(
    installation: Installation, secrets: Secrets, mailbox: Mailbox, token_server: Mailbox
) -> None:
    account = exchange_account(installation.gateway)
    publisher = account.endpoint(source=True, identifiers=("email",))
    consumer = account.endpoint(destination={"enabled": True, "destinationType": "pull"})
    codes = [f"code-{uuid4()}" for _ in range(4)]
    for code in codes:
        publisher.register(code).raise_for_status()
    ways: list[dict[str, Any]] = [
        {"authType": "APIKey", "APIKey": secrets.new()},
        {"authType": "Basic", "userId": "me", "password": secrets.new()},
        {"authType": "OAuth", "clientID": "me", "clientSecret": secrets.new(), "refreshToken": secrets.new()},
        {"authType": "OAuthRefreshTokenOnly", "supplierKey": "me", "refreshToken": secrets.new()},
    ]
    mailbox.answers = [403, 200]
    with publisher.client() as http:
        for number, (way, code) in enumerate(zip(ways, codes, strict=True), 1):
            authentication = way | {"authURL": token_server.url}
            body = {"notificationURL": mailbox.url, "authentication": authentication}
            assert secrets.note(http.put(NOTIFICATION, json=body)).status_code == 200
            refused = {"notificationURL": "nowhere", "authentication": authentication}
            assert secrets.note(http.put(NOTIFICATION, json=refused)).status_code == 400
            twisted = {"notificationURL": mailbox.url, "authentication": [authentication]}
            assert secrets.note(http.put(NOTIFICATION, json=twisted)).status_code == 400
            account.subscribe(consumer, publisher, code)
            mailbox.wait(number)
        secrets.note(http.get("/v1/endpoint"))
        secrets.note(http.delete(NOTIFICATION))
    assert any(secrets.mark in request.headers["authorization"] for request in mailbox.received)
    _look_around(installation.gateway, account.workspace, secrets)
    secrets.check(installation.gateway.directory)


def test_Z_05_of_eventhos_actions(
    installation: Installation, secrets: Secrets, mailbox: Mailbox, token_server: Mailbox
) -> None:
    eventhos = eventhos_on(installation.gateway)
    log = EventLog(eventhos=eventhos, event=eventhos.event())
    oauth = {"securityType": 1, "securityUrl": token_server.url, "clientId": "me", "clientSecret": secrets.new()}
    action = eventhos.action(log.event.system, mailbox.url, **oauth)
    eventhos.contract(log.event, action)
    # A sender's credential is not to be found in what is kept of its request.
    keyed = {"access-key": log.event.token, "authorization": f"Bearer {secrets.new()}"}
    assert eventhos.send(log.event, headers=keyed, params={"access-key": log.event.token}).status_code == 200
    (request,) = mailbox.wait()
    assert secrets.mark in request.headers["authorization"]
    (detail,) = log.details("processed")
    execution = log.execution(detail)
    assert log.event.token not in json.dumps(execution)
    row = log.row("processed")
    for path in ("/action", f"/action/{action}", f"/system/{log.event.system}/actions", f"/event/received/{row['id']}"):
        answer = secrets.note(log.get(path, itemsPerPage=1000))
        assert log.event.token not in answer.text
    secrets.answers.append(json.dumps(execution))
    with eventhos.manager() as http:
        body = {"system_id": log.event.system, "securityType": "x", "clientSecret": secrets.new()}
        assert secrets.note(http.post("/action", json=body)).status_code == 400
        secrets.note(http.post("/auth/token", data={"grant_type": "other", "client_secret": secrets.new()}))
        secrets.note(http.get(f"/auth/client/{log.event.client.id}/secret"))
        assert log.event.client.secret not in http.get("/auth/client", params={"itemsPerPage": 1000}).text
    secrets.check(installation.gateway.directory)


def test_Z_05_of_our_own_endpoints(
    installation: Installation, secrets: Secrets, mailbox: Mailbox, token_server: Mailbox
) -> None:
    workspace = installation.gateway.create_workspace()
    code = f"Code{uuid4().hex}"
    authorization = {
        "type": "client_credentials",
        "user": "me",
        "secret": secrets.new(),
        "token_url": token_server.url,
    }
    mailbox.answers = [401, 500, 200]
    with installation.gateway.client(params={"workspace": workspace}) as admin:
        admin.post("/headrace/v1/event-types", json={"code": code, "open": True}).raise_for_status()
        hook = {
            "name": "hook",
            "url": mailbox.url,
            "headers": {"X-Api-Key": secrets.new()},
            "authorization": authorization,
            "retry_schedule": [5, 5, 5],
        }
        endpoint = secrets.note(admin.post("/headrace/v1/endpoints", json=hook)).raise_for_status().json()["id"]
        chosen = admin.post("/headrace/v1/filters", json={"name": "all", "types": [{"code": code}]})
        link = {"filter": chosen.raise_for_status().json()["id"], "endpoint": endpoint}
        admin.post("/headrace/v1/subscriptions", json=link).raise_for_status()
        twisted = hook | {"authorization": {"type": "basic", "secret": [secrets.new()]}, "url": secrets.new()}
        assert secrets.note(admin.post("/headrace/v1/endpoints", json=twisted)).status_code == 400
        event = {"specversion": "1.0", "type": code}
        headers = {"Content-Type": "application/cloudevents+json"}
        sent = admin.post("/headrace/v1/events", json=event, headers=headers).raise_for_status().json()
        # The first attempt is two requests: a 401 has the token fetched anew.
        mailbox.wait(3)
        deadline = time.monotonic() + 120
        while len(_attempts(admin, sent["id"])) < 2:
            assert time.monotonic() < deadline, "the attempts are in the ledger"
            time.sleep(0.1)
    assert secrets.mark in mailbox.received[-1].headers["authorization"]
    assert secrets.mark in mailbox.received[-1].headers["x-api-key"]
    _look_around(installation.gateway, workspace, secrets, f"/events/{sent['id']}", f"/endpoints/{endpoint}")
    secrets.check(installation.gateway.directory)


def test_Z_05_of_callers(installation: Installation, secrets: Secrets) -> None:
    """Their keys and tokens are in no log, even where they are a part of the URL."""
    gateway = installation.gateway
    _, key = gateway.create_client(gateway.create_workspace(), "producer", realm="crmls")
    token = crmls_token(gateway, key)
    wrong = {"apiKey": secrets.new(), "access-key": secrets.new(), "access_token": secrets.new()}
    with gateway.client(secrets.new()) as http:
        for method, path in (
            ("POST", "/api/token"),
            ("POST", "/event/send"),
            ("GET", "/event"),
            ("POST", "/api/app/events"),
            ("GET", "/v1/eventtype"),
            ("GET", "/events/provision"),
            ("POST", "/event-service/graphql"),
            ("GET", "/headrace/v1/events"),
            ("GET", "/nothing"),
        ):
            answer = secrets.note(http.request(method, path, params=wrong | {"event-identifier": "x"}))
            assert 400 <= answer.status_code < 500
    secrets.check(gateway.directory)
    for log in gateway.directory.glob("*.log"):
        text = log.read_text()
        assert key not in text
        assert token not in text


def _attempts(admin: httpx.Client, event: str) -> list[Any]:
    answer = admin.get(f"/headrace/v1/events/{event}")
    if answer.status_code == 404:
        return []
    return [attempt for delivery in answer.raise_for_status().json()["deliveries"] for attempt in delivery["tries"]]


def _look_around(gateway: RunningGateway, workspace: str, secrets: Secrets, *paths: str) -> None:
    with gateway.client(params={"workspace": workspace}) as admin:
        for path in ("/endpoints", "/filters", "/subscriptions", "/clients", "/event-types", "/events", *paths):
            secrets.note(admin.get(f"/headrace/v1{path}")).raise_for_status()
