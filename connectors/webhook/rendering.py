"""From a delivery record to the HTTP request that is sent: body, headers, signature."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog import endpoint_credentials
from connectors.shared import cloudevents
from connectors.shared.event_reader import EventReader
from connectors.webhook.ordered import templates
from connectors.webhook.projecting import Projector
from connectors.webhook.shared_bodies import SharedBodies
from connectors.webhook.signing import signature_headers, signing_key
from connectors.webhook.transport import RequestSpan
from schemas.model import timestamps
from schemas.model.contract_call import ReceivedRequest, received_request
from schemas.model.delivery import event_headers
from schemas.model.errors import Misconfigured
from schemas.model.ids import LIVE, TEST
from schemas.model.request_headers import is_free

if TYPE_CHECKING:
    from backbone.catalog.reader import Catalog
    from backbone.catalog.secrets import SecretBox
    from backbone.tracing.spans import Tracing
    from connectors.shared.body import Bodies
    from connectors.webhook.token_urls import TokenResponse
    from schemas.avro.codec import DecodedEvent
    from schemas.model.delivery import Delivery, Headers
    from schemas.model.endpoint import Endpoint, RequestTemplate

_JSON = "application/json; charset=utf-8"

_REMEMBERED_KEYS = 10_000

_QUICK = 65_536
"""Bytes of an event and its template that are filled in on the event loop; larger ones go to a thread."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is ready to be sent: its body is signed.

    ``query`` has the parameters that a template added to its URL, ``base_url``. ``body_limit`` is the most bytes that
    are read of the response, None: the transport's own limit. ``span`` ends when it was sent, None: it has none.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, str] = {}
    base_url: str = ""
    body_limit: int | None = None
    span: RequestSpan | None = None


class Renderer:
    """Renders deliveries; signing keys are kept per stored secret.

    Args:
        catalog: knows the schemas and event types.
        secrets: decrypts the endpoints' signing secrets.
        bodies: the formats that endpoints may ask for.
        tracing: makes a span for each request; None makes none.
    """

    def __init__(self, catalog: Catalog, secrets: SecretBox, bodies: Bodies, *, tracing: Tracing | None = None) -> None:
        self._events = EventReader(catalog)
        self._shared = SharedBodies(self._events)
        self._projector = Projector(catalog)
        self._secrets = secrets
        self._bodies = bodies
        self._tracing = tracing
        self._keys: dict[str, bytes] = {}

    async def request(
        self,
        value: bytes | None,
        headers: Headers,
        delivery: Delivery,
        endpoint: Endpoint,
        timestamp: int,
        *,
        token: TokenResponse | None = None,
    ) -> Request:
        """Render the signed request for one try.

        Args:
            value: of the delivery's record.
            headers: all of the record's.
            delivery: what they say.
            endpoint: where it goes.
            timestamp: of the try, seconds since the epoch.
            token: the ``oauthResponse`` of a request template.

        Raises:
            CorruptRecord: the event cannot be read.
            Misconfigured: the endpoint has no URL, an unknown body format, or a secret that cannot be decrypted.
            ProjectionFailed: the endpoint's projection cannot be evaluated for the event.
            Unavailable: Kafka does not tell whether the event's schema exists.
        """
        endpoint = endpoint_credentials.with_plain_headers(endpoint, self._secrets)
        body_format = self._bodies.get(endpoint.body)
        if body_format is None or endpoint.url is None:
            raise Misconfigured(f"endpoint {endpoint.id} has no URL, or a body format that this connector lacks")
        own = dict(event_headers(headers))
        if endpoint.request is None:
            topic, workspace = delivery.source.topic, endpoint.workspace
            sent = {name: value for name, value in endpoint.headers.items() if is_free(name)}
            if delivery.projection is None:
                body = await self._shared.body(value, own, topic, workspace, body_format)
            else:
                whole = await self._shared.body(value, own, topic, workspace, cloudevents)
                body, is_cloudevent = await self._projector.project(whole, delivery, delivery.projection)
                sent["Content-Type"] = cloudevents.CONTENT_TYPE if is_cloudevent else _JSON
            request = Request(method=endpoint.method, url=endpoint.url, headers=sent, body=body)
        else:
            event = await self._events.decode(value)
            template = endpoint_credentials.opened_template(endpoint.request, self._secrets)
            context = _context(event, headers, token)
            if len(context.body) + len(template.raw_body or "") > _QUICK:
                request = await asyncio.to_thread(_filled, endpoint, template, context)
            else:
                request = _filled(endpoint, template, context)
            sent = request.headers
        sent.setdefault("Content-Type", body_format.CONTENT_TYPE)
        trace = own.get("traceparent", b"").decode(errors="replace")
        if trace.isascii() and trace.isprintable() and trace:
            # The producer may have put anything there: a line break would keep the event from ever being sent.
            sent["traceparent"] = trace
        if delivery.run.startswith(TEST):
            sent["webhook-test"] = "true"
        elif delivery.run != LIVE:
            sent["webhook-replay"] = delivery.run
        sent |= signature_headers(self._signing_keys(endpoint), delivery.id, timestamp, request.body)
        if self._tracing is None:
            return request
        span = self._tracing.requesting(request.method, request.base_url or request.url, delivery, own, sent)
        return msgspec.structs.replace(request, span=span)

    def _signing_keys(self, endpoint: Endpoint) -> list[bytes]:
        return [self._signing_key(sealed) for sealed in endpoint.secrets_at(timestamps.now())]

    def _signing_key(self, sealed: str) -> bytes:
        key = self._keys.get(sealed)
        if key is None:
            if len(self._keys) >= _REMEMBERED_KEYS:
                self._keys.clear()
            key = self._keys[sealed] = signing_key(self._secrets.open(sealed))
        return key


def _filled(endpoint: Endpoint, template: RequestTemplate, context: templates.Context) -> Request:
    filled = templates.fill(endpoint, template, context)
    headers = {}
    for name, value in filled.headers.items():
        if name.lower() == "content-type":
            headers["Content-Type"] = value
        elif is_free(name):
            headers[name] = value
    return Request(
        method=endpoint.method,
        url=filled.url,
        headers=headers,
        body=filled.body,
        query=filled.query,
        base_url=filled.base_url,
    )


def _context(event: DecodedEvent, headers: Headers, token: TokenResponse | None) -> templates.Context:
    """The values that a template can name: the event, the request it came with, the response with the access token."""
    received = received_request(headers) or ReceivedRequest()
    return templates.Context(
        body=event.data_json(),
        headers=received.headers,
        query=received.query,
        token_body=token.members if token else {},
        token_headers=token.response.headers if token else {},
    )
