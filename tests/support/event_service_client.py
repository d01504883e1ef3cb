"""A client of the event-service GraphQL API in a workspace of its own, for tests."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.support.running_gateway import RunningGateway

PATH = "/event-service/graphql"
_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class EventService:
    """One workspace, its GraphQL client, and a producer of our own API that publishes in it."""

    gateway: RunningGateway
    workspace: str
    key: str
    producer_key: str

    def post(self, query: str, *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        """The answer to a document, whatever it is."""
        with self.gateway.client(self.key) as http:
            return http.post(PATH, json={"query": query, **body}, headers=headers)

    def result(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """``data`` and ``errors`` of a document that could be executed."""
        response = self.post(query, variables=variables, headers=headers)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def data(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """``data`` of a document without errors."""
        found = self.result(query, variables, **headers)
        assert "errors" not in found, found
        data: dict[str, Any] = found["data"]
        return data

    def errors(self, query: str, variables: dict[str, Any] | None = None) -> list[str]:
        """The messages of a document's errors, of which there must be some."""
        messages = [error["message"] for error in self.result(query, variables)["errors"]]
        assert messages
        return messages

    def websocket(self, name: str = "socket") -> str:
        """A new websocket endpoint's id."""
        query = "mutation ($name: String!) { createWebSocketEndpoint(name: $name) { id } }"
        made: str = self.data(query, {"name": name})["createWebSocketEndpoint"]["id"]
        return made

    def webhook(self, url: str = "http://127.0.0.1:9/nobody", method: str = "POST") -> str:
        """A new webhook endpoint's id."""
        query = (
            "mutation ($url: String!, $method: String) "
            '{ createWebhookEndpoint(name: "hook", url: $url, method: $method) { id } }'
        )
        made: str = self.data(query, {"url": url, "method": method})["createWebhookEndpoint"]["id"]
        return made

    def filter(self, *, endpoints: tuple[str, ...] = (), **conditions: list[str]) -> str:
        """A new event filter's id."""
        query = (
            "mutation ($in: ConditionFields!, $ids: [ID!]) "
            "{ createEventFilters(eventFiltersInput: {in: $in}, endpointIds: $ids) { id } }"
        )
        made: str = self.data(query, {"in": conditions, "ids": list(endpoints)})["createEventFilters"]["id"]
        return made

    def ok(self, mutation: str, **variables: Any) -> bool:
        """What a mutation of ids answers; ``ids`` and ``filter`` are the arguments."""
        arguments = {"ids": "[ID!]!", "filter": "ID!"}
        declared = ", ".join(f"${name}: {arguments[name]}" for name in variables)
        answered: bool = self.data(f"mutation ({declared}) {{ done: {mutation} {{ ok }} }}", variables)["done"]["ok"]
        return answered

    def delete(self, *ids: str) -> bool:
        """``deleteEndpoints``."""
        return self.ok("deleteEndpoints(endpointIds: $ids)", ids=list(ids))

    def link(self, filter_id: str, *ids: str) -> bool:
        """``linkEndpointsToEventFilters``."""
        arguments = "(endpointIds: $ids, eventFiltersId: $filter)"
        return self.ok(f"linkEndpointsToEventFilters{arguments}", ids=list(ids), filter=filter_id)

    def unlink(self, filter_id: str, *ids: str) -> bool:
        """``unlinkEndpointsToEventFilters``."""
        arguments = "(endpointIds: $ids, eventFiltersId: $filter)"
        return self.ok(f"unlinkEndpointsToEventFilters{arguments}", ids=list(ids), filter=filter_id)

    def listed(self, arguments: str = "") -> list[str]:
        """Ids of the endpoints that a query lists."""
        query = f"{{ endpoints{arguments} {{ collectionItems {{ id }} }} }}"
        return [each["id"] for each in self.data(query)["endpoints"]["collectionItems"]]

    def linked(self, filter_id: str) -> list[str]:
        """Ids of the endpoints that a filter lists."""
        query = (
            "query ($id: ID!) { eventsFilters(filters: {id: {exact: $id}}) { collectionItems { endpoints { id } } } }"
        )
        (found,) = self.data(query, {"id": filter_id})["eventsFilters"]["collectionItems"]
        return [each["id"] for each in found["endpoints"]]

    def event_type(self, code: str) -> str:
        """Register an open event type for the producer, whose events keep their order; its code."""
        with self.gateway.client(self.producer_key) as http:
            body = {"code": code, "open": True, "partition_key": "source"}
            http.post("/headrace/v1/event-types", json=body).raise_for_status()
        return code

    def publish(self, code: str, data: Any, **attributes: str) -> str:
        """Publish an event, its data as values or as JSON; its id. ``attributes`` are of CloudEvents."""
        headers = {"ce-specversion": "1.0", "ce-type": code} | {f"ce-{name}": text for name, text in attributes.items()}
        headers["Content-Type"] = "application/json"
        content = data if isinstance(data, bytes) else json.dumps(data).encode()
        with self.gateway.client(self.producer_key) as http:
            response = http.post("/headrace/v1/events", content=content, headers=headers).raise_for_status()
        event_id: str = response.json()["id"]
        return event_id


def event_service(gateway: RunningGateway, workspace: str | None = None) -> EventService:
    """A GraphQL client and a producer, in a new workspace unless one is named."""
    workspace = workspace or gateway.create_workspace()
    return EventService(
        gateway=gateway,
        workspace=workspace,
        key=gateway.create_client(workspace, "subscriber", "viewer", realm="graphql")[1],
        producer_key=gateway.create_client(workspace, "producer")[1],
    )


def eventually(found: Callable[[], Any], *, what: str) -> Any:
    """What is found, once it is something."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {_SECONDS} s")


def unique(name: str) -> str:
    """A name of the test's own."""
    return f"{name}-{uuid4()}"
