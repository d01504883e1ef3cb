"""Who may change what: the one table of roles and operations behind every API. ``docs/security.md`` shows it to people.

``schemas.security.reading`` is its counterpart for reads. Families whose credentials carry permissions of their own
(eventhos, Envoy) decide by those, and by ``permits`` and ``check_may_grant``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from schemas.model.access import Client, Role
from schemas.model.errors import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class Operation(StrEnum):
    """What a role may allow. Every route that changes something asks for one of them."""

    PUBLISH = "publish events"
    REGISTER_TYPE = "register an event type"
    CHANGE_TYPE = "change or delete an event type"
    REGISTER_PUBLISHER = "register to publish"
    REGISTER_RECEIVER = "register to receive"
    CHANGE_REGISTRATION = "change or withdraw a registration"
    CHANGE_ROUTES = "change endpoints, event filters, subscriptions and event files"
    SEND_AGAIN = "resend, replay and redrive deliveries; pause and cancel runs"
    REDACT = "redact events"
    OPERATE = "grow topics, change how they are kept, reset the offsets of groups"
    LET_IN = "issue realtime tokens"
    ISSUE_KEYS = "issue API keys"
    MANAGE_CLIENTS = "create, change and delete clients"
    MANAGE_WORKSPACES = "create and delete workspaces"
    TRANSFER = "export and import the catalog"


OWN: dict[Operation, tuple[Role, ...]] = {
    Operation.PUBLISH: (Role.PRODUCER,),
    Operation.REGISTER_TYPE: (Role.PRODUCER,),
    Operation.CHANGE_TYPE: (),
    Operation.REGISTER_PUBLISHER: (Role.PRODUCER,),
    Operation.REGISTER_RECEIVER: (Role.PRODUCER, Role.SUBSCRIBER),
    Operation.CHANGE_REGISTRATION: (Role.PRODUCER, Role.SUBSCRIBER),
    Operation.CHANGE_ROUTES: (Role.SUBSCRIBER,),
    Operation.SEND_AGAIN: (Role.SUBSCRIBER,),
    Operation.REDACT: (),
    Operation.OPERATE: (),
    Operation.LET_IN: (Role.SUBSCRIBER,),
    Operation.ISSUE_KEYS: (Role.KEY_ISSUER,),
    Operation.MANAGE_CLIENTS: (),
    Operation.MANAGE_WORKSPACES: (),
    Operation.TRANSFER: (),
}
"""The roles that may do each operation to what is the client's own. An operator may do it to the whole workspace."""

OF_ADMINISTRATORS = frozenset({Operation.MANAGE_WORKSPACES, Operation.TRANSFER})
"""Operators may not do these either. An administrator may do everything, in every workspace."""


def check(client: Client, operation: Operation) -> None:
    """Refuse a client that may not do an operation, not even to what is its own.

    Raises:
        PermissionDenied: it has none of the roles.
    """
    everywhere = () if operation in OF_ADMINISTRATORS else (Role.OPERATOR,)
    require(client, *OWN[operation], *everywhere)


def owner_for(client: Client, operation: Operation) -> str | None:
    """Return whose resources a client may do an operation to: its own id, or None for all of the workspace.

    Raises:
        PermissionDenied: it may not do it at all.
    """
    check(client, operation)
    return None if Role.ADMIN in client.roles or Role.OPERATOR in client.roles else client.id


def owner_in(workspace: str, client: Client) -> str | None:
    """Return who owns what a client makes in a workspace: its id, or None for an administrator who acts elsewhere.

    A client of that workspace may have the administrator's id.
    """
    return client.id if client.workspace == workspace else None


def check_for(client: Client, operation: Operation, whose: str) -> None:
    """Refuse a client that may not do an operation to what belongs to a client with this id.

    Raises:
        PermissionDenied: it may not.
    """
    if whose == client.id:
        check(client, operation)
    else:
        require(client, *(() if operation in OF_ADMINISTRATORS else (Role.OPERATOR,)))


def require(client: Client, *roles: Role) -> None:
    """Let a client pass that has one of the roles; an administrator always has.

    Raises:
        PermissionDenied: it has none of them.
    """
    for role in (*roles, Role.ADMIN):
        if role in client.roles:
            return
    needed = " or ".join(role.value for role in roles) or Role.ADMIN.value
    raise PermissionDenied(f"This needs the role {needed}.")


def check_may_grant_roles(client: Client, roles: Iterable[Role]) -> None:
    """Refuse to give roles, or to touch a client that has them, where one of them is more than one's own.

    Only ``admin`` is more than an operator has.

    Raises:
        PermissionDenied: one is.
    """
    if Role.ADMIN in roles and Role.ADMIN not in client.roles:
        raise PermissionDenied("Only an administrator may manage administrators.")


def permits(held: Collection[str], wanted: str, *, everything: str) -> bool:
    """Whether permissions such as ``event:create``, ``event:*`` or ``everything`` include another one."""
    return not {wanted, f"{wanted.partition(':')[0]}:*", everything}.isdisjoint(held)


def beyond(held: Collection[str], wanted: Iterable[str], *, everything: str) -> list[str]:
    """Return the wanted permissions that the held ones do not include: nobody may give those."""
    return [each for each in wanted if not permits(held, each, everything=everything)]
