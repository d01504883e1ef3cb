"""The tour's event-service part: a websocket made over GraphQL receives what its event filter lets through."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import aiohttp

from operations.errors import TourFailed
from operations.event_service import EventServiceApi
from schemas.ids import derived

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from operations.api import OwnApi
    from operations.narrator import Narrator

WORKSPACE = "headrace-tour"
UNWANTED, WANTED = "HAR", "CROSSING"
DATA = {"cameraId": "gate-1", "direction": "in"}

_CREATE_ENDPOINT = 'mutation { createWebSocketEndpoint(name: "tour") { id type } }'
_CREATE_FILTER = """
mutation ($endpoint: ID!, $type: String!) {
  createEventFilters(name: "tour", eventFiltersInput: {in: {eventTypes: [$type]}}, endpointIds: [$endpoint]) { id }
}
"""
_DELETE_ENDPOINT = "mutation ($id: ID!) { deleteEndpoints(endpointIds: [$id]) { ok } }"
_DELETE_FILTER = "mutation ($id: ID!) { deleteEventFilters(eventFiltersIds: [$id]) { ok } }"


async def play(
    session: aiohttp.ClientSession, api: OwnApi, socket_url: str, narrator: Narrator, patience: float
) -> None:
    """Set the websocket up, publish and check; ``patience`` in seconds for the arrival."""
    narrator.step("A viewer makes a websocket and an event filter, over the event service's GraphQL")
    await api.workspace(WORKSPACE)
    for code in (UNWANTED, WANTED):
        await api.post("/event-types", {"code": code, "open": True}, workspace=WORKSPACE)
    client = derived("tour", "event service")
    await api.client(client, workspace=WORKSPACE, name="viewer", realm="graphql", roles=[])
    key = await api.new_key(client, workspace=WORKSPACE)
    async with _endpoint(EventServiceApi(session, api.url, key), narrator) as endpoint:
        address = f"{socket_url}?endpoint_id={endpoint}"
        headers = {"Authorization": f"Bearer {key}"}
        try:
            connection = await session.ws_connect(address, headers=headers)
        except aiohttp.WSServerHandshakeError as error:
            raise TourFailed(f"The tour failed: {address} answers {error.status}") from error
        async with connection:
            narrator.show("connected", address)
            narrator.step("The websocket receives what the filter lets through")
            for code in (UNWANTED, WANTED):
                published = await api.publish(DATA, workspace=WORKSPACE, type=code)
            message = await _next(connection, patience)
        narrator.check(
            f"{WANTED} event on the event service's websocket",
            arrived=message is not None,
            # The first that came is the second that was published.
            alone=message is not None and (message["id"], message["type"]) == (published, WANTED),
            data_as_sent=message is not None and message["data"] == DATA,
        )
        narrator.show("message", json.dumps(message))


@contextlib.asynccontextmanager
async def _endpoint(calls: EventServiceApi, narrator: Narrator) -> AsyncIterator[str]:
    """The id of a websocket endpoint with an event filter; both are there while the context is open."""
    async with contextlib.AsyncExitStack() as made:
        endpoint: str = (await calls.execute(_CREATE_ENDPOINT))["createWebSocketEndpoint"]["id"]
        made.push_async_callback(calls.execute, _DELETE_ENDPOINT, id=endpoint)
        narrator.show("endpoint", endpoint)
        created = await calls.execute(_CREATE_FILTER, endpoint=endpoint, type=WANTED)
        made.push_async_callback(calls.execute, _DELETE_FILTER, id=created["createEventFilters"]["id"])
        narrator.show("filter", f"eventTypes: {WANTED}")
        yield endpoint


async def _next(connection: aiohttp.ClientWebSocketResponse, patience: float) -> dict[str, Any] | None:
    """The next message; None if it does not come in time."""
    try:
        message: dict[str, Any] = await connection.receive_json(timeout=patience)
    except (TimeoutError, TypeError):  # the latter when the server closes
        return None
    return message
