"""Subscriptions by the thousand, written to the catalog in one go: over the API it would take minutes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from backbone.catalog.reader import Catalog
from backbone.catalog.writer import CatalogWriter, Changes
from backbone.kafka.settings import KafkaSettings
from backbone.process.settings import BackboneSettings
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, Subscription, TypeSelection
from schemas.model.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.view import CatalogView
    from operations.bench.rig import Rig
    from schemas.model.event_type import EventType
    from schemas.model.resources import Resource

_TIMEOUT = 60.0
_PART = 4_000
"""Resources in one change."""


def crowd(rig: Rig, topic: str, size: int) -> None:
    """Subscribe so often to the events of a topic, each time to those of another customer that has none."""
    kafka = KafkaSettings(bootstrap_servers=rig.bootstrap)
    catalog = Catalog(kafka, BackboneSettings(data_dir=rig.home / "data").secret_keys)
    writer = CatalogWriter(catalog, kafka, timeout=_TIMEOUT)
    catalog.start()
    try:
        catalog.catch_up()
        writer.start()
        asyncio.run(_write(writer, _subscriptions(_type_of(catalog.view, topic), size)))
    finally:
        writer.stop()
        catalog.stop()


async def _write(writer: CatalogWriter, resources: Sequence[Resource]) -> None:
    """Write them in parts: one change has a limit of bytes."""
    for first in range(0, len(resources), _PART):
        changes = Changes(result=None, put=list(resources[first : first + _PART]))
        await writer.write(lambda _, changes=changes: changes)  # type: ignore[misc]  # the default binds this turn's


def _type_of(view: CatalogView, topic: str) -> EventType:
    return next(
        kind for workspace in view.workspaces() for kind in view.event_types(workspace.name) if kind.topic == topic
    )


def _subscriptions(of: EventType, size: int) -> list[Resource]:
    workspace, now = of.workspace, of.created_at
    endpoint = Endpoint(
        id=new_id(),
        workspace=workspace,
        name="crowd",
        type=EndpointType.WEB_HOOK,
        url="http://127.0.0.1:9/",
        created_at=now,
        updated_at=now,
    )
    put: list[Resource] = [endpoint]
    for number in range(size):
        event_filter = EventFilter(
            id=new_id(),
            workspace=workspace,
            name=f"crowd-{number}",
            types=(TypeSelection(namespace=of.namespace, code=of.code),),
            condition=json.dumps({"data": {"customerId": [f"nobody-{number}"]}}),
            created_at=now,
            updated_at=now,
        )
        subscription = Subscription(
            id=new_id(),
            workspace=workspace,
            event_filter=event_filter.id,
            endpoint=endpoint.id,
            created_at=now,
            updated_at=now,
        )
        put += [event_filter, subscription]
    return put
