"""What routes that publish do alike: read the body once, and publish it once for each idempotency key."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from backbone.publishing.publisher import IdempotencyKey
from ingest_api.http import JSON
from schemas.model.errors import UnsupportedMediaType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ingest_api.gateway import Gateway
    from ingest_api.http import Request
    from schemas.model.access import Client
    from schemas.model.event import EventDraft, Receipt


class Posted(NamedTuple):
    """A body, and the ``Idempotency-Key`` that came with it."""

    body: bytes
    key: str | None


async def read_json(request: Request, *, batch: bool = False, typed: bool = True) -> Posted:
    """Read what was posted.

    Args:
        request: it is read to its end.
        batch: it has many events, and is bounded as a whole.
        typed: it must say that it is JSON.

    Raises:
        UnsupportedMediaType: it is not JSON, or in another charset or coding than JSON's.
        InvalidRequest: the key is not one.
        PayloadTooLarge: the body, or the event, is over the limit.
    """
    media_type = request.media_type()
    if typed and media_type != JSON and not media_type.endswith(b"+json"):
        raise UnsupportedMediaType("The body must be application/json.")
    key = request.idempotency_key()
    return Posted(await (request.body() if batch else request.event()), key)


async def publish_json(
    gateway: Gateway,
    family: str,
    client: Client,
    posted: Posted,
    drafts: list[EventDraft],
    *,
    besides: bytes = b"",
    first: Callable[[], Awaitable[None]] | None = None,
) -> list[Receipt]:
    """Publish what was made of a body; see ``Gateway.publish``.

    Args:
        gateway: of this worker.
        family: its name, as in metrics.
        client: who posted it.
        posted: the body, and its key.
        drafts: the events that were made of it.
        besides: what else must be the same in a repeat with that key.
        first: changes the catalog for the events, once the quotas have admitted them.
    """
    key = None
    if posted.key:
        body_hash = hashlib.sha256(besides + posted.body).digest()
        key = IdempotencyKey(client=client.unique_id, key=posted.key, body_hash=body_hash)
    return await gateway.publish(family, drafts, key, size=len(posted.body), first=first)
