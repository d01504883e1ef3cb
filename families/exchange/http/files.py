"""``GET`` and ``DELETE /v1/eventfiles``: the event files of an endpoint that pulls.

A file stays on the list until it is deleted, and the list shows ten at most: who deletes none sees no later ones.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from backbone.catalog.view import CatalogView
from families.exchange.http.access import ExchangeEndpoint
from families.exchange.http.openapi import ERRORS
from ingest_api.management.dependencies import TheGateway
from ingest_api.management.files import file_answer
from schemas.model.access import Client
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import InvalidRequest, PermissionDenied, Problem

EVENT_FILES = "/v1/eventfiles"
EVENT_FILE = EVENT_FILES + "/{name:path}"
"""A name with a slash in it is answered here too: there is no such file."""
PROSE = "/v1/eventfile/{name:path}"
"""As the document's text spells the path to delete."""

MOST = 10
"""File names in one answer."""

_NUMBER = re.compile(r"0*([1-9]\d*)", re.ASCII)

_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {**ERRORS[403], "description": "The endpoint has no such file."}}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "One JSON object a line, one event each."}
}


async def _puller(gateway: TheGateway, caller: ExchangeEndpoint) -> Client:
    def destination(view: CatalogView) -> Endpoint | None:
        found = view.endpoint(caller.endpoint)
        return found if found is not None and found.type is EndpointType.FILE else None

    if await gateway.lookup(destination) is None:
        raise PermissionDenied("This endpoint is not registered as a pull destination: it has no event files.")
    return caller


PullSubscriber = Annotated[Client, Depends(_puller)]
"""A route's parameter: the Exchange endpoint of the key, if it is registered as a pull destination; else 403."""

router = APIRouter(tags=["Exchange event files"], responses=ERRORS)


@router.get(EVENT_FILES, summary="List event files")
def list_files(
    gateway: TheGateway,
    caller: PullSubscriber,
    num_files: Annotated[str | None, Query(alias="numFiles", description="Return at most so many; 10 at most.")] = None,
) -> list[str]:
    """The names of the oldest files that have not been deleted."""
    return gateway.files.names(caller.endpoint, MOST if num_files is None else _limit(num_files))


@router.get(
    EVENT_FILE, summary="Get an event file", response_class=StreamingResponse, responses={**_CONTENT, **_NOT_FOUND}
)
def get_file(gateway: TheGateway, caller: PullSubscriber, name: str) -> StreamingResponse:
    """The file's content; it stays on the list."""
    return file_answer(gateway.files.open(caller.endpoint, name), "application/octet-stream")


@router.delete(EVENT_FILE, summary="Delete an event file", responses=_NOT_FOUND)
@router.delete(PROSE, include_in_schema=False)
def delete_file(gateway: TheGateway, caller: PullSubscriber, name: str) -> bool:
    """Take a file off the list, so that later ones can be discovered."""
    gateway.files.delete(caller.endpoint, name)
    return True


def _limit(text: str) -> int:
    """``numFiles`` as a number of names to return, of any length."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        problem = Problem(path="numFiles", message="must be a whole number greater than 0")
        raise InvalidRequest("The list cannot be read.", [problem])
    digits = found[1]
    return MOST if len(digits) > len(str(MOST)) else min(int(digits), MOST)
