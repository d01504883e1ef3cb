"""The CRMLS EventGateway: ``POST /api/token`` and ``POST /api/app/events`` as its document prints them.

Beyond the document: ``GET /api/app/events/{id}``, the ``Idempotency-Key`` header, and errors as problem documents.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import APIRouter, Query, Security
from fastapi.responses import Response as HttpResponse
from fastapi.security import HTTPBearer

from backbone.publisher import IdempotencyKey
from ingest_api import problems
from ingest_api.control.dependencies import Authorization, TheGateway
from ingest_api.families import crmls_messages as messages
from ingest_api.families.crmls_openapi import ERRORS, EVENT, NOT_FOUND, POST_EVENT, SCHEMAS, TOKEN
from ingest_api.family import Family, HotRoute
from ingest_api.wire import JSON, PROBLEM_JSON, Request, Response
from schemas import timestamps
from schemas.access import Realm
from schemas.binding import Binding
from schemas.errors import HeadraceError, InvalidRequest, NotFound, Unauthenticated, UnsupportedMediaType
from schemas.event import EventDraft
from schemas.permissions import Operation, check
from schemas.reading import ReadScope

if TYPE_CHECKING:
    from ingest_api.state import Gateway

NAMESPACE = "crmls"
EVENTS = "/api/app/events"

_OWN_NAMES = {"data": "message", "type": "messageType", "code": "messageType"}
"""What the publisher's names for the parts of an event are called in this family."""

_MEMBER = re.compile(r"\$\.(\w+)")

_TOKEN = HTTPBearer(scheme_name="crmlsToken", bearerFormat="JWT", auto_error=False)
"""Only declares the scheme in the OpenAPI document."""


async def post_event(request: Request, gateway: Gateway) -> Response:
    """Publish one event; its ``messageType`` is its event type."""
    client = await gateway.authenticator.by_token(request.headers.get(b"authorization"), Realm.CRMLS)
    check(client, Operation.PUBLISH)
    media_type = request.media_type()
    if media_type != JSON and not media_type.endswith(b"+json"):
        raise UnsupportedMediaType("The body must be application/json.")
    key = request.idempotency_key()
    body = await request.body()
    post = messages.read_post(body, strict=gateway.settings.crmls_strict_json)
    draft = EventDraft(
        workspace=client.workspace,
        namespace=NAMESPACE,
        code=post.message_type,
        client=client.id,
        data=post.message,
        subject=post.event_name,
        time=post.time,
        time_text=post.time_text,
        traceparent=request.text(b"traceparent"),
    )
    # Not in one wait with what follows: an event that is under way must not be given up before its outcome is known.
    await gateway.in_time(gateway.first_use.ensure(client, NAMESPACE, post.message_type, path="$.messageType"))
    idempotency = key and IdempotencyKey(client=client.id, key=key, body_hash=hashlib.sha256(body).digest())
    (receipt,) = await gateway.publish(NAMESPACE, [draft], idempotency or None)
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
    client = await gateway.authenticator.by_key(api_key, Realm.CRMLS)
    key = gateway.authenticator.key_behind(api_key)
    if key is None:
        raise Unauthenticated("The credential is not known.")  # revoked this moment
    issued = gateway.tokens.issue(client.id, Binding.of(client, key), until=key.expires_at)
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
    client = await gateway.authenticator.by_token(authorization, Realm.CRMLS)
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


FAMILY = Family(
    name=NAMESPACE,
    prefixes=("/api/token", "/api/app"),
    render=render,
    hot=(HotRoute("POST", EVENTS, post_event, POST_EVENT),),
    control=router,
    schemas=SCHEMAS,
)
