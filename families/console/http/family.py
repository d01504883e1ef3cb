"""The console as the HTTP plane mounts it."""

from __future__ import annotations

from fastapi import APIRouter

from families.console.http import (
    clients,
    dead_letters,
    deliveries,
    endpoint_actions,
    endpoints,
    entrance,
    event_types,
    events,
    overview,
    runs,
    topic_actions,
    topics,
)
from families.console.http.rendering import render_error
from families.console.http.sessions import PATH
from ingest_api.family import Family

ROUTERS = (
    entrance.start,
    entrance.router,
    overview.router,
    events.router,
    deliveries.router,
    endpoints.router,
    endpoint_actions.router,
    dead_letters.router,
    runs.router,
    event_types.router,
    topics.router,
    topic_actions.router,
    clients.router,
)
"""All pages."""


def _control() -> APIRouter:
    control = APIRouter()
    for each in ROUTERS:
        control.include_router(each)
    return control


FAMILY = Family(name="console", prefixes=(PATH,), render=render_error, hot=(), control=_control(), schemas={})
"""Pages for operators. It calls our own API, so it needs the families ``headrace`` and ``schema_registry`` served."""
