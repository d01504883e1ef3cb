"""Event files of `FILE` endpoints: the subscriber lists them, gets them, and deletes those that it has taken.

Each line of a file is one event as JSON. A file stays on the list until it is deleted.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from ingest_api.management.dependencies import Caller, SubscribersReadable, TheGateway, Workspace, existing, owned
from ingest_api.management.files import file_answer
from ingest_api.management.pages import Cursor, Limit
from schemas.model.cursors import read_cursor, write_cursor
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import InvalidRequest, NotFound, Problem
from schemas.security.permissions import Operation, owner_for

MEDIA_TYPE = "application/x-ndjson"

_ALL = 2**31

_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {}}, "description": "One JSON object a line, one event each."}
}

router = APIRouter(tags=["Event files"])


class EventFileOutput(BaseModel):
    """One event file."""

    name: str


class EventFilePage(BaseModel):
    """Files, the oldest first; ``next_cursor`` is null on the last page."""

    items: list[EventFileOutput]
    next_cursor: str | None = None


@router.get("/endpoints/{endpoint_id}/files", summary="List the event files of an endpoint")
def list_files(
    gateway: TheGateway, readable: SubscribersReadable, endpoint_id: str, limit: Limit = 100, cursor: Cursor = None
) -> EventFilePage:
    """Those that have not been deleted. A cursor is good until the last file of its page is deleted."""
    endpoint = _with_files(existing(readable.endpoint(endpoint_id), f"endpoint {endpoint_id}"))
    names = gateway.files.names(endpoint.id, _ALL)
    if cursor is not None:
        names = _after(names, read_cursor("files", cursor, tuple[str])[0])
    page = names[:limit]
    following = write_cursor("files", (page[-1],)) if len(names) > limit else None
    return EventFilePage(items=[EventFileOutput(name=each) for each in page], next_cursor=following)


@router.get(
    "/endpoints/{endpoint_id}/files/{name}",
    summary="Get an event file",
    response_class=StreamingResponse,
    responses=_CONTENT,
)
def get_file(gateway: TheGateway, readable: SubscribersReadable, endpoint_id: str, name: str) -> StreamingResponse:
    """Its content; the file stays on the list."""
    endpoint = _with_files(existing(readable.endpoint(endpoint_id), f"endpoint {endpoint_id}"))
    return file_answer(gateway.files.open(endpoint.id, name), MEDIA_TYPE)


async def _own(gateway: TheGateway, caller: Caller, workspace: Workspace, endpoint_id: str) -> Endpoint:
    owner = owner_for(caller, Operation.CHANGE_ROUTES)
    found = (await gateway.view()).endpoint_called(workspace, endpoint_id)
    return _with_files(owned(found, f"endpoint {endpoint_id}", workspace=workspace, owner=owner))


@router.delete("/endpoints/{endpoint_id}/files/{name}", status_code=204, summary="Delete an event file")
def delete_file(gateway: TheGateway, endpoint: Annotated[Endpoint, Depends(_own)], name: str) -> None:
    """Take it off the list for good: its events have been read."""
    gateway.files.delete(endpoint.id, name)


def _with_files(endpoint: Endpoint) -> Endpoint:
    if endpoint.type is not EndpointType.FILE:
        raise NotFound(f"Endpoint {endpoint.id} is a {endpoint.type.value} endpoint: it has no event files.")
    return endpoint


def _after(names: list[str], name: str) -> list[str]:
    if name not in names:
        problem = Problem(path="cursor", message="its file was deleted: begin without a cursor")
        raise InvalidRequest("The cursor is not valid.", [problem])
    return names[names.index(name) + 1 :]
