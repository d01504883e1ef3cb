"""Who may read what: the one rule behind the reads of every API. ``docs/security.md`` shows it as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.model.access import ApiKey, Client, Role, Workspace
from schemas.model.endpoint import Endpoint, EventFilter, Subscription
from schemas.model.errors import PermissionDenied
from schemas.model.event_type import EventType, Registration
from schemas.model.family_record import FamilyRecord
from schemas.model.growth import Growth
from schemas.model.projection import EndpointProjection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.model.resources import Resource

READERS = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
"""These roles read the whole workspace; the others read what is their own."""


class ReadScope(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may read.

    Every query of the ledger and every read of the catalog by an API takes one, so that none can forget the rule.

    Attributes:
        workspace: name of the only workspace that may be read.
        client: id of the client that may read what is its own; None allows everything in the workspace.
        endpoints: ids of that client's endpoints, whose events and deliveries it may read.
    """

    workspace: str
    client: str | None = None
    endpoints: frozenset[str] = frozenset()

    @classmethod
    def of(cls, client: Client, endpoints: Iterable[Endpoint], workspace: str | None = None) -> ReadScope:
        """The scope of a client in its own workspace, or of an administrator in any.

        Args:
            client: who reads.
            endpoints: those of the workspace; the client's own are picked out.
            workspace: name of the workspace, if it is not the client's own.

        Raises:
            PermissionDenied: the client has no role, or asks for a workspace of others.
        """
        check_has_a_role(client)
        workspace = workspace or client.workspace
        if workspace != client.workspace and Role.ADMIN not in client.roles:
            raise PermissionDenied("Only an administrator may act in another workspace.")
        if reads_workspace(client):
            return cls(workspace=workspace)
        own = frozenset(each.id for each in endpoints if each.client == client.id and each.workspace == workspace)
        return cls(workspace=workspace, client=client.id, endpoints=own)

    @classmethod
    def published_by(cls, client: Client) -> ReadScope:
        """The events that a client published, and nothing else: for families that show an account no more.

        Raises:
            PermissionDenied: the client has no role.
        """
        check_has_a_role(client)
        return cls(workspace=client.workspace, client=client.id)

    def owns(self, client: str | None) -> bool:
        """Whether everything may be read that belongs to this client of the workspace."""
        return self.client in (None, client)

    def reads_endpoint(self, endpoint: str) -> bool:
        """Whether the deliveries to an endpoint of the workspace may be read, with their errors and responses."""
        return self.client is None or endpoint in self.endpoints

    def covers(self, resource: Resource) -> bool:
        """Whether a resource of the catalog may be read.

        Event types may be read in all of the workspace: who subscribes has to know them.
        """
        match resource:
            case Workspace(name=name):
                return name == self.workspace
            case Client(id=owner) | ApiKey(client=owner) | EventFilter(client=owner) | Endpoint(client=owner):
                return resource.workspace == self.workspace and self.owns(owner)
            case Registration(client=owner):
                return resource.workspace == self.workspace and self.owns(owner)
            case Subscription(endpoint=endpoint) | EndpointProjection(endpoint=endpoint):
                return resource.workspace == self.workspace and self.reads_endpoint(endpoint)
            case EventType() | Growth():
                return resource.workspace == self.workspace
            case FamilyRecord():
                return False  # only its family reads it, by rules of its own


def reads_workspace(client: Client) -> bool:
    """Whether a client may read everything in its workspace."""
    return any(role in client.roles for role in READERS)


def check_has_a_role(client: Client) -> None:
    """Refuse a client that nobody has given a role; ``key_issuer`` only adds to another one.

    Raises:
        PermissionDenied: it has none.
    """
    if all(role is Role.KEY_ISSUER for role in client.roles):
        raise PermissionDenied("This client has no role. Ask an operator to give it one.")
