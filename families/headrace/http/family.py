"""The family of our own API."""

from __future__ import annotations

from families.headrace.http import delivery_counts, events_openapi, own_api
from families.headrace.http.openapi import POST_BATCH, POST_EVENTS, SCHEMAS
from families.headrace.http.publish import BATCH, DIRECT, EVENTS, NAMESPACE, post_batch, post_events
from ingest_api import problems
from ingest_api.family import Family, HotRoute

FAMILY = Family(
    name=NAMESPACE,
    prefixes=(own_api.PREFIX,),
    render=problems.render,
    hot=(HotRoute("POST", EVENTS, post_events, POST_EVENTS, DIRECT), HotRoute("POST", BATCH, post_batch, POST_BATCH)),
    control=own_api.router(),
    schemas={**SCHEMAS, **events_openapi.SCHEMAS, **delivery_counts.SCHEMAS},
    name_in_ids="",
)
