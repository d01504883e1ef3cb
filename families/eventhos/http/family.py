"""The eventhos family."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from families.eventhos.catalog.records import NAMESPACE
from families.eventhos.http import actions, clients, contracts, events, failures, received, roles, systems, tokens
from families.eventhos.http.access import render
from families.eventhos.http.openapi import SCHEMAS, SECURITY, SEND
from families.eventhos.http.publish import EVENT_SEND, send
from families.eventhos.settings import EventhosSettings
from ingest_api.family import Family, HotRoute
from ingest_api.management.misplaced import refuse_misplaced


def _control() -> APIRouter:
    """The routes that do not publish."""
    control = APIRouter()
    for part in (
        tokens,
        clients,
        roles,
        systems,
        events,
        actions,
        contracts,
        received,
        failures,
    ):
        control.include_router(part.router, dependencies=[Depends(refuse_misplaced)])

    @control.get("/", tags=["eventhos"], summary="Whether the API is up", response_class=PlainTextResponse)
    async def up() -> str:
        """As in the original."""
        return "Ok"

    return control


FAMILY = Family(
    name=NAMESPACE,
    prefixes=("/auth", "/event", "/system", "/action", "/contract", "/received"),
    render=render,
    refuses_head=True,
    hot=(HotRoute("POST", EVENT_SEND, send, SEND),),
    control=_control(),
    schemas=SCHEMAS,
    security=SECURITY,
    settings=EventhosSettings,
)
