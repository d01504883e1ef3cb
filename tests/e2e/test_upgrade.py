"""Installations of earlier versions: without MACs, and with client ids that are unique in the installation."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
import jwt

from backbone.catalog import records
from backbone.kafka.producer import Producer
from backbone.kafka.settings import KafkaSettings
from schemas.model.access import Client, Role
from tests.support import running_gateway as gateways
from tests.support.credentials import crmls_token
from tests.support.running_gateway import running_gateway

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.running_gateway import RunningGateway

_BEFORE = (
    "from backbone.catalog.authenticity import Authenticity\n"
    "Authenticity.judge = lambda self, message: None\n"
    "Authenticity.sign = lambda self, records: list(records)\n"
    "Authenticity.is_ours = lambda self, message: True\n"
    "async def nothing(*_): ...\n"
    "import ingest_api.gateway\n"
    "ingest_api.gateway.take_over = nothing\n"
)
"""Makes of this version one that neither signs nor looks for signatures."""

_UNIQUE_IDS = (
    "import backbone.catalog.new_clients as new_clients\n"
    "from schemas.model.access import Client\n"
    "new_clients.Client = lambda **said: Client(**{**said, 'identity': '', 'tokens_from': 0})\n"
)
"""Makes of this version one that knows a client by its id alone."""

EVENT = {"eventName": "e", "eventTime": "2024-01-01T00:00:00Z", "messageType": "Offer", "message": {}}
ORDER = {"specversion": "1.0", "id": "1", "type": "Order", "source": "/s", "data": {}}
CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}
KEYED = {"Idempotency-Key": "k"}


async def forge(bootstrap: str, client: Client) -> None:
    producer = Producer(KafkaSettings(bootstrap_servers=bootstrap))
    await producer.start()
    await producer.send([records.resource_record(client, "forged")])
    await producer.stop()


def test_keys_roles_and_subscriptions_outlive_the_upgrade_and_forged_records_do_not(
    own_broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(gateways, "START", _BEFORE + _UNIQUE_IDS + gateways.START)
        with running_gateway(own_broker, tmp_path) as old:
            workspace = old.create_workspace()
            client, key = old.create_client(workspace, "producer", "viewer")
            with old.client(params={"workspace": workspace}) as admin:
                for what, body in (
                    ("event-types", {"code": "Order", "open": True}),
                    ("endpoints", {"name": "hook", "url": "https://example.org/"}),
                    ("filters", {"name": "all", "types": [{"code": "Order"}]}),
                ):
                    admin.post(f"/headrace/v1/{what}", json=body).raise_for_status()
    with running_gateway(own_broker, tmp_path) as new:
        log = next(tmp_path.glob(f"ingest-{httpx.URL(new.url).port}.log"))
        assert "UPGRADE: the catalog's records have no MAC" in log.read_text()
        assert "default/admin" in log.read_text()
        with new.client(key) as http:
            for what in ("endpoints", "filters", "event-types"):
                assert len(http.get(f"/headrace/v1/{what}").raise_for_status().json()["items"]) == 1
            assert http.get("/headrace/v1/workspaces").json()["items"][0]["name"] == workspace

            mallory = Client(id=client, workspace=workspace, name="m", roles=(Role.ADMIN,), created_at=0, updated_at=0)
            asyncio.run(forge(own_broker, mallory))
            deadline = time.monotonic() + 60
            while "headrace_ingest_catalog_forged_total 1.0" not in http.get("/metrics").text:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert http.post("/headrace/v1/workspaces", json={"name": "mine"}).status_code == 403
        assert "ALERT: a catalog record does not count" in log.read_text()


def test_clients_of_before_go_on_beside_namesakes_in_other_workspaces(
    own_broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {realm: f"{realm}-of-before" for realm in ("headrace", "crmls", "exchange")}
    keys: dict[str, str] = {}
    with monkeypatch.context() as before:
        before.setattr(gateways, "START", _UNIQUE_IDS + gateways.START)
        with running_gateway(own_broker, tmp_path) as old:
            workspace = old.create_workspace()
            for realm, client in ids.items():
                keys[realm] = made(old, workspace, client, realm)
            token = crmls_token(old, keys["crmls"])
            first = used(old, keys, token)
            with old.client(keys["headrace"]) as http:
                body = {"name": "e", "type": "FILE"}
                endpoint = http.post("/headrace/v1/endpoints", json=body, headers=KEYED).raise_for_status().json()["id"]
    now = int(time.time()) - 60
    claims = {"nameid": ids["crmls"], "unique_name": ids["crmls"], "nbf": now, "iat": now, "exp": now + 3_600}
    unbound = jwt.encode(claims, gateways.TOKEN_SECRET, algorithm="HS256")
    with running_gateway(own_broker, tmp_path) as new:
        other = new.create_workspace()
        with new.client(params={"workspace": other}) as admin:
            body = {"name": "operator", "roles": ["operator"], "id": ids["headrace"]}
            admin.post("/headrace/v1/clients", json=body).raise_for_status()
            operator = admin.post(f"/headrace/v1/clients/{ids['headrace']}/keys").raise_for_status().json()["key"]
        with new.client(operator) as http:
            for realm in ("crmls", "exchange"):
                body = {"name": "n", "id": ids[realm], "realm": realm}
                http.post("/headrace/v1/clients", json=body).raise_for_status()
        # Of before are the keys of requests and events, the tokens, the resources and the records.
        assert used(new, keys, token) == first
        with new.client(unbound) as http:
            assert http.post("/api/app/events", json=EVENT).status_code == 200
        with new.client(keys["headrace"]) as http:
            repeat = http.post("/headrace/v1/endpoints", json={"name": "e", "type": "FILE"}, headers=KEYED)
            assert repeat.json()["id"] == endpoint
        with new.client(keys["exchange"]) as http:
            assert http.get("/v1/eventfiles").status_code == 200
        with new.client(operator) as http:
            assert http.get(f"/headrace/v1/endpoints/{endpoint}").status_code == 404
            for client in reversed(ids.values()):
                http.delete(f"/headrace/v1/clients/{client}").raise_for_status()
        assert used(new, keys, token) == first
        with new.client(params={"workspace": workspace}) as admin:
            changed = admin.patch(f"/headrace/v1/clients/{ids['crmls']}", json={"disabled": True})
            assert changed.raise_for_status().json()["disabled"] is True
    with running_gateway(own_broker, tmp_path) as again:
        with again.client(token) as http:
            assert http.post("/api/app/events", json=EVENT).status_code == 401
        with again.client(params={"workspace": workspace}) as admin:
            admin.patch(f"/headrace/v1/clients/{ids['crmls']}", json={"disabled": False}).raise_for_status()
        assert used(again, keys, token) == first


def made(gateway: RunningGateway, workspace: str, client: str, realm: str) -> str:
    """A client with this id; its key."""
    with gateway.client(params={"workspace": workspace}) as admin:
        body = {"name": client, "id": client, "realm": realm, "roles": ["producer", "subscriber"]}
        admin.post("/headrace/v1/clients", json=body).raise_for_status()
        key: str = admin.post(f"/headrace/v1/clients/{client}/keys").raise_for_status().json()["key"]
    return key


def used(gateway: RunningGateway, keys: dict[str, str], token: str) -> list[str]:
    """What publishing with the same keys is answered: the ids of the events."""
    with gateway.client(keys["headrace"]) as http:
        http.post("/headrace/v1/registrations", json={"code": "Order", "open": True}).raise_for_status()
        event = http.post("/headrace/v1/events", json=ORDER, headers=CLOUDEVENT).raise_for_status().json()["id"]
    with gateway.client(keys["exchange"]) as http:
        pull = {"event": {"destination": {"enabled": True, "destinationType": "pull"}}}
        http.put("/v1/endpoint", json={"name": "e", "endpointTypes": pull}).raise_for_status()
    with gateway.client(token) as http:
        posted = http.post("/api/app/events", json=EVENT, headers=KEYED).raise_for_status().json()
    return [event, posted["id"], posted["sourceAccount"]]
