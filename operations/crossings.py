"""The tour's event-service part: a websocket made over GraphQL receives what its event filter lets through."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import aiohttp

from operations.errors import TourFailed
from operations.event_service import GRAPHQL_ROLES, EventServiceApi
from schemas.ids import derived

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from operations.api import OwnApi
    from operations.narrator import Narrator

WORKSPACE = "headrace-tour"
TYPE = "CROSSING"
UNWANTED, WANTED = "gate-2", "gate-1"
"""Cameras: the filter wants what one of them saw."""

_CREATE_ENDPOINT = 'mutation { createWebSocketEndpoint(name: "tour") { id type } }'
_CREATE_FILTER = """
mutation ($endpoint: ID!, $wanted: ConditionFields!) {
  createEventFilters(name: "tour", eventFiltersInput: {in: $wanted}, endpointIds: [$endpoint]) { id }
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
    # By its source: one publisher's events stay in order.
    event_type = {"code": TYPE, "open": True, "partition_key": "source"}
    await api.post("/event-types", event_type, workspace=WORKSPACE)
    client = derived("tour", "event service")
    await api.client(client, workspace=WORKSPACE, name="viewer", realm="graphql", roles=GRAPHQL_ROLES)
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
            for camera in (UNWANTED, WANTED):
                published = await api.publish(_data(camera), workspace=WORKSPACE, type=TYPE)
            message = await _next(connection, patience)
        narrator.check(
            f"{TYPE} at {WANTED} on the event service's websocket",
            arrived=message is not None,
            # The first that came is the second that was published.
            other_camera_kept_back=message is not None and message["id"] == published,
            data_as_sent=message is not None and (message["type"], message["data"]) == (TYPE, _data(WANTED)),
        )
        narrator.show("message", json.dumps(message))


@contextlib.asynccontextmanager
async def _endpoint(calls: EventServiceApi, narrator: Narrator) -> AsyncIterator[str]:
    """The id of a websocket endpoint with an event filter; both are there while the context is open."""
    async with contextlib.AsyncExitStack() as made:
        endpoint: str = (await calls.execute(_CREATE_ENDPOINT))["createWebSocketEndpoint"]["id"]
        made.push_async_callback(calls.execute, _DELETE_ENDPOINT, id=endpoint)
        narrator.show("endpoint", endpoint)
        wanted = {"eventTypes": [TYPE], "cameraIds": [WANTED]}
        created = await calls.execute(_CREATE_FILTER, endpoint=endpoint, wanted=wanted)
        made.push_async_callback(calls.execute, _DELETE_FILTER, id=created["createEventFilters"]["id"])
        narrator.show("filter", wanted)
        yield endpoint


def _data(camera: str) -> dict[str, str]:
    return {"cameraId": camera, "direction": "in"}


async def _next(connection: aiohttp.ClientWebSocketResponse, patience: float) -> dict[str, Any] | None:
    """The next message; None if it does not come in time."""
    try:
        message: dict[str, Any] = await connection.receive_json(timeout=patience)
    except (TimeoutError, TypeError):  # the latter when the server closes
        return None
    return message
