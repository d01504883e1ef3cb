"""The Acoustic Exchange family."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from families.exchange.catalog.records import REALM
from families.exchange.http import attributes, endpoints, event_info, event_types, files, notifications, subscribed
from families.exchange.http.access import render
from families.exchange.http.openapi import POST_CUSTOM_EVENT, POST_EVENT, SCHEMAS, SECURITY
from families.exchange.http.publish import CUSTOM_EVENT, EVENT, post_custom_event, post_event
from ingest_api.family import Family, HotRoute
from ingest_api.management.misplaced import refuse_misplaced


def _control() -> APIRouter:
    """The routes that do not publish."""
    control = APIRouter()
    for part in (
        event_types,
        attributes,
        subscribed,
        endpoints,
        event_info,
        notifications,
        files,
    ):
        control.include_router(part.router, dependencies=[Depends(refuse_misplaced)])
    return control


FAMILY = Family(
    name=REALM,
    prefixes=("/v1",),
    render=render,
    refuses_head=True,
    hot=(
        HotRoute("POST", EVENT, post_event, POST_EVENT),
        HotRoute("POST", CUSTOM_EVENT, post_custom_event, POST_CUSTOM_EVENT),
    ),
    any_origin=(CUSTOM_EVENT,),
    control=_control(),
    schemas=SCHEMAS,
    security=SECURITY,
)
