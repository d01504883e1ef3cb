"""How the topic of an event type keeps events: for how long, whether it is compacted, and by which partition key."""

from __future__ import annotations

import functools
from typing import Annotated

from fastapi import APIRouter
from msgspec import UNSET
from pydantic import BaseModel, ConfigDict, Field

from backbone.operations.topic_settings import TopicSettings
from families.headrace.http.group_questions import group_questions
from ingest_api.management.dependencies import Caller, TheGateway, Workspace
from ingest_api.management.models import Change, example
from schemas.model.errors import InvalidRequest, NotFound
from schemas.security.permissions import Operation, check

router = APIRouter(tags=["Operations"])

_LONGEST = 100 * 366 * 86_400

_SECONDS_FOR_GROUPS = 2.0
"""In which Kafka is asked for offsets, and for groups that have not read what is deleted."""


class TopicChangeInput(Change):
    """How the topic shall be kept."""

    model_config = example(retention_seconds=604_800, dry_run=True)

    retention_seconds: Annotated[int, Field(ge=60, le=_LONGEST)] | None = None
    compacted: Annotated[bool | None, Field(description="Keep the last event of each key for ever instead.")] = None
    partition_key: Annotated[
        str | None,
        Field(description="Of new events: `source`, `data.<attribute>`, `identifier.<name>`, or null for none."),
    ] = None
    dry_run: Annotated[bool, Field(description="Only say what it would do.")] = False


class KeptOutput(BaseModel):
    """How a topic is kept."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    retention_seconds: Annotated[int | None, Field(description="null: for ever.")]
    compacted: bool
    partition_key: str | None


class TopicChangeOutput(BaseModel):
    """What a change of how a topic is kept does, or would do."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    dry_run: bool = False
    topic: str
    before: KeptOutput
    after: KeptOutput
    lost_records: Annotated[
        dict[int, int] | None, Field(description="Offsets that are older than the new retention, by partition.")
    ]
    unread: Annotated[
        dict[str, int] | None,
        Field(description="Groups that have not read all of those, and how many not; null: Kafka does not say now."),
    ]
    notes: list[str]


@router.patch("/operations/topics/{topic}", summary="Change how a topic is kept")
async def change_topic(
    gateway: TheGateway, caller: Caller, workspace: Workspace, topic: str, body: TopicChangeInput
) -> TopicChangeOutput:
    """For operators; of event types only. Of a shorter retention the answer says what it deletes.

    What Kafka has deleted cannot be had back: look at a dry run first. Another partition key is that of new events, and
    nothing that is there moves. 409 while the topic grows, and for a compacted one.
    """
    check(caller, Operation.OPERATE)
    event_type = (await gateway.view()).event_type(topic)
    if event_type is None or event_type.workspace != workspace:
        raise NotFound(f"There is no event type with the topic {topic}.")
    has_key = "partition_key" in body.model_fields_set
    if body.retention_seconds is None and body.compacted is None and not has_key:
        raise InvalidRequest("Nothing is to be changed: say retention_seconds, compacted or partition_key.")
    settings = TopicSettings(gateway.clients.admin, gateway.writer)
    plan = functools.partial(
        settings.plan,
        gateway.catalog.view,
        event_type,
        retention=body.retention_seconds,
        compacted=body.compacted,
        partition_key=body.partition_key if has_key else UNSET,
        seconds=_SECONDS_FOR_GROUPS,
    )
    change = await gateway.in_time(gateway.kept(group_questions).ask(plan))
    if not body.dry_run:
        await gateway.in_time(settings.apply(topic, change))
    return TopicChangeOutput.model_validate(change).model_copy(update={"dry_run": body.dry_run})
