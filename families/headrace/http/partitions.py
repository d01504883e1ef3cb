"""More partitions for a topic: the preview of a growth, its beginning, and how far it is."""

from __future__ import annotations

import functools
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from backbone.kafka.our_groups import OurGroups
from backbone.operations.growth_preview import GrowthPreview, preview
from backbone.operations.growths import Growths, check_growth
from backbone.operations.internal_growths import InternalGrowths, check_internal_growth, internal_preview
from families.headrace.http.group_questions import group_questions
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Caller, Readable, TheGateway, Workspace, existing
from ingest_api.management.models import Input, Output, example
from schemas.model.access import Role
from schemas.model.event_type import EventType
from schemas.model.growth import GrowthOrder, GrowthState
from schemas.security.permissions import Operation, check, require

router = APIRouter(tags=["Operations"])

_SECONDS_FOR_GROUPS = 3.0
"""In which a preview asks Kafka who reads a topic."""


class PartitionsInput(Input):
    """How many partitions a topic shall have."""

    model_config = example(partitions=12, order="keep", dry_run=True)

    partitions: Annotated[int, Field(ge=1, le=1_000)]
    order: Annotated[
        GrowthOrder,
        Field(
            description="`keep`: nothing can be published to the event type until what was published before has been "
            "routed, so no event overtakes an earlier one of its key. `as_is`: keys move at once."
        ),
    ] = GrowthOrder.KEEP
    dry_run: Annotated[bool, Field(description="Only say what it would do.")] = False


class FrozenOutput(BaseModel):
    """How long nothing can be published to the event type, in seconds."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    at_least: float
    at_most: float


class PartitionsPreview(BaseModel):
    """What a growth would do."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    dry_run: Literal[True] = True
    topic: str
    effective_partitions: Annotated[int, Field(description="That events go to now.")]
    partitions: Annotated[int, Field(description="That they would go to.")]
    order: GrowthOrder
    moved_share: Annotated[float, Field(description="Part of all keys that would go to another partition, 0 to 1.")]
    frozen: Annotated[FrozenOutput | None, Field(description="For how long; null: not at all.")]
    waits_for: Annotated[list[str], Field(description="Groups of Headrace that would read on first.")]
    not_controlled: Annotated[
        list[str] | None, Field(description="Groups of others that read the topic; null: Kafka does not say now.")
    ]
    notes: list[str]


class GrowthOutput(Output):
    """A growth that is under way, or has ended."""

    id: str
    topic: str
    before: Annotated[int, Field(description="Partitions that events went to.")]
    partitions: Annotated[int, Field(description="That they go to once it is `DONE`.")]
    order: GrowthOrder
    state: GrowthState
    reason: Annotated[str | None, Field(description="Why it was rolled back.")]
    requested_by: str


class InternalGrowthOutput(BaseModel):
    """A topic of Headrace itself that has grown."""

    topic: str
    partitions: int
    state: GrowthState = GrowthState.DONE


@router.post(
    "/operations/topics/{topic}/partitions",
    status_code=202,
    summary="Give a topic more partitions",
    responses={200: {"model": PartitionsPreview, "description": "What it would do: a dry run."}},
)
async def grow_topic(
    gateway: TheGateway, caller: Caller, workspace: Workspace, topic: str, body: PartitionsInput, response: Response
) -> PartitionsPreview | GrowthOutput | InternalGrowthOutput:
    """For operators; administrators grow `deliveries.webhook`, `deliveries.file` and `attempts` too.

    With `order` `keep` the growth goes on by itself: `GET …/growth` says how far it is. While it is under way,
    publishers of the event type get 503 with `Retry-After`. If the groups of Headrace do not read on in time it is
    rolled back, and events go to the former partitions. To ask for the same growth again changes nothing.
    """
    check(caller, Operation.OPERATE)
    event_type = (await gateway.view()).event_type(topic)
    if event_type is None or event_type.workspace != workspace:
        return await _grow_internal(gateway, caller, topic, body, response)
    if body.dry_run:
        check_growth(gateway.catalog.view, event_type, body.partitions, body.order, gateway.writer.bounds)
        response.status_code = 200
        question = functools.partial(_preview, gateway, event_type, body)
        found = await gateway.in_time(gateway.kept(group_questions).ask(question))
        return PartitionsPreview.model_validate(found)
    growths = Growths(gateway.catalog, gateway.writer, gateway.clients.admin)
    growth = await gateway.in_time(growths.begin(topic, body.partitions, body.order, caller.id))
    return GrowthOutput.model_validate(growth)


@router.get("/operations/topics/{topic}/growth", summary="Get the growth of a topic")
async def get_growth(caller: Caller, readable: Readable, topic: str) -> GrowthOutput:
    """The growth that is under way, or the last one; 404 where there was none."""
    require(caller, Role.VIEWER, Role.OPERATOR)
    growth = readable.growth(topic)
    return GrowthOutput.model_validate(existing(growth, f"growth of {topic}"))


@router.post("/operations/topics/{topic}/growth/cancel", summary="Cancel the growth of a topic")
async def cancel_growth(gateway: TheGateway, caller: Caller, workspace: Workspace, topic: str) -> GrowthOutput:
    """For operators. A growth that is `FREEZING` or `DRAINING` becomes `ROLLED_BACK`, and events are accepted again.

    They go to the former partitions. A growth that has ended is answered with 409; without one it is 404.
    """
    check(caller, Operation.OPERATE)
    found = (await gateway.view()).growth(topic)
    existing(found if found is not None and found.workspace == workspace else None, f"growth of {topic}")
    growths = Growths(gateway.catalog, gateway.writer, gateway.clients.admin)
    return GrowthOutput.model_validate(await gateway.in_time(growths.cancel(topic, caller.id)))


async def _grow_internal(
    gateway: Gateway, caller: Caller, topic: str, body: PartitionsInput, response: Response
) -> PartitionsPreview | InternalGrowthOutput:
    growths = InternalGrowths(gateway.clients.admin)
    present = await gateway.in_time(growths.existing(topic))
    require(caller)
    check_internal_growth(topic, body.partitions, present, body.order)
    if not body.dry_run:
        await gateway.in_time(growths.grow(topic, body.partitions, body.order))
        return InternalGrowthOutput(topic=topic, partitions=body.partitions)
    response.status_code = 200
    return PartitionsPreview.model_validate(internal_preview(topic, present, body.partitions))


def _preview(gateway: Gateway, event_type: EventType, body: PartitionsInput) -> GrowthPreview:
    return preview(
        gateway.catalog.view,
        event_type,
        body.partitions,
        body.order,
        settings=gateway.settings.kafka,
        ours=OurGroups(),
        seconds=_SECONDS_FOR_GROUPS,
    )
