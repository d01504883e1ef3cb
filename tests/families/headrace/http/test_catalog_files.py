"""Exports and imports that take longer than a request waits for Kafka."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from backbone.catalog.transfer import importing
from ingest_api.request_deadline import Patience
from tests.support.local_gateway import local_gateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

DEADLINE = 0.2


def longer(work: Callable[..., Any]) -> Callable[..., Any]:
    """What takes three deadlines more."""

    def slow(*args: Any, **named: Any) -> Any:
        time.sleep(3 * DEADLINE)
        return work(*args, **named)

    return slow


async def test_the_work_on_a_large_catalog_is_not_taken_for_a_wait_for_kafka(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await local_gateway(tmp_path, monkeypatch).begin()
    await gateway.workspace()
    monkeypatch.setattr(gateway.gateway, "_patience", Patience(DEADLINE))
    monkeypatch.setattr(importing, "exported", longer(importing.exported))
    monkeypatch.setattr(importing.documents, "read", longer(importing.documents.read))
    async with gateway.client() as admin:
        file = await admin.get("/headrace/v1/export", params={"all": "true"})
        assert file.status_code == 200, file.text
        for dry_run in ("true", "false"):
            done = await admin.post(
                "/headrace/v1/import",
                content=file.content,
                params={"all": "true", "dry_run": dry_run},
                headers={"Content-Type": "application/yaml"},
            )
            assert (done.status_code, done.json()["changes"]) == (200, []), done.text
