"""A link that was answered is obeyed: what is posted after it arrives, what was posted before it does not."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

import pytest

from backbone.catalog.reader import Catalog
from backbone.catalog.writer import CatalogWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from schemas.event_type import EventType
    from schemas.subscription import Endpoint, EventFilter, Subscription
    from tests.component.stream_processors.installation import Installation

TYPES, PAIRS = 25, 10
"""Event types, and filters with an endpoint of their own on each: 250 first links and as many that link again."""


class Pair(NamedTuple):
    """A filter that only its own events pass, and its endpoint."""

    number: int
    event_type: EventType
    event_filter: EventFilter
    endpoint: Endpoint

    @property
    def data(self) -> str:
        return f'{{"pair": {self.number}}}'


@pytest.mark.timeout(120)
async def test_every_event_posted_after_a_link_was_answered_arrives_and_none_from_before(
    installation: Installation,
) -> None:
    pairs = await _pairs(installation)
    endpoints = {pair.endpoint.id for pair in pairs}

    async with _other_worker(installation) as other:
        # Two workers of the API take turns with the links; the events are posted by a producer of its own.
        writers = [installation.writer, other]

        async def link_and_post(pair: Pair, writer: CatalogWriter, run: str) -> Subscription:
            await installation.publish(pair.event_type, f"{run}-before-{pair.number}", data=pair.data)
            made = await installation.link(pair.event_filter, pair.endpoint, writer=writer)
            await installation.publish(pair.event_type, f"{run}-after-{pair.number}", data=pair.data)
            return made

        async def all_link_and_post(run: str) -> list[Subscription]:
            links: list[Subscription] = []
            # As many at once as there are types: in the first round of these, each is its topic's first subscription.
            for first in range(0, len(pairs), TYPES):
                writer = writers[first // TYPES % 2]
                links += await asyncio.gather(
                    *(link_and_post(pair, writer, run) for pair in pairs[first : first + TYPES])
                )
            return links

        with installation.worker(0), installation.worker(1):
            links = await all_link_and_post("first")
            await asyncio.to_thread(installation.wait_for_deliveries, endpoints, len(pairs))
            await asyncio.gather(*(installation.unlink(link, writer=writers[0]) for link in links))
            await all_link_and_post("again")
            found = await asyncio.to_thread(installation.wait_for_deliveries, endpoints, 2 * len(pairs))

    owner = {pair.endpoint.id: pair.number for pair in pairs}
    assert sorted((each.event, owner[each.endpoint]) for each in found) == sorted(
        (f"{run}-after-{pair.number}", pair.number) for run in ("first", "again") for pair in pairs
    )
    for event_type in {pair.event_type.topic: pair.event_type for pair in pairs}.values():
        receipts = await asyncio.to_thread(installation.receipts, event_type.topic)
        for covered in receipts.values():
            assert [each.first_offset for each in covered[1:]] == [each.next_offset for each in covered[:-1]]


async def _pairs(installation: Installation) -> list[Pair]:
    types = await asyncio.gather(*(installation.event_type(f"Type{number}", partitions=1) for number in range(TYPES)))

    async def pair(number: int) -> Pair:
        event_type = types[number % TYPES]
        event_filter, endpoint = await asyncio.gather(
            installation.event_filter(event_type.code, condition=f'{{"data": {{"pair": [{number}]}}}}'),
            installation.endpoint(f"endpoint-{number}"),
        )
        return Pair(number, event_type, event_filter, endpoint)

    # Queued writes commit together.
    return await asyncio.gather(*(pair(number) for number in range(TYPES * PAIRS)))


@contextlib.asynccontextmanager
async def _other_worker(installation: Installation) -> AsyncIterator[CatalogWriter]:
    """Another API worker's catalog writer, with a catalog of its own."""
    catalog = Catalog(installation.settings)
    catalog.start()
    writer = CatalogWriter(catalog, installation.settings)
    try:
        await catalog.caught_up()
        writer.start()
        yield writer
    finally:
        writer.stop()
        catalog.stop()
