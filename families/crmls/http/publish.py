"""The CRMLS EventGateway: ``POST /api/token`` and ``POST /api/app/events`` as its document prints them.

Beyond the document: ``GET /api/app/events/{id}``, the ``Idempotency-Key`` header, and errors as problem documents.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import APIRouter, Query, Security
from fastapi.responses import Response as HttpResponse
from fastapi.security import HTTPBearer

from families.crmls.http import messages
from families.crmls.http.openapi import ERRORS, EVENT, NOT_FOUND, TOKEN
from families.crmls.http.services import first_use
from families.crmls.model import NAMESPACE, REALM
from families.crmls.settings import CrmlsSettings
from ingest_api import problems
from ingest_api.http import PROBLEM_JSON, Request, Response
from ingest_api.management.dependencies import Authorization, TheGateway
from ingest_api.posted import publish_json, read_json
from schemas.model import timestamps
from schemas.model.errors import HeadraceError, InvalidRequest, NotFound, Unauthenticated
from schemas.model.event import EventDraft
from schemas.security.binding import Binding
from schemas.security.permissions import Operation, check
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from ingest_api.gateway import Gateway

EVENTS = "/api/app/events"

_OWN_NAMES = {"data": "message", "type": "messageType", "code": "messageType"}
"""What the publisher's names for the parts of an event are called in this family."""

_MEMBER = re.compile(r"\$\.(\w+)")

_TOKEN = HTTPBearer(scheme_name="crmlsToken", bearerFormat="JWT", auto_error=False)
"""Only declares the scheme in the OpenAPI document."""


async def post_event(request: Request, gateway: Gateway) -> Response:
    """Publish one event; its ``messageType`` is its event type."""
    client = await gateway.authenticator.by_token(request.headers.get(b"authorization"), REALM)
    check(client, Operation.PUBLISH)
    posted = await read_json(request)
    post = messages.read_post(posted.body, strict=gateway.settings_of(CrmlsSettings).strict_json)
    draft = EventDraft(
        workspace=client.workspace,
        namespace=NAMESPACE,
        code=post.message_type,
        client=client.id,
        publisher=client.unique_id,
        data=post.message,
        subject=post.event_name,
        time=post.time,
        time_text=post.time_text,
        traceparent=request.text(b"traceparent"),
    )

    async def register() -> None:
        await gateway.kept(first_use).ensure(client, NAMESPACE, post.message_type, path="$.messageType")

    (receipt,) = await publish_json(gateway, NAMESPACE, client, posted, [draft], first=register)
    return Response(
        200,
        messages.answer(
            event_name=post.event_name,
            event_time=messages.event_time(post.time, post.time_text),
            source=client.id,
            message=post.message,
            message_type=post.message_type,
            created_at=receipt.received_at,
            event_id=receipt.id,
        ),
    )


def render(error: HeadraceError) -> Response:
    """Errors as the problem documents of the platform that CRMLS runs on: ``errors`` maps a member to its messages."""
    content = problems.document(error)
    found = problems.problems_of(error)
    if found:
        members: dict[str, list[str]] = {}
        for problem in found:
            path = _MEMBER.sub(_own_name, problem.path, count=1)
            members.setdefault(path.removeprefix("$."), []).append(f"{path} {problem.message}")
        content["errors"] = members
    return Response(content["status"], msgspec.json.encode(content), PROBLEM_JSON, problems.headers_of(error))


def _own_name(member: re.Match[str]) -> str:
    return f"$.{_OWN_NAMES.get(member[1], member[1])}"


router = APIRouter(tags=["CRMLS EventGateway"], responses=ERRORS)
"""The routes that do not publish."""


@router.post("/api/token", summary="Get a token for an API key", response_model=None, responses=TOKEN)
async def token(
    gateway: TheGateway,
    api_key: Annotated[str | None, Query(alias="apiKey", description="The account's API key.")] = None,
) -> HttpResponse:
    """The token is good for seven days, unless its API key ends or is revoked before; all other calls take it."""
    if not api_key:
        raise InvalidRequest("The query parameter apiKey is missing.")
    client = await gateway.authenticator.by_key(api_key, REALM)
    key = gateway.authenticator.key_behind(api_key)
    if key is None:
        raise Unauthenticated("The credential is not known.")  # revoked this moment
    issued = gateway.tokens.issue(
        REALM,
        client.id,
        messages.TOKEN_LIFETIME,
        Binding.of(client, key),
        until=key.expires_at,
        **messages.token_claims(client.id),
    )
    content = messages.token_answer(issued.text, issued.expires_at)
    return HttpResponse(content, media_type="application/json", headers={"cache-control": "no-store"})


@router.get(
    EVENTS + "/{event_id}",
    summary="Get an event back (extension)",
    response_model=None,
    responses={**EVENT, **NOT_FOUND},
)
async def get_event(
    gateway: TheGateway,
    authorization: Authorization,
    _scheme: Annotated[object, Security(_TOKEN)],
    event_id: str,
) -> HttpResponse:
    """An event that this account posted. It can be read a moment after it was posted.

    It is as it was answered, except that ``eventTime`` has no seventh fraction digit: what is read is the ledger.
    """
    client = await gateway.authenticator.by_token(authorization, REALM)
    event = await gateway.event(ReadScope.published_by(client), event_id)
    if event is None or event.namespace != NAMESPACE:
        raise NotFound(f"There is no event {event_id}.")
    content = messages.answer(
        event_name=event.subject or "",
        event_time=messages.event_time(event.time, timestamps.to_text(event.time)),
        source=client.id,
        message=bytes(event.data),
        message_type=event.code,
        created_at=event.received_at,
        event_id=event.id,
    )
    return HttpResponse(content, media_type="application/json")
