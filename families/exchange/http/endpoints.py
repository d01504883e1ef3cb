"""``POST /v1/application``, ``PUT`` and ``GET /v1/endpoint``: who takes part in an Exchange account, and as what.

A push destination is posted to at ``<registered url>/v1/events``; a pull destination has event files.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from backbone.catalog.view import CatalogView
from families.exchange.catalog.records import Registered, details_of
from families.exchange.http.access import KeyHolder, endpoint_of, is_endpoint, may_see
from families.exchange.http.endpoint_models import (
    ApplicationInput,
    ApplicationOutput,
    ExchangeEndpointInput,
    ExchangeEndpointOutput,
    NewExchangeEndpointOutput,
)
from families.exchange.http.openapi import ERRORS, NOT_FOUND, WITH_BODY
from families.exchange.http.services import accounts_of
from ingest_api.management.dependencies import Key, TheGateway
from ingest_api.management.pages import encode_model, list_answer
from schemas.model.access import Client
from schemas.security.binding import end_of

router = APIRouter(tags=["Exchange endpoints and applications"], responses=ERRORS)


@router.post(
    "/v1/application",
    summary="Register an application",
    response_model_exclude_none=True,
    responses=WITH_BODY,
)
async def register_application(
    gateway: TheGateway, caller: KeyHolder, key: Key, body: ApplicationInput
) -> ApplicationOutput:
    """With an application-level key its own; with an account-level key a new one, answered with its key."""
    made = await gateway.in_time(accounts_of(gateway).put_application(caller, body.definition(), until=end_of(key)))
    return ApplicationOutput(
        application_id=made.client.id, provider_name=body.provider_name, authentication_key=made.key
    )


@router.put(
    "/v1/endpoint",
    summary="Register an endpoint, or change it",
    responses=WITH_BODY,
    response_model=NewExchangeEndpointOutput | ExchangeEndpointOutput,
)
async def put_endpoint(gateway: TheGateway, caller: KeyHolder, key: Key, body: ExchangeEndpointInput) -> Response:
    """With an endpoint-level key its own; else the one of that name, a new one being answered with its key."""
    putting = accounts_of(gateway).put_endpoint(caller, body.definition(), until=end_of(key))
    return await _answer(gateway, await gateway.in_time(putting))


@router.put(
    "/v1/endpoint/{application_id}/{deployment_id}",
    summary="Register an endpoint of an application, or change it",
    responses={**WITH_BODY, **NOT_FOUND},
    response_model=NewExchangeEndpointOutput | ExchangeEndpointOutput,
)
async def put_deployment(  # a route's parameters go by their names
    gateway: TheGateway,
    caller: KeyHolder,
    key: Key,
    application_id: str,
    deployment_id: Annotated[str, Path(max_length=200, description="The application's own name for it.")],
    body: ExchangeEndpointInput,
) -> Response:
    """There is one for each deployment; a new one is answered with its key.

    What a new one does not say of its roles it takes over from the application.
    """
    putting = accounts_of(gateway).put_deployment(
        caller, application_id, deployment_id, body.definition(), until=end_of(key)
    )
    return await _answer(gateway, await gateway.in_time(putting))


@router.get("/v1/endpoint", summary="List endpoints", response_model=list[ExchangeEndpointOutput])
async def list_endpoints(gateway: TheGateway, caller: KeyHolder) -> Response:
    """Those of the account or the application; with an endpoint-level key its own."""
    view = await gateway.view()
    found = [one for one in view.clients(caller.workspace) if is_endpoint(one) and may_see(caller, one)]
    ordered = sorted(found, key=lambda one: one.created_at)
    return await list_answer(gateway.slices, lambda one: encode_model(_shown(view, one)), ordered)


@router.get("/v1/endpoint/{endpoint_id}", summary="Get an endpoint", responses=NOT_FOUND)
async def get_endpoint(gateway: TheGateway, caller: KeyHolder, endpoint_id: str) -> ExchangeEndpointOutput:
    """One's own, or one of the account or the application."""
    return _shown(gateway.catalog.view, await endpoint_of(gateway, caller, endpoint_id))


def _shown(view: CatalogView, client: Client) -> ExchangeEndpointOutput:
    return ExchangeEndpointOutput.of(client, view.endpoint(client.endpoint), details_of(view, client))


async def _answer(gateway: TheGateway, made: Registered) -> Response:
    """Show an endpoint, and its key if it is new. FastAPI would check the identifiers twice again, 15,000 perhaps."""
    await gateway.slices.turn()
    output = _shown(gateway.catalog.view, made.client)
    if made.key is not None:
        output = NewExchangeEndpointOutput(**output.model_dump(), authentication_key=made.key)
    return Response(encode_model(output), media_type="application/json")
