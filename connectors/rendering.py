"""From a delivery record to the HTTP request that is sent: body, headers, signature."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec

from backbone.catalog import authorizations
from connectors import templates
from connectors.bodies import cloudevents, event_service, eventhos, exchange, exchange_notification
from connectors.signing import signature_headers, signing_key
from schemas.avro import unframe
from schemas.codec import EventDecoder
from schemas.delivery import event_headers
from schemas.errors import CorruptRecord, Misconfigured
from schemas.execution import ReceivedRequest, received_request
from schemas.subscription import BodyFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.catalog.reader import Catalog
    from backbone.catalog.secrets import SecretBox
    from connectors.token_urls import TokenAnswer
    from schemas.access import Client
    from schemas.codec import DecodedEvent
    from schemas.delivery import Delivery, Headers
    from schemas.subscription import Endpoint, RequestTemplate

_RESERVED = frozenset(
    ("host", "connection", "content-length", "content-type", "expect", "transfer-encoding", "upgrade", "te", "trailer")
)
"""Headers that an endpoint cannot set, besides all that begin with ``webhook-``: they frame the message."""

_REMEMBERED_KEYS = 10_000


class Body(Protocol):
    """A module of ``connectors/bodies``."""

    CONTENT_TYPE: str

    def render(
        self, event: DecodedEvent, headers: Mapping[str, bytes], namespace: str | None, publisher: Client | None
    ) -> bytes:
        """The body of one event, equal on every try."""


BODIES: dict[BodyFormat, Body] = {
    BodyFormat.CLOUDEVENTS: cloudevents,
    BodyFormat.EXCHANGE: exchange,
    BodyFormat.EXCHANGE_NOTIFICATION: exchange_notification,
    BodyFormat.EVENTHOS: eventhos,
    BodyFormat.EVENT_SERVICE: event_service,
}


_QUICK = 65_536
"""Bytes of an event and a template that are filled in at once; other deliveries do not wait for larger ones."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Ready to be sent: the body's bytes are those that were signed.

    ``query`` is what a template added to its URL, ``base_url``; ``body_limit`` how many bytes of the response are read,
    if not as many as of any.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, str] = {}
    base_url: str = ""
    body_limit: int | None = None


class Renderer:
    """Renders deliveries; decoders are kept per schema and signing keys per stored secret.

    Args:
        catalog: knows the schemas and event types.
        secrets: opens the endpoints' signing secrets.
    """

    def __init__(self, catalog: Catalog, secrets: SecretBox) -> None:
        self._catalog = catalog
        self._secrets = secrets
        self._decoders: dict[int, EventDecoder] = {}
        self._keys: dict[str, bytes] = {}

    async def request(
        self,
        value: bytes | None,
        headers: Headers,
        delivery: Delivery,
        endpoint: Endpoint,
        timestamp: int,
        *,
        token: TokenAnswer | None = None,
    ) -> Request:
        """The signed request for one try.

        Args:
            value: of the delivery's record.
            headers: all of the record's.
            delivery: what they say.
            endpoint: where it goes.
            timestamp: when it is tried, seconds since the epoch.
            token: what a request template may name as ``oauthResponse``.

        Raises:
            CorruptRecord: the event cannot be read.
            Misconfigured: the endpoint has no URL, an unknown body format, or a secret that cannot be opened.
            Unavailable: Kafka cannot say whether the event's schema exists.
        """
        endpoint = authorizations.with_plain_headers(endpoint, self._secrets)
        render_as = BODIES.get(endpoint.body)
        if render_as is None or endpoint.url is None:
            raise Misconfigured(f"endpoint {endpoint.id} has no URL, or a body format that this connector lacks")
        own = dict(event_headers(headers))
        event = await self._decode(value)
        if endpoint.request is None:
            event_type = self._catalog.view.event_type(delivery.source.topic)
            publisher = self._catalog.view.client(event.clientid)
            workspace = self._catalog.view.workspace(endpoint.workspace)
            if workspace is not None:
                own[event_service.WORKSPACE_ID] = workspace.id.encode()
            body = render_as.render(event, own, event_type.namespace if event_type else None, publisher)
            sent = {name: value for name, value in endpoint.headers.items() if _is_free(name)}
            request = Request(method=endpoint.method, url=endpoint.url, headers=sent, body=body)
        else:
            template = authorizations.opened_template(endpoint.request, self._secrets)
            context = _context(event, headers, token)
            if len(context.body) + len(template.raw_body or "") > _QUICK:
                request = await asyncio.to_thread(_filled, endpoint, template, context)
            else:
                request = _filled(endpoint, template, context)
            sent = request.headers
        sent.setdefault("Content-Type", render_as.CONTENT_TYPE)
        trace = own.get("traceparent", b"").decode(errors="replace")
        if trace.isascii() and trace.isprintable() and trace:
            # Whoever posted the event may have put anything there: a line break would keep it from ever being sent.
            sent["traceparent"] = trace
        sent |= signature_headers(self._signing_keys(endpoint), delivery.id, timestamp, request.body)
        return request

    async def _decode(self, value: bytes | None) -> DecodedEvent:
        if value is None:
            raise CorruptRecord("a delivery without a value")
        schema_id, _ = unframe(value)
        decoder = self._decoders.get(schema_id)
        if decoder is None:
            schema = await self._catalog.lookup(lambda view: view.schema(schema_id))
            if schema is None:
                raise CorruptRecord(f"there is no schema {schema_id}")
            decoder = self._decoders[schema_id] = EventDecoder(schema.text)
        return decoder.decode(value)

    def _signing_keys(self, endpoint: Endpoint) -> list[bytes]:
        return [self._signing_key(sealed) for sealed in endpoint.signing_secrets]

    def _signing_key(self, sealed: str) -> bytes:
        key = self._keys.get(sealed)
        if key is None:
            if len(self._keys) >= _REMEMBERED_KEYS:
                self._keys.clear()
            key = self._keys[sealed] = signing_key(self._secrets.open(sealed))
        return key


def _is_free(name: str) -> bool:
    lowered = name.lower()
    return lowered not in _RESERVED and not lowered.startswith("webhook-")


def _filled(endpoint: Endpoint, template: RequestTemplate, context: templates.Context) -> Request:
    filled = templates.fill(endpoint, template, context)
    headers = {}
    for name, value in filled.headers.items():
        if name.lower() == "content-type":
            headers["Content-Type"] = value
        elif _is_free(name):
            headers[name] = value
    return Request(
        method=endpoint.method,
        url=filled.url,
        headers=headers,
        body=filled.body,
        query=filled.query,
        base_url=filled.base_url,
    )


def _context(event: DecodedEvent, headers: Headers, token: TokenAnswer | None) -> templates.Context:
    """What a template can name: the event, the request that it came with, and the answer with the access token."""
    received = received_request(headers) or ReceivedRequest()
    return templates.Context(
        body=event.data_json(),
        headers=received.headers,
        query=received.query,
        token_body=token.members if token else {},
        token_headers=token.answer.headers if token else {},
    )
