"""The event-service workspaces of the fixtures, and a client of its GraphQL API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from operations.errors import CallFailed
from schemas.ids import derived

if TYPE_CHECKING:
    import aiohttp

    from operations.api import OwnApi

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
