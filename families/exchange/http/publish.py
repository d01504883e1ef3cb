"""Acoustic Exchange: ``POST /v1/event`` in its three forms, ``/v1/customEvent``, and what its other modules add.

Beyond the document: the ``Idempotency-Key`` header, and a member ``namespace`` of an event whose code its endpoint has
registered in several namespaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from families.exchange.catalog.event_types import DEFAULT_NAMESPACE
from families.exchange.catalog.records import REALM
from families.exchange.http import messages
from families.exchange.http.access import browser, endpoint_holder, source
from ingest_api.http import Request, Response
from ingest_api.posted import publish_json, read_json
from schemas.model.errors import MOST_PROBLEMS, InvalidEvent, InvalidRequest, Problem
from schemas.model.event import EventDraft
from schemas.model.event_type import RegistrationKind
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.view import CatalogView
    from backbone.slices import Slices
    from families.exchange.http.messages import PostedEvent
    from ingest_api.gateway import Gateway
    from schemas.model.access import Client

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
    posted = await read_json(request, batch=True)
    events = await messages.read_events(posted.body, gateway.settings.max_batch_events, gateway.slices)
    namespaces = await _registered_namespaces(gateway, endpoint, events)
    traceparent = request.text(b"traceparent")
    drafts = []
    work = gateway.slices.begin()
    for event, namespace in zip(events, namespaces, strict=True):
        await work.pause()
        draft = EventDraft(
            workspace=endpoint.workspace,
            namespace=namespace,
            code=event.code,
            client=endpoint.id,
            publisher=endpoint.unique_id,
            text_values=event.attributes,
            time=event.time,
            time_text=event.time_text,
            channel=event.channel,
            identifiers=event.identifiers,
            traceparent=traceparent,
        )
        drafts.append(draft)
    try:
        receipts = await publish_json(gateway, REALM, endpoint, posted, drafts)
    except InvalidRequest as error:
        raise messages.in_request(error, events) from error
    return Response(200, b'{"accepted":%d}' % len(receipts))


async def _registered_namespaces(gateway: Gateway, endpoint: Client, events: Sequence[PostedEvent]) -> list[str]:
    """The namespace of each event, once its code and its identifiers are known to be registered.

    Raises:
        InvalidEvent: some are not.
    """
    namespaces, problems = await _Registered(gateway.catalog.view, endpoint).check(events, gateway.slices)
    if problems:
        # They may have been registered a moment ago elsewhere.
        view = await gateway.view()
        endpoint = view.client(endpoint.workspace, endpoint.id) or endpoint
        namespaces, problems = await _Registered(view, endpoint).check(events, gateway.slices)
    if problems:
        raise InvalidEvent(f"Nothing was published: {problems[0].path} {problems[0].message}", problems)
    return namespaces


class _Registered:
    """What an endpoint may publish, as a view of the catalog has it: codes by their namespaces, identifier names."""

    def __init__(self, view: CatalogView, endpoint: Client) -> None:
        self._view = view
        self._endpoint = endpoint
        application = view.client(endpoint.workspace, endpoint.application) if endpoint.application else None
        self._identifiers = {*endpoint.identifiers, *(application.identifiers if application else ())}
        self._found: dict[tuple[str, str | None], tuple[str, ...]] = {}

    async def check(self, events: Sequence[PostedEvent], slices: Slices) -> tuple[list[str], list[Problem]]:
        """The events' namespaces, and what is not registered."""
        namespaces: list[str] = []
        problems: dict[tuple[str, str], Problem] = {}
        work = slices.begin()
        for event in events:
            await work.pause()
            if len(problems) >= MOST_PROBLEMS:
                break
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
            for one in self._view.registrations_of(endpoint.workspace, endpoint.id)
            if one.code == code and one.registration is RegistrationKind.PUBLISH
        )
