"""Who may let whom into which realtime channel."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from backbone.realtime_tokens import RealtimeTokens
from tests.support.running_gateway import TOKEN_SECRET

if TYPE_CHECKING:
    import httpx

    from tests.support.running_gateway import RunningGateway

CONNECTION, SUBSCRIPTION = "/headrace/v1/realtime/connection-token", "/headrace/v1/realtime/subscription-token"

tokens = RealtimeTokens(TOKEN_SECRET)


def endpoint(api: httpx.Client, kind: str = "WEB_SOCKET") -> str:
    body = {"name": "screen", "type": kind} | ({"url": "https://example.com/"} if kind == "WEB_HOOK" else {})
    return str(api.post("/headrace/v1/endpoints", json=body).raise_for_status().json()["id"])


@pytest.fixture
def workspace(gateway: RunningGateway) -> str:
    return gateway.create_workspace()


def test_a_subscriber_lets_into_its_own_endpoint(gateway: RunningGateway, workspace: str) -> None:
    client_id, key = gateway.create_client(workspace, "subscriber")
    with gateway.client(key) as api:
        channel = f"endpoint:{endpoint(api)}"

        connection = api.post(CONNECTION, json={"channels": [channel], "lifetime": 60}).raise_for_status().json()
        subscription = api.post(SUBSCRIPTION, json={"channel": channel, "user": "u1"}).raise_for_status().json()

    connecting = tokens.connection(connection["token"])
    assert (connecting.user, connecting.issuer, connecting.workspace) == (client_id, client_id, workspace)
    assert connecting.channels == (channel,)
    subscribing = tokens.subscription(subscription["token"])
    assert (subscribing.user, subscribing.workspace, subscribing.channel) == ("u1", workspace, channel)
    assert connection["expires_at"] < subscription["expires_at"]


def test_nobody_lets_into_what_is_not_its_own(gateway: RunningGateway, workspace: str) -> None:
    _, owner = gateway.create_client(workspace, "subscriber")
    _, other = gateway.create_client(workspace, "subscriber")
    _, stranger = gateway.create_client(gateway.create_workspace(), "operator")
    _, producer = gateway.create_client(workspace, "producer")
    _, operator = gateway.create_client(workspace, "operator")
    with gateway.client(owner) as api:
        channel = f"endpoint:{endpoint(api)}"
        webhook = f"endpoint:{endpoint(api, 'WEB_HOOK')}"

    def status(key: str, channel: str) -> list[int]:
        with gateway.client(key) as api:
            return [
                api.post(CONNECTION, json={"channels": [channel]}).status_code,
                api.post(SUBSCRIPTION, json={"channel": channel}).status_code,
            ]

    assert status(owner, channel) == [200, 200]
    assert status(operator, channel) == [200, 200]
    assert status(other, channel) == [404, 404]
    assert status(stranger, channel) == [404, 404]
    assert status(producer, channel) == [403, 403]
    assert status(owner, webhook) == [404, 404]
    assert status(owner, f"endpoint:{uuid.uuid4()}") == [404, 404]
    assert status(owner, "orders:7") == [403, 403]
    assert status(operator, "orders:7") == [200, 200]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CONNECTION, {"lifetime": 0}),
        (CONNECTION, {"channels": [""]}),
        (CONNECTION, {"nonsense": 1}),
        (SUBSCRIPTION, {}),
        (SUBSCRIPTION, {"channel": "x" * 256}),
    ],
)
def test_bad_requests(gateway: RunningGateway, path: str, body: dict[str, Any]) -> None:
    with gateway.client() as api:
        answer = api.post(path, json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_realtime_token_is_worth_nothing_elsewhere(gateway: RunningGateway) -> None:
    with gateway.client() as api:
        token = api.post(CONNECTION, json={}).raise_for_status().json()["token"]
    with gateway.client(token) as api:
        assert api.post("/api/app/events", json={}).status_code == 401
        assert api.get("/headrace/v1/endpoints").status_code == 401


def test_a_template_is_checked_when_the_endpoint_is_made(gateway: RunningGateway) -> None:
    body = {"name": "screen", "type": "WEB_SOCKET", "options": {"channel": "{nope}"}}
    with gateway.client() as api:
        refused = api.post("/headrace/v1/endpoints", json=body)
    assert refused.status_code == 400
    assert "$.options.channel" in refused.text
