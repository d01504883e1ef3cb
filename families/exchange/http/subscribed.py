"""``GET /v1/eventtype/subscribed…``: which of an endpoint's events are consumed, and which it consumes.

The document's example calls spell the path ``/v1/eventype``: that is answered too.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from backbone.catalog.consumption import consumed_by, consumed_from
from backbone.catalog.view import CatalogView
from families.exchange.http.access import ExchangeEndpoint, source
from families.exchange.http.event_types import ExchangeEventTypeOutput, check_listable, event_types_answer
from families.exchange.http.openapi import ERRORS
from ingest_api.management.dependencies import TheGateway
from ingest_api.management.pages import list_answer
from schemas.model.access import Role
from schemas.model.errors import InvalidRequest, PermissionDenied, Problem
from schemas.model.event_type import Registration, RegistrationKind

SUBSCRIBED = "/v1/eventtype/subscribed"
MISSPELT = "/v1/eventype/subscribed"

EXTRA_FIELDS = frozenset(("provider", "publisher"))

router = APIRouter(tags=["Exchange event types"], responses=ERRORS)


class ConsumedOutput(ExchangeEventTypeOutput):
    """An event type that the endpoint receives from one publisher."""

    publisher: Annotated[str | None, Field(description="The endpoint that publishes, when asked for.")] = None
    provider: str | None = None


@router.get(SUBSCRIBED, summary="List the codes of this endpoint's events that others receive")
@router.get(MISSPELT, include_in_schema=False)
async def subscribed_codes(gateway: TheGateway, endpoint: ExchangeEndpoint) -> list[str]:
    """Codes only, once each."""
    found = await _consumed_from(gateway, endpoint)
    return list(dict.fromkeys(each.code for each in found))


@router.get(
    f"{SUBSCRIBED}/producer",
    summary="List this endpoint's event types that others receive",
    response_model=list[ExchangeEventTypeOutput],
)
@router.get(f"{MISSPELT}/producer", include_in_schema=False)
async def subscribed_producer(gateway: TheGateway, endpoint: ExchangeEndpoint) -> Response:
    """As this endpoint has registered them."""
    return await event_types_answer(gateway, check_listable(await _consumed_from(gateway, endpoint)))


@router.get(
    f"{SUBSCRIBED}/consumer",
    summary="List the event types that this endpoint receives",
    response_model=list[ConsumedOutput],
)
@router.get(f"{MISSPELT}/consumer", include_in_schema=False)
async def subscribed_consumer(
    gateway: TheGateway,
    endpoint: ExchangeEndpoint,
    extrafields: Annotated[str, Query(description="`provider`, `publisher`, or both with a comma.")] = "",
) -> Response:
    """Each as its publisher has registered it: two publishers of one code are two entries."""
    view = await gateway.view()
    # What it is may have been registered a moment ago elsewhere.
    if Role.SUBSCRIBER not in (view.client(endpoint.workspace, endpoint.id) or endpoint).roles:
        raise PermissionDenied("This endpoint is not registered as a destination of events.")
    wanted = _extra_fields(extrafields)
    found = await asyncio.to_thread(consumed_by, view, endpoint.endpoint)

    def encode(publication: Registration) -> bytes:
        return _consumed(view, publication, wanted).model_dump_json(by_alias=True, exclude_none=True).encode()

    return await list_answer(gateway.slices, encode, check_listable(found))


async def _consumed_from(gateway: TheGateway, endpoint: ExchangeEndpoint) -> list[Registration]:
    await source(gateway, endpoint)
    # It looks at every subscription of the workspace, which may take seconds.
    return await asyncio.to_thread(consumed_from, await gateway.view(), endpoint)


def _consumed(view: CatalogView, publication: Registration, extra: frozenset[str]) -> ConsumedOutput:
    output = ExchangeEventTypeOutput.of(publication).model_copy(
        update={"registration_type": RegistrationKind.SUBSCRIBE}
    )
    publisher = view.client(publication.workspace, publication.client)
    names = {"publisher": publisher and publisher.name, "provider": publisher and publisher.provider}
    shown = {name: value or "" for name, value in names.items() if name in extra}
    return ConsumedOutput(**output.model_dump(), **shown)


def _extra_fields(text: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if not names <= EXTRA_FIELDS:
        unknown = ", ".join(sorted(names - EXTRA_FIELDS))
        problem = Problem(path="extrafields", message=f"must be provider or publisher, not {unknown}")
        raise InvalidRequest("The list cannot be made.", [problem])
    return names
