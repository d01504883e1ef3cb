"""Our own API, ``/headrace/v1``, but for the route that publishes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from ingest_api.control import (
    accounts,
    dry_runs,
    endpoints,
    event_files,
    event_types,
    events,
    filters,
    realtime,
    subscriptions,
)
from ingest_api.control.parameters import refuse_unknown_parameters
from ingest_api.families.headrace_openapi import ERRORS, problem

PREFIX = "/headrace/v1"

_OF_RESOURCES: dict[int | str, dict[str, Any]] = {
    404: problem("There is no such resource in the workspace."),
    409: problem("It contradicts what is there: a name that is taken, a schema that is not compatible."),
    413: problem("The body is too large."),
    422: problem("The Idempotency-Key was used with another body."),
}


def router() -> APIRouter:
    """All of its resources under one prefix."""
    own = APIRouter(
        prefix=PREFIX, responses={**ERRORS, **_OF_RESOURCES}, dependencies=[Depends(refuse_unknown_parameters)]
    )
    for part in (accounts, event_types, endpoints, event_files, filters, dry_runs, subscriptions, events, realtime):
        own.include_router(part.router)
    return own
