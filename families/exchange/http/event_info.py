"""``GET /v1/endpoint/{endpointId}/eventinfo``: the key with which browsers publish to ``POST /v1/customEvent``."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from families.exchange.http.access import ExchangeEndpoint, endpoint_of
from families.exchange.http.openapi import ERRORS, NOT_FOUND
from families.exchange.http.services import accounts_of
from ingest_api.management.dependencies import Key, TheGateway
from schemas.security.binding import end_of

router = APIRouter(tags=["Exchange events"], responses=ERRORS)


class EventInfo(BaseModel):
    """What a page needs to publish; the key is not good for anything else."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, alias_generator=to_camel)

    endpoint_id: str
    event_auth_key: str


@router.get("/v1/endpoint/{endpoint_id}/eventinfo", summary="Get the key for browsers", responses=NOT_FOUND)
async def event_info(gateway: TheGateway, caller: ExchangeEndpoint, key: Key, endpoint_id: str) -> EventInfo:
    """Of one's own endpoint; the same key every time, until it is revoked."""
    endpoint = await endpoint_of(gateway, caller, endpoint_id)
    auth_key = await gateway.in_time(
        accounts_of(gateway).browser_key(endpoint.workspace, endpoint.id, until=end_of(key))
    )
    return EventInfo(endpoint_id=endpoint.id, event_auth_key=auth_key)
