"""Resets of the offsets of consumer groups."""

from __future__ import annotations

import functools
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from backbone.kafka.our_groups import OurGroups
from backbone.operations.group_resets import GroupResets, Target
from families.headrace.http.group_questions import group_questions
from ingest_api.management.dependencies import Caller, TheGateway, Workspace
from ingest_api.management.models import Input, Instant, example
from schemas.model.access import Role
from schemas.security.permissions import Operation, check

router = APIRouter(tags=["Operations"])

_SECONDS = 4.0
"""For Kafka to tell of the group, and to commit."""


class TargetInput(Input):
    """Where to: one of these."""

    time: Annotated[Instant | None, Field(description="The first record at or after this time.")] = None
    offset: Annotated[int | None, Field(ge=0, description="This offset, or the nearest that there is.")] = None
    shift: Annotated[int | None, Field(description="So many records on, or back if negative.")] = None
    earliest: bool = False
    latest: bool = False


class OffsetsInput(Input):
    """Where a group shall read on."""

    model_config = example(to={"time": "2026-01-31T08:00:00Z"}, dry_run=True)

    to: TargetInput
    topics: Annotated[
        tuple[str, ...] | None,
        Field(max_length=100, description="Only these; null: all that the group has committed offsets of."),
    ] = None
    partitions: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...] | None,
        Field(max_length=1_000, description="Only these of each topic; null: all."),
    ] = None
    dry_run: Annotated[bool, Field(description="Only say what the offsets would be.")] = False


class ResetPartitionOutput(BaseModel):
    """One partition."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    topic: str
    partition: int
    before: Annotated[int | None, Field(description="null: the group has committed nothing.")]
    after: int
    end_offset: int


class OffsetsOutput(BaseModel):
    """The offsets of a group before and after a reset, or a dry run."""

    group: str
    dry_run: bool
    partitions: list[ResetPartitionOutput]


@router.post("/operations/groups/{group:path}/offsets", summary="Reset the offsets of a group")
async def reset_offsets(
    gateway: TheGateway, caller: Caller, workspace: Workspace, group: str, body: OffsetsInput
) -> OffsetsOutput:
    """For operators, of the topics of their workspace; administrators reset all topics of a group.

    409 while the group has members: the answer names them. Groups of Headrace are refused, with the reason; that of the
    ledger can go back.
    """
    check(caller, Operation.OPERATE)
    view = await gateway.view()
    visible = None if Role.ADMIN in caller.roles else [each.topic for each in view.event_types(workspace)]
    target = Target(**body.to.model_dump())
    resets = GroupResets(gateway.settings.kafka, OurGroups())
    plan = functools.partial(
        resets.plan,
        group,
        target,
        topics=body.topics,
        partitions=body.partitions,
        visible=visible,
        seconds=_SECONDS,
    )
    questions = gateway.kept(group_questions)
    places = await gateway.in_time(questions.ask(plan))
    if not body.dry_run:
        reset = functools.partial(resets.reset, group, places, seconds=_SECONDS)
        await gateway.in_time(questions.ask(reset))
    partitions = [ResetPartitionOutput.model_validate(each) for each in places]
    return OffsetsOutput(group=group, dry_run=body.dry_run, partitions=partitions)
