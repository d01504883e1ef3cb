"""The Envoy family."""

from __future__ import annotations

from families.envoy.http.access import render
from families.envoy.http.routes import new_router
from families.envoy.model import FAMILY as NAME
from families.envoy.settings import EnvoySettings
from ingest_api.family import Family

FAMILY = Family(
    name=NAME,
    prefixes=("/events",),
    render=render,
    refuses_head=True,
    hot=(),
    control=new_router(),
    schemas={},
    security={"envoyToken": {"type": "http", "scheme": "bearer", "description": "An access token of an Envoy user."}},
    settings=EnvoySettings,
)
