"""Our own API, ``/headrace/v1``, but for the route that publishes."""

from __future__ import annotations

from fastapi import APIRouter

from ingest_api.control import accounts, endpoints, event_types, events, filters, realtime, subscriptions
from ingest_api.families.headrace_openapi import ERRORS

PREFIX = "/headrace/v1"


def router() -> APIRouter:
    """All of its resources under one prefix."""
    own = APIRouter(prefix=PREFIX, responses=ERRORS)
    for part in (accounts, event_types, endpoints, filters, subscriptions, events, realtime):
        own.include_router(part.router)
    return own
