"""Publishes what an endpoint answered as a new event (eventhos ``reply_to``).

Replies can go in circles: each says how many led to it, and past ``MAX_DEPTH`` there are no more.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from connectors.outcomes import AGAIN
from schemas.errors import HeadraceError, Unavailable
from schemas.event import EventDraft
from schemas.event_type import RegistrationKind
from schemas.execution import ReceivedRequest, kept_url, kept_values, received_request

if TYPE_CHECKING:
    from backbone.catalog.reader import Catalog
    from backbone.publisher import Publisher
    from connectors.http_client import Answer
    from schemas.delivery import Delivery, Headers
    from schemas.event_type import EventType
    from schemas.subscription import Endpoint

log = logging.getLogger(__name__)

MAX_DEPTH = 8
"""Replies in a row, each the answer to the one before."""


class Replies:
    """Publishes answers; at least once, like the calls that they answer.

    Args:
        catalog: knows the event types and who publishes them.
        publisher: of this process.
    """

    def __init__(self, catalog: Catalog, publisher: Publisher) -> None:
        self._catalog = catalog
        self._publisher = publisher

    async def publish(self, endpoint: Endpoint, headers: Headers, delivery: Delivery, answer: Answer) -> str | None:
        """Publish an answer to the endpoint's ``reply_to``; returns why it was not published, or None.

        Args:
            endpoint: that answered.
            headers: of the delivery's record.
            delivery: what was answered.
            answer: with a body that is JSON, or else is published as a JSON string; without one as ``{}``.
        """
        refusal = await self._try(endpoint, headers, delivery, answer)
        if refusal is not None:
            log.warning("an answer is not published: %s", refusal, extra={"delivery": delivery.id})
        return refusal

    async def _try(self, endpoint: Endpoint, headers: Headers, delivery: Delivery, answer: Answer) -> str | None:
        asked = received_request(headers) or ReceivedRequest()
        if asked.depth >= MAX_DEPTH:
            return f"it would be reply {asked.depth + 1} in a row; at most {MAX_DEPTH} are published"
        if answer.truncated:
            return "the answer is too large for an event"
        event_type = self._catalog.view.event_type(endpoint.reply_to or "")
        # An endpoint that was imported could name another workspace's type.
        if event_type is None or event_type.workspace != endpoint.workspace:
            return f"there is no event type {endpoint.reply_to}"
        client = self._publisher_of(event_type) or endpoint.client
        if client is None:
            return f"nobody publishes {event_type.namespace}/{event_type.code}"
        source = self._catalog.view.event_type(delivery.source.topic)
        request = ReceivedRequest(
            url=kept_url(endpoint.url or ""),
            headers={name.lower(): text for name, text in kept_values(answer.headers).items()},
            reply_from=source.code if source else delivery.source.topic,
            depth=asked.depth + 1,
        )
        draft = EventDraft(
            workspace=event_type.workspace,
            namespace=event_type.namespace,
            code=event_type.code,
            client=client,
            data=_json(answer.body or ""),
            request=request.to_header(),
        )
        while True:
            try:
                await self._publisher.publish([draft], final=True)
            except Unavailable:
                await asyncio.sleep(AGAIN)
            except HeadraceError as error:
                return str(error)
            else:
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
