"""Our own API, ``/headrace/v1``, but for the route that publishes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from families.headrace.http import (
    accounts,
    audit,
    balance,
    catalog_files,
    dead_letters,
    deliveries,
    delivery_counts,
    dry_runs,
    endpoint_health,
    endpoint_tests,
    endpoints,
    event_files,
    event_types,
    events,
    filters,
    group_offsets,
    operations,
    partitions,
    pauses,
    projections,
    quickstart,
    quotas,
    realtime,
    redactions,
    replays,
    retried_runs,
    runs,
    subscriptions,
    topic_settings,
)
from ingest_api.management.openapi import ERRORS, problem
from ingest_api.management.parameters import refuse_unknown_body, refuse_unknown_parameters
from ingest_api.management.repeated_members import refuse_repeated_members

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
        prefix=PREFIX,
        responses={**ERRORS, **_OF_RESOURCES},
        dependencies=[
            Depends(refuse_unknown_parameters),
            Depends(refuse_unknown_body),
            Depends(refuse_repeated_members),
        ],
    )
    for part in (
        quickstart,
        accounts,
        audit,
        quotas,
        catalog_files,
        event_types,
        endpoints,
        endpoint_health,
        projections,
        event_files,
        filters,
        dry_runs,
        subscriptions,
        events,
        deliveries,
        delivery_counts,
        redactions,
        balance,
        dead_letters,
        endpoint_tests,
        pauses,
        replays,
        retried_runs,
        runs,
        realtime,
        operations,
        partitions,
        topic_settings,
        group_offsets,
    ):
        own.include_router(part.router)
    return own
