"""eventhos: ``POST /event/send`` as its document prints it, and what its other modules add.

Beyond the document: the ``Idempotency-Key`` header.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from backbone.catalog.eventhos import NAMESPACE, WORKSPACE, Refused, has_active_contract
from backbone.publisher import IdempotencyKey
from ingest_api.control.misplaced import refuse_misplaced
from ingest_api.families import (
    eventhos_actions,
    eventhos_clients,
    eventhos_contracts,
    eventhos_events,
    eventhos_failures,
    eventhos_received,
    eventhos_roles,
    eventhos_systems,
    eventhos_tokens,
)
from ingest_api.families.eventhos_access import UNREADABLE, render, sender
from ingest_api.families.eventhos_openapi import SCHEMAS, SEND
from ingest_api.family import Family, HotRoute
from ingest_api.wire import Request, Response
from schemas.errors import InvalidEvent
from schemas.event import EventDraft
from schemas.execution import ReceivedRequest, without_credentials

if TYPE_CHECKING:
    from ingest_api.state import Gateway

EVENT_SEND = "/event/send"
ACCESS_KEY = "access-key"

RECEIVED = b'{"code":200000,"message":"success"}'
NO_CONTRACTS = b'{"code":200310,"message":"Success, but no contracts exists for this event"}'


async def send(request: Request, gateway: Gateway) -> Response:
    """Publish one event; its contracts are run in the background."""
    query = request.query()
    access_key = query.get(ACCESS_KEY) or request.text(b"access-key")
    client, event = await sender(gateway, query.get("event-identifier"), access_key)
    request.media_type()  # refuses a charset or coding that is not JSON's; the document asks for no content type
    key = request.idempotency_key()
    body = await request.body()
    draft = EventDraft(
        workspace=WORKSPACE,
        namespace=NAMESPACE,
        code=event.identifier,
        client=client.id,
        data=body.strip() or b"{}",
        request=_received(request).to_header(),
        traceparent=request.text(b"traceparent"),
    )
    runs = has_active_contract(gateway.catalog.view, event)
    if not runs:
        # A contract may have been made a moment ago elsewhere.
        runs = has_active_contract(await gateway.view(), event)
    said = hashlib.sha256(event.identifier.encode() + b"\0" + body).digest()
    idempotency = key and IdempotencyKey(client=client.id, key=key, body_hash=said)
    try:
        await gateway.publish(NAMESPACE, [draft], idempotency or None)
    except InvalidEvent as error:
        raise Refused(UNREADABLE, f"The body {error.problems[0].message}") from error
    if runs:
        return Response(HTTPStatus.OK, RECEIVED)
    compatible = gateway.settings.eventhos_compat_status
    return Response(HTTPStatus.NON_AUTHORITATIVE_INFORMATION if compatible else HTTPStatus.OK, NO_CONTRACTS)


def _received(request: Request) -> ReceivedRequest:
    """The request as the log and the templates show it: without credentials."""
    scope = request.scope
    given = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    query: dict[str, Any] = {name: values if len(values) > 1 else values[0] for name, values in given.items()}
    query = without_credentials(query)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.items()}
    host = headers.get("host", "")
    url = f"{scope.get('scheme', 'http')}://{host}{quote(scope['path'])}"
    return ReceivedRequest(
        method=scope["method"],
        url=f"{url}?{urlencode(query, doseq=True, safe='*')}" if query else url,
        headers=without_credentials(headers),
        query=query,
    )


def _control() -> APIRouter:
    """The routes that do not publish."""
    control = APIRouter()
    for part in (
        eventhos_tokens,
        eventhos_clients,
        eventhos_roles,
        eventhos_systems,
        eventhos_events,
        eventhos_actions,
        eventhos_contracts,
        eventhos_received,
        eventhos_failures,
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
    hot=(HotRoute("POST", EVENT_SEND, send, SEND),),
    control=_control(),
    schemas=SCHEMAS,
)
