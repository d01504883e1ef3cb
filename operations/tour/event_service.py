"""The event service in the tour and the fixtures: a client of its API, workspaces, and crossings on a websocket."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import aiohttp

from operations.errors import CallFailed, TourFailed
from schemas.model.ids import derived

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from operations.api.client import OwnApi
    from operations.tour.reporter import Narrator

WORKSPACES = ("W1", "W2")
GRAPHQL_ROLES = ["subscriber", "viewer"]
"""A client of this API reads its workspace, and makes endpoints and event filters."""

EVENT_TYPES = ("IDENTIFICATION", "NON_IDENTIFICATION", "HAR", "ROI", "CROSSING", "FACE_HIDE_CONTROL")
"""Those that the documents name."""

FILTER, FILTERED = "F1", "IDENTIFICATION"
"""The name of the event filter, and the type that it lets through."""

_FIND_FILTERS = "{ eventsFilters { collectionItems { id name } } }"
_CREATE_FILTER = """
mutation ($name: String!, $type: String!) {
  createEventFilters(name: $name, eventFiltersInput: {in: {eventTypes: [$type]}}) { id }
}
"""
_RESTORE_FILTER = """
mutation ($id: ID!, $type: String!) {
  updateEventFilters(eventFiltersId: $id, eventFiltersInput: {in: {eventTypes: [$type]}}) { id }
}
"""

TOUR_WORKSPACE = "headrace-tour"
TOUR_TYPE = "CROSSING"
UNWANTED, WANTED = "gate-2", "gate-1"
"""Cameras: the filter wants what one of them saw."""

_CREATE_ENDPOINT = 'mutation { createWebSocketEndpoint(name: "tour") { id type } }'
_CREATE_TOUR_FILTER = """
mutation ($endpoint: ID!, $wanted: ConditionFields!) {
  createEventFilters(name: "tour", eventFiltersInput: {in: $wanted}, endpointIds: [$endpoint]) { id }
}
"""
_DELETE_ENDPOINT = "mutation ($id: ID!) { deleteEndpoints(endpointIds: [$id]) { ok } }"
_DELETE_FILTER = "mutation ($id: ID!) { deleteEventFilters(eventFiltersIds: [$id]) { ok } }"


class EventServiceApi:
    """The GraphQL API of a running gateway, with one API key."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = f"{url}/event-service/graphql"
        self._headers = {"Authorization": f"Bearer {key}"}

    async def execute(self, document: str, **variables: Any) -> Any:
        """``data`` of a document.

        Raises:
            CallFailed: it has errors.
        """
        body = {"query": document, "variables": variables}
        async with self._session.post(self._url, json=body, headers=self._headers) as response:
            answer = await response.json() if response.content_type.endswith("json") else {}
            if not response.ok or "errors" in answer:
                raise CallFailed(f"POST {self._url}", response.status, await response.text())
            return answer["data"]


async def event_service_workspaces(api: OwnApi, session: aiohttp.ClientSession) -> dict[str, dict[str, Any]]:
    """Two workspaces, each with a key of this family and one of an operator; in the first, an event filter.

    The keys are new each time. The operator publishes events of the documents' types, through our own API.
    """
    made: dict[str, dict[str, Any]] = {}
    for name in WORKSPACES:
        workspace = await api.workspace(name)
        client, operator = derived("fixture", "event service", name), derived("fixture", "event operator", name)
        await api.client(client, workspace=name, name="event service", realm="graphql", roles=GRAPHQL_ROLES)
        await api.client(operator, workspace=name, name="operator", roles=["operator"])
        for code in EVENT_TYPES:
            await api.post("/event-types", {"code": code, "open": True, "partition_key": "source"}, workspace=name)
        made[name] = {
            "id": workspace["id"],
            "name": workspace["name"],
            "event_types": list(EVENT_TYPES),
            "key": await api.new_key(client, workspace=name),
            "operator_key": await api.new_key(operator, workspace=name),
        }
    calls = EventServiceApi(session, api.url, made[WORKSPACES[0]]["key"])
    made[FILTER] = {"id": await _filter(calls), "workspace": WORKSPACES[0], "event_types": [FILTERED]}
    return made


