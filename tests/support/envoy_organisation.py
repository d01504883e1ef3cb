"""An Envoy organisation of a test's own, its users, and events about its shipments."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.running_gateway import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from tests.support.running_gateway import RunningGateway

OWN_API = "/headrace/v1"
NAMESPACE = "shipments"
CODE = "updated"
SHIPMENTS = "shipments:read"
MINE = "shipments:read:own"
MANAGE = "events:manage"
"""The scope that deprovisioning needs, and naming public namespaces."""


@dataclass(frozen=True, kw_only=True)
class User:
    """One that calls the Envoy API with its access token."""

    id: str
    organisation: str
    token: str
    gateway: RunningGateway

    def client(self) -> httpx.Client:
        """Calls the gateway with the access token."""
        return self.gateway.client(self.token)

    def call(self, operation: str, method: str = "GET", **options: Any) -> httpx.Response:
        """An operation of the document by the last part of its path."""
        with self.client() as http:
            return http.request(method, f"/events/{operation}", **options)

    def connection_token(self) -> str:
        """To connect with."""
        return str(self.call("connection_token").raise_for_status().json()["token"])

    def subscription_token(self, channel: str) -> str:
        """To join a channel with."""
        answer = self.call("subscription_token", json={"channel": channel})
        return str(answer.raise_for_status().json()["token"])


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """Its name is that of its workspace."""

    name: str
    gateway: RunningGateway

    def admin(self) -> httpx.Client:
        """Our own API, in the organisation's workspace."""
        return self.gateway.client(ADMIN_KEY, params={"workspace": self.name})

    def user(self, *scopes: str, lifetime: int | None = None) -> User:
        """A new user with an access token, which lasts for so many seconds if it is not to last."""
        user = f"usr_{uuid.uuid4().hex}"
        body = {"id": user, "name": user, "realm": "envoy", "roles": [], "scopes": scopes}
        with self.admin() as admin:
            admin.post(f"{OWN_API}/clients", json=body).raise_for_status()
            key = admin.post(f"{OWN_API}/clients/{user}/keys", json=lifetime and {"lifetime": lifetime})
        token = key.raise_for_status().json()["key"]
        return User(id=user, organisation=self.name, token=token, gateway=self.gateway)

    def channel(self, *users: str, namespace: str = NAMESPACE) -> str:
        """The organisation's channel, or that of users."""
        return f"{namespace}:{self.name}{'#' if users else ''}{','.join(users)}"

    def register(self, namespace: str = NAMESPACE) -> None:
        """An event type, one partition, with the attribute ``number``."""
        attributes = [{"name": "number", "type": "integer"}]
        body = {"namespace": namespace, "code": CODE, "attributes": attributes, "partitions": 1}
        with self.admin() as admin:
            admin.post(f"{OWN_API}/event-types", json=body).raise_for_status()

    def publish(self, numbers: Sequence[int], subject: str | None = None, namespace: str = NAMESPACE) -> None:
        """Events with these numbers."""
        about = {} if subject is None else {"subject": subject}
        events = [
            {
                "specversion": "1.0",
                "id": str(uuid.uuid4()),
                "source": "test",
                "type": f"{namespace}/{CODE}",
                "data": {"number": number},
                **about,
            }
            for number in numbers
        ]
        batch = {"Content-Type": "application/cloudevents-batch+json"}
        with self.admin() as admin:
            admin.post(f"{OWN_API}/events", json=events, headers=batch).raise_for_status()


def organisation(gateway: RunningGateway, *, provisioned: bool = True) -> Organisation:
    """A new one, with the event type of its shipments."""
    made = Organisation(name=f"org_{uuid.uuid4().hex}", gateway=gateway)
    with gateway.client() as admin:
        admin.post(f"{OWN_API}/workspaces", json={"name": made.name}).raise_for_status()
    made.register()
    if provisioned:
        made.user().call("provision").raise_for_status()
    return made
