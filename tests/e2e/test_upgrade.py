"""An installation whose catalog a version without MACs wrote, and the forged record that such a version obeys."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx

from backbone.catalog import records
from backbone.kafka.producer import Producer
from backbone.kafka.settings import KafkaSettings
from schemas.access import Client, Role
from tests import running_gateway as gateways
from tests.running_gateway import running_gateway

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_BEFORE = (
    "from backbone.catalog.authenticity import Authenticity\n"
    "Authenticity.judge = lambda self, message: None\n"
    "Authenticity.sign = lambda self, records: list(records)\n"
    "Authenticity.is_ours = lambda self, message: True\n"
    "async def nothing(*_): ...\n"
    "import ingest_api.state\n"
    "ingest_api.state.take_over = nothing\n"
)
"""Makes of this version one that neither signs nor looks for signatures."""


async def forge(bootstrap: str, client: Client) -> None:
    producer = Producer(KafkaSettings(bootstrap_servers=bootstrap))
    await producer.start()
    await producer.send([records.resource_record(client, "forged")])
    await producer.stop()


def test_keys_roles_and_subscriptions_outlive_the_upgrade_and_forged_records_do_not(
    own_broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(gateways, "START", _BEFORE + gateways.START)
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
