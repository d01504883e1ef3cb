"""eventhos on a running gateway, as its managers and senders call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    import httpx

    from tests.support.running_gateway import RunningGateway

SEED_BODY = {
    "name": "Morpheush",
    "job": "Leader",
    "id": "199",
    "createdAt": "2020-02-20T11:00:28.107Z",
}
"""The request body that the document prints."""

PAGING = {"items", "pageIndex", "itemsPerPage", "totalItems", "totalPages"}
CHANGED = {"code": 200001, "message": "success"}
TARGET = "http://127.0.0.1:9/target"
"""Port 9 discards: nobody waits for what a contract does there."""


@dataclass(frozen=True, kw_only=True)
class EventhosClient:
    """A client: its integer id, and what ``POST /auth/token`` takes."""

    id: int
    client_id: str
    secret: str

    def credentials(self, **changes: str) -> dict[str, str]:
        """The fields of a token request."""
        fields = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.secret}
        return fields | changes


@dataclass(frozen=True, kw_only=True)
class EventhosEvent:
    """An event that a system with a client of its own sends."""

    id: int
    system: int
    identifier: str
    client: EventhosClient
    token: str


@dataclass(frozen=True, kw_only=True)
class Eventhos:
    """A manager with all permissions, and what it makes; every name is one that no other test uses."""

    gateway: RunningGateway
    token: str

    def manager(self) -> httpx.Client:
        """Calls with all permissions."""
        return self.gateway.client(self.token)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A call with no other credentials than those of ``options``."""
        with self.gateway.client(None) as http:
            return http.request(method, path, **options)

    def make(self, path: str, member: str, **body: Any) -> Any:
        """Create something; the ``member`` of the answer's content."""
        with self.manager() as http:
            answer = http.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["content"][member]

    def client(self, *permissions: str) -> EventhosClient:
        """A client with a role of its own, if it is to have permissions."""
        roles = [self.make("/auth/role", "roleId", identifier=unique(), permissions=permissions)] if permissions else []
        with self.manager() as http:
            body = {"identifier": unique(), "name": "A client", "roles": roles, "description": "Of a test."}
            made = http.post("/auth/client", json=body).raise_for_status().json()["content"]
        return EventhosClient(id=made["id"], client_id=made["clientId"], secret=made["clientSecret"])

    def token_of(self, client: EventhosClient) -> str:
        """A token for a client."""
        with self.gateway.client(None) as http:
            answer = http.post("/auth/token", data=client.credentials())
        token: str = answer.raise_for_status().json()["content"]["jwt_token"]
        return token

    def system(self, client: EventhosClient | None = None, *, kind: str = "hybrid") -> int:
        """A system; its id."""
        members = {} if client is None else {"clientId": client.id}
        body = {"identifier": unique(), "name": "A system", "type": "test", "description": "", **members}
        made: int = self.make("/system", "systemId", systemClass=kind, **body)
        return made

    def event(self, system: int | None = None, client: EventhosClient | None = None) -> EventhosEvent:
        """An event, of a system and with a client of its own unless there is one."""
        client = client or self.client()
        system = system or self.system(client)
        body = {"identifier": "new-bomb", "name": unique(), "operation": "new", "description": "Of a test."}
        made = self.make("/event", "eventId", system_id=system, **body)
        with self.manager() as http:
            rows = http.get("/event", params={"eventName": body["name"]}).raise_for_status().json()["content"]["items"]
        return EventhosEvent(
            id=made, system=system, identifier=rows[0]["identifier"], client=client, token=self.token_of(client)
        )

    def action(self, system: int, url: str, **members: Any) -> int:
        """An action that posts the event on, unless told otherwise; its id."""
        body = {"identifier": unique(), "name": "An action", "operation": "process", "url": url, "method": "post"}
        made: int = self.make("/action", "actionId", system_id=system, **(body | members))
        return made

    def contract(self, event: EventhosEvent, action: int, order: int = 1) -> int:
        """A contract; its id."""
        body = {"eventId": event.id, "actionId": action, "name": unique(), "identifier": unique(), "order": order}
        made: int = self.make("/contract", "actionId", **body)
        return made

    def linked_event(self) -> EventhosEvent:
        """An event with an active contract."""
        event = self.event()
        self.contract(event, self.action(event.system, TARGET))
        return event

    def send(
        self, event: EventhosEvent | str, access_key: str | None = None, *, json: Any = SEED_BODY, **options: Any
    ) -> httpx.Response:
        """``POST /event/send`` with the event's own token unless another is given; ``""`` sends none."""
        identifier = event if isinstance(event, str) else event.identifier
        key = access_key if isinstance(event, str) or access_key is not None else event.token
        if "content" not in options:
            options["json"] = json
        options["headers"] = {**({"access-key": key} if key else {}), **options.get("headers", {})}
        query = {"event-identifier": identifier, **options.pop("params", {})}
        with self.gateway.client(None) as http:
            return http.post("/event/send", params=query, **options)

    def stored(self, event: EventhosEvent) -> int:
        """How many records the event's topic has."""
        return self.gateway.records("default", "eventhos", event.identifier)


def eventhos_on(gateway: RunningGateway) -> Eventhos:
    """eventhos with a manager of the test's own, made through the gateway's own API."""
    with gateway.client() as admin:
        body = {"name": unique(), "realm": "eventhos", "roles": [], "scopes": ["OAUTH2_global:*"]}
        made = admin.post("/headrace/v1/clients", json=body).raise_for_status().json()
        key = admin.post(f"/headrace/v1/clients/{made['id']}/keys").raise_for_status().json()["key"]
    manager = EventhosClient(id=0, client_id=made["id"], secret=key)
    with gateway.client(None) as http:
        answer = http.post("/auth/token", data=manager.credentials()).raise_for_status()
    return Eventhos(gateway=gateway, token=answer.json()["content"]["jwt_token"])


def unique() -> str:
    """A name that nobody has used."""
    return f"test-{uuid4()}"


def refused(response: httpx.Response, code: int) -> str:
    """The message of a refusal; its status is the first three digits of the code."""
    assert (response.status_code, response.json()["code"]) == (code // 1000, code), response.text
    message: str = response.json()["message"]
    assert message
    return message


def content(response: httpx.Response) -> Any:
    """What a query was answered."""
    assert (response.status_code, response.json()["code"]) == (200, 200000), response.text
    return response.json()["content"]


def named(http: httpx.Client, path: str, number: int) -> dict[str, Any]:
    """The row with an id in a list."""
    items = content(http.get(path, params={"itemsPerPage": 1000}))["items"]
    row: dict[str, Any]
    (row,) = (each for each in items if each["id"] == number)
    return row