async def _filter(calls: EventServiceApi) -> str:
    for found in (await calls.execute(_FIND_FILTERS))["eventsFilters"]["collectionItems"]:
        if found["name"] == FILTER:
            known: str = found["id"]
            await calls.execute(_RESTORE_FILTER, id=known, type=FILTERED)
            return known
    created = await calls.execute(_CREATE_FILTER, name=FILTER, type=FILTERED)
    new: str = created["createEventFilters"]["id"]
    return new


async def play(
    session: aiohttp.ClientSession, api: OwnApi, node_url: str, narrator: Narrator, longest_wait: float
) -> None:
    """Set the websocket up, publish and check; ``longest_wait`` in seconds for the arrival."""
    narrator.step("A viewer makes a websocket and an event filter, over the event service's GraphQL")
    await api.workspace(TOUR_WORKSPACE)
    # By its source: one publisher's events stay in order.
    event_type = {"code": TOUR_TYPE, "open": True, "partition_key": "source"}
    await api.post("/event-types", event_type, workspace=TOUR_WORKSPACE)
    client = derived("tour", "event service")
    await api.client(client, workspace=TOUR_WORKSPACE, name="viewer", realm="graphql", roles=GRAPHQL_ROLES)
    key = await api.new_key(client, workspace=TOUR_WORKSPACE)
    async with _endpoint(EventServiceApi(session, api.url, key), narrator) as endpoint:
        address = f"{node_url}/event-service/ws?endpoint_id={endpoint}"
        headers = {"Authorization": f"Bearer {key}"}
        try:
            connection = await session.ws_connect(address, headers=headers)
        except aiohttp.WSServerHandshakeError as error:
            raise TourFailed(f"The tour failed: {address} answers {error.status}") from error
        async with connection:
            narrator.show("connected", address)
            narrator.step("The websocket receives what the filter lets through")
            for camera in (UNWANTED, WANTED):
                published = await api.publish(_data(camera), workspace=TOUR_WORKSPACE, type=TOUR_TYPE)
            message = await _next(connection, longest_wait)
        narrator.check(
            f"{TOUR_TYPE} at {WANTED} on the event service's websocket",
            arrived=message is not None,
            # The first that came is the second that was published.
            other_camera_kept_back=message is not None and message["id"] == published,
            data_as_sent=message is not None and (message["type"], message["data"]) == (TOUR_TYPE, _data(WANTED)),
        )
        narrator.show("message", json.dumps(message))


@contextlib.asynccontextmanager
async def _endpoint(calls: EventServiceApi, narrator: Narrator) -> AsyncIterator[str]:
    """The id of a websocket endpoint with an event filter; both are there while the context is open."""
    async with contextlib.AsyncExitStack() as made:
        endpoint: str = (await calls.execute(_CREATE_ENDPOINT))["createWebSocketEndpoint"]["id"]
        made.push_async_callback(calls.execute, _DELETE_ENDPOINT, id=endpoint)
        narrator.show("endpoint", endpoint)
        wanted = {"eventTypes": [TOUR_TYPE], "cameraIds": [WANTED]}
        created = await calls.execute(_CREATE_TOUR_FILTER, endpoint=endpoint, wanted=wanted)
        made.push_async_callback(calls.execute, _DELETE_FILTER, id=created["createEventFilters"]["id"])
        narrator.show("filter", wanted)
        yield endpoint


def _data(camera: str) -> dict[str, str]:
    return {"cameraId": camera, "direction": "in"}


async def _next(connection: aiohttp.ClientWebSocketResponse, longest_wait: float) -> dict[str, Any] | None:
    """The next message; None if it does not come in time."""
    try:
        message: dict[str, Any] = await connection.receive_json(timeout=longest_wait)
    except (TimeoutError, TypeError):  # the latter when the server closes
        return None
    return message
