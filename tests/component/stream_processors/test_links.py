"""A link that was answered is obeyed: what is posted after it arrives, what was posted before it does not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from backbone.catalog.writer import Changes
from schemas.model import timestamps
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, TypeSelection
from schemas.model.ids import new_id
from schemas.model.topics import event_topic
from tests.support.running_gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable
    from pathlib import Path

    from tests.component.stream_processors.installation import Installation

TYPES, PAIRS = 25, 6
"""Event types, and filters with an endpoint of their own on each: 150 first links and as many that link again."""

V1 = "/headrace/v1"
EVENT = {"content-type": "application/cloudevents+json"}


class Pair(NamedTuple):
    """A filter that only its own events pass, and its endpoint."""

    number: int
    event_filter: str
    endpoint: str


@pytest.mark.timeout(600)
async def test_every_event_posted_after_a_link_was_answered_arrives_and_none_from_before(
    installation: Installation, kafka_bootstrap: str, tmp_path: Path
) -> None:
    with running_gateway(kafka_bootstrap, tmp_path) as one, running_gateway(kafka_bootstrap, tmp_path) as other:
        workspace = one.create_workspace()
        _, key = one.create_client(workspace, "producer", "subscriber", "operator")
        # More calls are made at once than there are connections: to wait for one is no failure.
        options: dict[str, Any] = {
            "headers": {"authorization": f"Bearer {key}"},
            "limits": httpx.Limits(max_connections=TYPES),
            "timeout": httpx.Timeout(60, pool=None),
        }
        async with (
            httpx.AsyncClient(base_url=one.url, **options) as first,
            httpx.AsyncClient(base_url=other.url, **options) as second,
        ):
            await _all(_created(first, "registrations", code=f"Type{n}", open=True) for n in range(TYPES))
            pairs = await _pairs(installation, workspace)
            expected: set[tuple[str, str]] = set()

            async def link_and_post(pair: Pair, linking: httpx.AsyncClient, posting: httpx.AsyncClient) -> str:
                await _post(posting, pair)
                link = await _created(linking, "subscriptions", filter=pair.event_filter, endpoint=pair.endpoint)
                expected.add((await _post(posting, pair), pair.endpoint))
                return str(link["id"])

            async def all_link_and_post() -> list[str]:
                links: list[str] = []
                # As many at once as there are types: the first of these are each their topic's first subscription.
                for at in range(0, len(pairs), TYPES):
                    # What one process of the API has answered, the other's events obey; they take turns.
                    ends = (first, second) if at // TYPES % 2 else (second, first)
                    links += await _all(link_and_post(pair, *ends) for pair in pairs[at : at + TYPES])
                return links

            with installation.worker(0), installation.worker(1):
                links = await all_link_and_post()
                endpoints = {pair.endpoint for pair in pairs}
                await asyncio.to_thread(installation.wait_for_deliveries, endpoints, len(pairs))
                await installation.delete(f"subscription/{link}" for link in links)
                links = await all_link_and_post()
                found = await asyncio.to_thread(installation.wait_for_deliveries, endpoints, 2 * len(pairs))
            # The routers of later tests read every topic that has a subscription.
            await installation.delete(f"subscription/{link}" for link in links)

    assert sorted((each.event, each.endpoint) for each in found) == sorted(expected)
    for number in range(TYPES):
        receipts = await asyncio.to_thread(installation.receipts, event_topic(workspace, "events", f"Type{number}"))
        for covered in receipts.values():
            assert [each.first_offset for each in covered[1:]] == [each.next_offset for each in covered[:-1]]


async def _pairs(installation: Installation, workspace: str) -> list[Pair]:
    """All pairs in one write: how long their requests take is not the point."""
    now = timestamps.now()
    common: dict[str, Any] = {"workspace": workspace, "created_at": now, "updated_at": now}
    pairs: list[Pair] = []
    made: list[EventFilter | Endpoint] = []
    for number in range(TYPES * PAIRS):
        types = (TypeSelection(namespace="events", code=f"Type{number % TYPES}"),)
        condition = f'{{"data": {{"pair": [{number}]}}}}'
        event_filter = EventFilter(id=new_id(), name=f"filter-{number}", types=types, condition=condition, **common)
        url = "https://example.org/"
        endpoint = Endpoint(id=new_id(), name=f"endpoint-{number}", type=EndpointType.WEB_HOOK, url=url, **common)
        pairs.append(Pair(number, event_filter.id, endpoint.id))
        made += [event_filter, endpoint]
    await installation.writer.write(lambda _: Changes(result=None, put=made))
    return pairs


async def _created(http: httpx.AsyncClient, resource: str, **members: Any) -> dict[str, Any]:
    answer = await http.post(f"{V1}/{resource}", json=members)
    assert answer.is_success, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def _post(http: httpx.AsyncClient, pair: Pair) -> str:
    event = {"specversion": "1.0", "type": f"Type{pair.number % TYPES}", "data": {"pair": pair.number}}
    answer = await http.post(f"{V1}/events", json=event, headers=EVENT)
    assert answer.is_success, answer.text
    return str(answer.json()["id"])


async def _all(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*calls)
