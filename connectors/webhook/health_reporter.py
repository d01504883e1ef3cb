"""Writes what the health book has to tell, once a second."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from backbone.kafka.retrying import retry
from schemas.model import timestamps

if TYPE_CHECKING:
    from backbone.catalog.reader import Catalog
    from backbone.kafka.producer import Producer
    from connectors.webhook.endpoint_states import EndpointStates
    from connectors.webhook.health import HealthBook

log = logging.getLogger(__name__)

_EVERY = 1.0
"""Seconds between two looks."""

_FORGET_EVERY = 60
"""Looks between two searches for endpoints that nothing is sent to."""


_SETTLED = 600 * 1_000_000
"""Microseconds after which a health without an endpoint is that of a deleted one."""


async def report_health(book: HealthBook, states: EndpointStates, catalog: Catalog, producer: Producer) -> None:
    """Write healths, and remove those of deleted endpoints, until it is cancelled."""
    looks = 0
    while True:
        await asyncio.sleep(_EVERY)
        looks += 1
        now = timestamps.now()
        records = book.due(now)
        if looks % _FORGET_EVERY == 0:
            book.forget_idle(now)
            records += states.of_deleted(catalog.view, now - _SETTLED)
        if not records:
            continue
        try:
            await retry(partial(producer.send, records, final=True))
        except Exception:  # what was not written now is written with the next change
            log.exception("the health of endpoints cannot be written")
