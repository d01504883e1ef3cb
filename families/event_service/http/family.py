"""The family of the GraphQL event service."""

from __future__ import annotations

from families.event_service.http.graphql_http import render
from families.event_service.http.routes import router
from families.event_service.settings import EventServiceSettings
from ingest_api.family import Family

FAMILY = Family(
    name="event-service",
    prefixes=("/event-service",),
    render=render,
    refuses_head=True,
    hot=(),
    control=router,
    schemas={},
    security={
        "eventServiceKey": {"type": "http", "scheme": "bearer", "description": "An API key of the event service."}
    },
    settings=EventServiceSettings,
)
