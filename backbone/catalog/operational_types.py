"""The event types of operational events: a workspace gets them when somebody asks for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from schemas.model.operational_event import ATTRIBUTES, NAMESPACE, topic_of

if TYPE_CHECKING:
    from backbone.catalog.event_types import EventTypes
    from backbone.catalog.reader import Catalog

_KEY = "data.endpoint"
"""What is told of one endpoint comes in order."""


async def have_operational_types(catalog: Catalog, event_types: EventTypes, workspace: str) -> None:
    """See that a workspace has the types of operational events; connectors publish them as soon as it has.

    Raises:
        NotFound: there is no such workspace.
        AlreadyExists: a client of an earlier release registered one of these types with other attributes.
        Unavailable: Kafka does not answer.
    """
    await catalog.caught_up()
    await asyncio.gather(
        *(
            event_types.register(
                None,
                workspace,
                NAMESPACE,
                code.value,
                attributes=attributes,
                partition_key=_KEY,
                partitions=1,
                operational=True,
            )
            for code, attributes in ATTRIBUTES.items()
            if catalog.view.event_type(topic_of(workspace, code)) is None
        )
    )
