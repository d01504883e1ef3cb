"""``/auth/role``: names for permissions, to be given to clients."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from families.eventhos.catalog.records import Refused, Role, all_of
from families.eventhos.http.access import CREATED, UNREADABLE, caller_with, needs
from families.eventhos.http.messages import ANSWERS, Answer, Identifier, Input, Pages, done, success
from families.eventhos.http.openapi import ERRORS
from families.eventhos.http.services import accounts_of
from ingest_api.management.dependencies import TheGateway
from ingest_api.management.models import example
from schemas.model.access import Client

Creator = Annotated[Client, caller_with("OAUTH2_role:create")]
Changer = Annotated[Client, caller_with("OAUTH2_role:update")]
Deleter = Annotated[Client, caller_with("OAUTH2_role:delete")]
"""A route's parameter: the client that calls, with that permission."""

router = APIRouter(tags=["eventhos access"], responses=ERRORS)

_NAME = "[A-Za-z0-9_-]{1,100}"

_MOST_PERMISSIONS = 500
"""Of one role: a change of it is a change of every client that has it, and everybody else's changes wait for that."""

Resource = Annotated[str, Field(pattern=f"^{_NAME}$")]
Term = Annotated[str, Field(pattern=rf"^(\*|{_NAME})$")]
Permission = Annotated[str, Field(pattern=rf"^{_NAME}:(\*|{_NAME})$", examples=["event:select", "event:*"])]


class Allowed(Input):
    """A term of a permission."""

    allowed: Term


class RoleInput(Input):
    """A role to create: permissions as a list, or by resource as the original takes them."""

    model_config = example(identifier="reader", allowedObject={"event": ["select"]})

    identifier: Identifier
    permissions: tuple[Permission, ...] = ()
    allowed_object: Annotated[
        dict[Resource, tuple[Allowed | Term, ...]],
        Field(alias="allowedObject", examples=[{"event": ["select"]}], default_factory=dict),
    ]


class RolePermissions(Input):
    """The permissions that a role has from now on."""

    permissions: tuple[Permission, ...] = ()
    allowed_object: Annotated[
        dict[Resource, tuple[Allowed | Term, ...]], Field(alias="newAllowedObject", default_factory=dict)
    ]


@router.post("/auth/role", status_code=201, summary="Create a role", **ANSWERS)
async def create_role(gateway: TheGateway, caller: Creator, body: RoleInput) -> Answer:
    """A name for permissions, to be given to clients."""
    permissions = _permissions(body.permissions, body.allowed_object)
    made = await gateway.in_time(
        accounts_of(gateway).create_role(by=caller.id, identifier=body.identifier, permissions=permissions)
    )
    return success({"roleId": made.id}, code=CREATED, message="Role added")


@router.get("/auth/role", summary="List roles", dependencies=needs("OAUTH2_role:select"), **ANSWERS)
async def list_roles(gateway: TheGateway, pages: Pages, *, basic: bool = False) -> Answer:
    """A page; or with ``basic`` all of them, in one list of ids and identifiers."""
    found = all_of(await gateway.view(), Role)
    if basic:
        return success([{"id": each.id, "identifier": each.identifier} for each in found], message="Select completed")
    rows = [{"id": each.id, "identifier": each.identifier, "permissions": each.permissions} for each in found]
    return success(pages.of(rows), message="Select completed")


@router.put(
    "/auth/role/{role_id}/permission",
    status_code=201,
    summary="Give a role other permissions",
    **ANSWERS,
)
async def change_role(gateway: TheGateway, caller: Changer, role_id: int, body: RolePermissions) -> Answer:
    """All clients that have the role may do from now on what it permits then."""
    permissions = _permissions(body.permissions, body.allowed_object)
    await gateway.in_time(accounts_of(gateway).change_role(role_id, permissions, by=caller.id))
    return done("Role permissions updated")


@router.delete(
    "/auth/role/{role_id}",
    status_code=201,
    summary="Delete a role",
    **ANSWERS,
)
async def delete_role(gateway: TheGateway, caller: Deleter, role_id: int) -> Answer:
    """The clients that had it lose what only it permitted."""
    await gateway.in_time(accounts_of(gateway).delete_role(role_id, by=caller.id))
    return done("Role deleted")


def _permissions(listed: tuple[str, ...], by_resource: dict[Resource, tuple[Allowed | Term, ...]]) -> list[str]:
    """Permissions however they were given.

    Raises:
        Refused: there is none, or there are too many.
    """
    found = [*listed]
    for resource, terms in by_resource.items():
        found += [f"{resource}:{term if isinstance(term, str) else term.allowed}" for term in terms]
    if not found:
        raise Refused(UNREADABLE, "permissions: a role needs at least one")
    if len(found) > _MOST_PERMISSIONS:
        raise Refused(UNREADABLE, f"permissions: a role may have {_MOST_PERMISSIONS}")
    return found
