"""Acoustic Exchange: ``POST /v1/event`` in its three forms, ``/v1/customEvent``, and what its other modules add.

Beyond the document: the ``Idempotency-Key`` header, and a member ``namespace`` of an event whose code its endpoint has
registered in several namespaces.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends

from backbone.catalog.exchange_event_types import DEFAULT_NAMESPACE
from backbone.publisher import IdempotencyKey
from ingest_api.control.misplaced import refuse_misplaced
from ingest_api.families import (
    exchange_attributes,
    exchange_endpoints,
    exchange_eventinfo,
    exchange_eventtypes,
    exchange_files,
    exchange_messages,
    exchange_notifications,
    exchange_subscribed,
)
from ingest_api.families.exchange_access import browser, endpoint_holder, render, source
from ingest_api.families.exchange_openapi import POST_CUSTOM_EVENT, POST_EVENT, SCHEMAS
from ingest_api.family import Family, HotRoute
from ingest_api.wire import JSON, Request, Response
from schemas.access import Realm
from schemas.errors import InvalidEvent, InvalidRequest, Problem, UnsupportedMediaType
from schemas.event import EventDraft
from schemas.event_type import RegistrationKind
from schemas.topics import event_topic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.view import CatalogView
    from ingest_api.families.exchange_messages import PostedEvent
    from ingest_api.state import Gateway
    from schemas.access import Client

EVENT = "/v1/event"
CUSTOM_EVENT = "/v1/customEvent"


async def post_event(request: Request, gateway: Gateway) -> Response:
    """Publish the events of one request, all of them or none."""
    endpoint = await endpoint_holder(gateway.authenticator, request.headers.get(b"authorization"))
    return await _publish(request, gateway, await source(gateway, endpoint))


async def post_custom_event(request: Request, gateway: Gateway) -> Response:
    """The same from a browser, with the endpoint's ``eventAuthKey``."""
    endpoint = await browser(gateway.authenticator, request.headers.get(b"authorization"))
    return await _publish(request, gateway, await source(gateway, endpoint))


async def _publish(request: Request, gateway: Gateway, endpoint: Client) -> Response:
    media_type = request.media_type()
    if media_type != JSON and not media_type.endswith(b"+json"):
        raise UnsupportedMediaType("The body must be application/json.")
    key = request.idempotency_key()
    body = await request.body()
    events = exchange_messages.read_events(body, gateway.settings.max_batch_events)
    namespaces = await _registered_namespaces(gateway, endpoint, events)
    traceparent = request.text(b"traceparent")
    drafts = [
        EventDraft(
            workspace=endpoint.workspace,
            namespace=namespace,
            code=event.code,
            client=endpoint.id,
            text_values=event.attributes,
            time=event.time,
            time_text=event.time_text,
            channel=event.channel,
            identifiers=event.identifiers,
            traceparent=traceparent,
        )
        for event, namespace in zip(events, namespaces, strict=True)
    ]
    idempotency = key and IdempotencyKey(client=endpoint.id, key=key, body_hash=hashlib.sha256(body).digest())
    try:
        receipts = await gateway.publish(FAMILY.name, drafts, idempotency or None)
    except InvalidRequest as error:
        raise exchange_messages.in_request(error, events) from error
    return Response(200, b'{"accepted":%d}' % len(receipts))


async def _registered_namespaces(gateway: Gateway, endpoint: Client, events: Sequence[PostedEvent]) -> list[str]:
    """The namespace of each event, once its code and its identifiers are known to be registered.

    Raises:
        InvalidEvent: some are not.
    """
    namespaces, problems = _Registered(gateway.catalog.view, endpoint).check(events)
    if problems:
        # They may have been registered a moment ago elsewhere.
        view = await gateway.view()
        namespaces, problems = _Registered(view, view.client(endpoint.id) or endpoint).check(events)
    if problems:
        raise InvalidEvent(f"Nothing was published: {problems[0].path} {problems[0].message}", problems)
    return namespaces


class _Registered:
    """What an endpoint may publish, as a view of the catalog has it: codes by their namespaces, identifier names."""

    def __init__(self, view: CatalogView, endpoint: Client) -> None:
        self._view = view
        self._endpoint = endpoint
        application = view.client(endpoint.application) if endpoint.application else None
        self._identifiers = {*endpoint.identifiers, *(application.identifiers if application else ())}
        self._found: dict[tuple[str, str | None], tuple[str, ...]] = {}

    def check(self, events: Sequence[PostedEvent]) -> tuple[list[str], list[Problem]]:
        """The events' namespaces, and what is not registered."""
        namespaces: list[str] = []
        problems: dict[tuple[str, str], Problem] = {}
        for event in events:
            asked = (event.code, event.namespace)
            found = self._found.get(asked)
            if found is None:
                found = self._found[asked] = self._namespaces(*asked)
            if len(found) != 1:
                message = f"{event.code} is not registered for publishing by this endpoint"
                if found:
                    message = f"{event.code} is registered in {', '.join(found)}: say which with namespace"
                problems[event.path, event.code] = Problem(path=f"{event.path}.code", message=message)
            for index, identifier in enumerate(event.identifiers):
                if identifier.name not in self._identifiers:
                    # Several events may share the identifiers of a level above.
                    path = f"{event.identifiers_path}[{index}].name"
                    message = f"{identifier.name} is not a registered identifier"
                    problems[path, identifier.name] = Problem(path=path, message=message)
            namespaces += found[:1]
        return namespaces, list(problems.values())

    def _namespaces(self, code: str, named: str | None) -> tuple[str, ...]:
        """Where the endpoint has registered a code: the namespace named, else the default one, else any."""
        endpoint = self._endpoint
        first = named or DEFAULT_NAMESPACE
        topic = event_topic(endpoint.workspace, first, code)
        if self._view.registration(endpoint.id, topic, RegistrationKind.PUBLISH) is not None:
            return (first,)
        if named is not None:
            return ()
        return tuple(
            one.namespace
            for one in self._view.registrations_of(endpoint.id)
            if one.code == code and one.registration is RegistrationKind.PUBLISH
        )


def _control() -> APIRouter:
    """The routes that do not publish."""
    control = APIRouter()
    for part in (
        exchange_eventtypes,
        exchange_attributes,
        exchange_subscribed,
        exchange_endpoints,
        exchange_eventinfo,
        exchange_notifications,
        exchange_files,
    ):
        control.include_router(part.router, dependencies=[Depends(refuse_misplaced)])
    return control


FAMILY = Family(
    name=Realm.EXCHANGE.value,
    prefixes=("/v1",),
    render=render,
    hot=(
        HotRoute("POST", EVENT, post_event, POST_EVENT),
        HotRoute("POST", CUSTOM_EVENT, post_custom_event, POST_CUSTOM_EVENT),
    ),
    any_origin=(CUSTOM_EVENT,),
    control=_control(),
    schemas=SCHEMAS,
)
