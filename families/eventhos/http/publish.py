"""eventhos: ``POST /event/send`` as its document prints it, and what its other modules add.

Beyond the document: the ``Idempotency-Key`` header.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode

from families.eventhos.catalog.records import NAMESPACE, WORKSPACE, Refused, has_active_contract
from families.eventhos.http.access import UNREADABLE, sender
from families.eventhos.settings import EventhosSettings
from ingest_api.http import Request, Response
from ingest_api.posted import publish_json, read_json
from schemas.model.contract_call import ReceivedRequest, without_credentials
from schemas.model.errors import InvalidEvent
from schemas.model.event import EventDraft

if TYPE_CHECKING:
    from ingest_api.gateway import Gateway

EVENT_SEND = "/event/send"
ACCESS_KEY = "access-key"

RECEIVED = b'{"code":200000,"message":"success"}'
NO_CONTRACTS = b'{"code":200310,"message":"Success, but no contracts exists for this event"}'


async def send(request: Request, gateway: Gateway) -> Response:
    """Publish one event; its contracts are run in the background."""
    query = request.query()
    access_key = query.get(ACCESS_KEY) or request.text(b"access-key")
    client, event = await sender(gateway, query.get("event-identifier"), access_key)
    posted = await read_json(request, typed=False)  # the document asks for no content type
    draft = EventDraft(
        workspace=WORKSPACE,
        namespace=NAMESPACE,
        code=event.identifier,
        client=client.id,
        publisher=client.unique_id,
        data=posted.body.strip() or b"{}",
        request=_received(request).to_header(),
        traceparent=request.text(b"traceparent"),
    )
    runs = has_active_contract(gateway.catalog.view, event)
    if not runs:
        # A contract may have been made a moment ago elsewhere.
        runs = has_active_contract(await gateway.view(), event)
    try:
        besides = event.identifier.encode() + b"\0"
        await publish_json(gateway, NAMESPACE, client, posted, [draft], besides=besides)
    except InvalidEvent as error:
        raise Refused(UNREADABLE, f"The body {error.problems[0].message}") from error
    if runs:
        return Response(HTTPStatus.OK, RECEIVED)
    compatible = gateway.settings_of(EventhosSettings).compat_status
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
