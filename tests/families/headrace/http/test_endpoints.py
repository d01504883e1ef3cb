"""How our own API shows endpoints, by what the connectors found of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from backbone.catalog.view import CatalogView
from backbone.kafka.settings import KafkaSettings
from backbone.slices import Slices
from connectors.webhook.endpoint_states import EndpointStates
from families.http import families
from ingest_api.management.app import create_control_app
from schemas.model import timestamps
from schemas.model.access import Client, Role
from schemas.model.endpoint import Authorization, AuthorizationType, Endpoint, EndpointType
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ingest_api.gateway import Gateway

ENDPOINTS = "/headrace/v1/endpoints"
AUTHORIZATION = {
    "type": "basic",
    "user": "u",
    "token_url": None,
    "scope": None,
    "audience": None,
    "parameters": {},
}
"""Without its secret."""

ENABLED = {"status": "enabled", "reason": None, "since": None, "until": None}


class Double:
    """A gateway with a catalog of its own and one caller; ``away``: Kafka does not say what connectors found."""

    def __init__(self) -> None:
        self.authenticator = self
        self.slices = Slices()
        self.found = EndpointStates(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
        self.away = False
        self._view = CatalogView()
        self._caller = Client(id="c", workspace="w", name="c", roles=(Role.OPERATOR,), created_at=1, updated_at=1)

    def put(self, endpoint_id: str, *, enabled: bool = True) -> Endpoint:
        at = len(self._view) + 1
        made = Endpoint(
            id=endpoint_id,
            workspace="w",
            name=endpoint_id,
            type=EndpointType.WEB_HOOK,
            url="https://example.com/hook",
            headers={"X-Team": "a"},
            sealed_headers={"X-Api-Key": "sealed"},
            authorization=Authorization(type=AuthorizationType.BASIC, user="u", secret="sealed"),
            enabled=enabled,
            created_at=at,
            updated_at=at,
        )
        self._view.put(made, at)
        return made

    async def by_bearer_key(self, _: bytes | None) -> Client:
        return self._caller

    async def workspace(self, caller: Client, _: str | None) -> str:
        return caller.workspace

    async def view(self) -> CatalogView:
        return self._view

    async def endpoint_states(self) -> EndpointStates:
        if self.away:
            raise Unavailable("Kafka does not answer in time.")
        return self.found


@pytest.fixture
def gateway() -> Double:
    return Double()


@pytest.fixture
async def http(gateway: Double) -> AsyncIterator[httpx.AsyncClient]:
    app = create_control_app(families(), cast("Gateway", gateway), version="1", hot_methods=lambda _: ())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway") as client:
        yield client


async def test_each_endpoint_is_shown_with_how_it_stands(gateway: Double, http: httpx.AsyncClient) -> None:
    now = timestamps.now()
    until = now // 1_000 + 60_000
    states: dict[str, dict[str, Any]] = {
        "sound": ENABLED,
        "off": ENABLED | {"status": "disabled", "reason": "`enabled` is false"},
        "gone": ENABLED | {"status": "disabled", "reason": "it is gone", "since": timestamps.to_text(now)},
        "slow": {
            "status": "paused",
            "reason": "the endpoint answered 429 or 503 with Retry-After",
            "since": timestamps.to_text(now),
            "until": timestamps.to_text(until * 1_000),
        },
    }
    for name in states:
        made = gateway.put(name, enabled=name != "off")
    gateway.found.disable("gone", "it is gone", now)
    gateway.found.pause(made, until, now)

    listed = (await http.get(ENDPOINTS)).json()["items"]

    assert {one["id"]: one["state"] for one in listed} == states
    for one in listed:
        assert (await http.get(f"{ENDPOINTS}/{one['id']}")).json() == one
        assert one["enabled"] is (one["id"] != "off")
        assert one["headers"] == {"X-Team": "a", "X-Api-Key": "[hidden]"}
        assert one["authorization"] == AUTHORIZATION


async def test_a_list_may_be_of_those_with_one_status(gateway: Double, http: httpx.AsyncClient) -> None:
    for name in ("a", "b", "c", "d"):
        gateway.put(name)
    for name in ("b", "d"):
        gateway.found.disable(name, "gone", timestamps.now())

    first = (await http.get(ENDPOINTS, params={"status": "disabled", "limit": 1})).json()
    last = (await http.get(ENDPOINTS, params={"status": "disabled", "cursor": first["next_cursor"]})).json()
    refused = await http.get(ENDPOINTS, params={"status": "gone"})

    assert [one["id"] for one in first["items"]] == ["b"]
    assert [one["id"] for one in last["items"]] == ["d"]
    assert last["next_cursor"] is None
    assert refused.status_code == 400
    assert [one["path"] for one in refused.json()["errors"]] == ["status"]


async def test_no_endpoint_passes_for_enabled_while_kafka_cannot_say_so(
    gateway: Double, http: httpx.AsyncClient
) -> None:
    gateway.put("e")
    gateway.away = True
    for path in (ENDPOINTS, f"{ENDPOINTS}/e"):
        answer = await http.get(path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await http.get(f"{ENDPOINTS}/unknown")).status_code == 404
