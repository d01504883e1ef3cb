"""What is going on in Kafka: rates, sizes and lag of topics and consumer groups, and what is wrong."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from families.headrace.http.operations_models import (
    GroupDetails,
    GroupOutput,
    OperationsOverview,
    TopicDetails,
    TopicOutput,
)
from families.headrace.http.visible_figures import VisibleFigures
from ingest_api.management.dependencies import Caller, TheGateway
from ingest_api.management.pages import Cursor, Limit, Page, encode_model, page_answer
from schemas.model.access import Role
from schemas.model.errors import NotFound
from schemas.security.permissions import require
from schemas.security.reading import READERS

router = APIRouter(prefix="/operations", tags=["Operations"])


async def visible_to(
    gateway: TheGateway,
    caller: Caller,
    workspace: Annotated[
        str | None, Query(description="Administrators see all topics and groups, or those of one workspace.")
    ] = None,
) -> VisibleFigures:
    """The figures that the caller may see.

    Raises:
        PermissionDenied: it is a producer or a subscriber only, or asks for another workspace.
        NotFound: there is no such workspace.
        Unavailable: Kafka has not shown any figures yet.
    """
    require(caller, *READERS)
    seen = None
    if workspace is not None or Role.ADMIN not in caller.roles:
        seen = await gateway.workspace(caller, workspace)
    return VisibleFigures(await gateway.operations(), gateway.catalog.view, seen)


Visible = Annotated[VisibleFigures, Depends(visible_to)]


@router.get("", summary="What is going on")
async def get_overview(visible: Visible) -> OperationsOverview:
    """Totals, and problems with their causes and cures; `age_seconds` says how old the figures are."""
    return visible.overview()


@router.get("/topics", summary="List topics", response_model=Page[TopicOutput])
async def list_topics(
    gateway: TheGateway,
    visible: Visible,
    limit: Limit = 100,
    cursor: Cursor = None,
    prefix: Annotated[str, Query(description="Only topics whose names begin so.")] = "",
) -> Response:
    """Topics of event types, by name; for administrators, those of the planes too."""
    found = visible.topics(prefix)
    return await page_answer(
        gateway.slices, "topics", lambda each: encode_model(visible.topic_output(each)), found, limit, cursor
    )


@router.get("/topics/{topic}", summary="Get a topic")
async def get_topic(visible: Visible, topic: str) -> TopicDetails:
    """With its partitions, the groups that read it, and its hottest keys."""
    found = visible.topic(topic)
    if found is None:
        raise NotFound(f"There is no topic {topic}.")
    return visible.topic_details(found)


@router.get("/groups", summary="List consumer groups", response_model=Page[GroupOutput])
async def list_groups(
    gateway: TheGateway,
    visible: Visible,
    limit: Limit = 100,
    cursor: Cursor = None,
    topic: Annotated[str | None, Query(description="Only groups that read this topic.")] = None,
) -> Response:
    """Those of the planes and those of teams, by name, with their lag on the topics that may be seen."""
    found = visible.groups(topic)
    return await page_answer(
        gateway.slices, "groups", lambda each: encode_model(visible.group_output(each)), found, limit, cursor
    )


@router.get("/groups/{group:path}", summary="Get a consumer group")
async def get_group(visible: Visible, group: str) -> GroupDetails:
    """With what it has committed of each partition."""
    found = visible.group(group)
    if found is None:
        raise NotFound(f"There is no consumer group {group}.")
    return visible.group_details(found)
