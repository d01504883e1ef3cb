"""Publishes the response of an endpoint as a new event, where the endpoint has ``reply_to``.

Replies can go in circles. Each counts the replies that led to it, and the one past ``MAX_DEPTH`` is not published.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.retrying import retry
from schemas.model.contract_call import ReceivedRequest, kept_url, kept_values, received_request
from schemas.model.errors import HeadraceError
from schemas.model.event import EventDraft
from schemas.model.event_type import RegistrationKind

if TYPE_CHECKING:
    from backbone.catalog.reader import Catalog
    from backbone.publishing.publisher import Publisher
    from connectors.webhook.transport import Response
    from schemas.model.delivery import Delivery, Headers
    from schemas.model.endpoint import Endpoint
    from schemas.model.event_type import EventType

log = logging.getLogger(__name__)

MAX_DEPTH = 8
"""Most replies in a row, each to the one before."""


class Replies:
    """Publishes responses, at least once, like the calls that they belong to.

    Args:
        catalog: has the event types and their publishers.
        publisher: of this process.
    """

    def __init__(self, catalog: Catalog, publisher: Publisher) -> None:
        self._catalog = catalog
        self._publisher = publisher

    async def publish(self, endpoint: Endpoint, headers: Headers, delivery: Delivery, response: Response) -> str | None:
        """Publish a response to the endpoint's ``reply_to``; return why it was not published, or None.

        Args:
            endpoint: that responded.
            headers: of the delivery's record.
            delivery: that it responded to.
            response: with a body that is JSON, or else is published as a JSON string; without one as ``{}``.
        """
        refusal = await self._try(endpoint, headers, delivery, response)
        if refusal is not None:
            log.warning("an answer is not published: %s", refusal, extra={"delivery": delivery.id})
        return refusal

    async def _try(self, endpoint: Endpoint, headers: Headers, delivery: Delivery, response: Response) -> str | None:
        asked = received_request(headers) or ReceivedRequest()
        if asked.depth >= MAX_DEPTH:
            return f"it would be reply {asked.depth + 1} in a row; at most {MAX_DEPTH} are published"
        if response.truncated:
            return "the answer is too large for an event"
        event_type = self._catalog.view.event_type(endpoint.reply_to or "")
        # An endpoint that was imported could name another workspace's type.
        if event_type is None or event_type.workspace != endpoint.workspace:
            return f"there is no event type {endpoint.reply_to}"
        client = self._publisher_of(event_type) or endpoint.client
        if client is None:
            return f"nobody publishes {event_type.namespace}/{event_type.code}"
        publisher = self._catalog.view.client(event_type.workspace, client)
        source = self._catalog.view.event_type(delivery.source.topic)
        request = ReceivedRequest(
            url=kept_url(endpoint.url or ""),
            headers={name.lower(): text for name, text in kept_values(response.headers).items()},
            reply_from=source.code if source else delivery.source.topic,
            depth=asked.depth + 1,
        )
        draft = EventDraft(
            workspace=event_type.workspace,
            namespace=event_type.namespace,
            code=event_type.code,
            client=client,
            publisher=client if publisher is None else publisher.unique_id,
            data=_json(response.body or ""),
            request=request.to_header(),
        )
        try:
            await retry(lambda: self._publisher.publish([draft], final=True))
        except HeadraceError as error:
            return str(error)
        return None

    def _publisher_of(self, event_type: EventType) -> str | None:
        registrations = self._catalog.view.registrations_for(event_type.topic)
        published = (each.client for each in registrations if each.registration is RegistrationKind.PUBLISH)
        return next(published, None)


def _json(text: str) -> bytes:
    if not text.strip():
        return b"{}"
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.json.encode(text)
    return text.encode()
