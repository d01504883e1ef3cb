"""Workspaces, clients and their API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from backbone.catalog.accounts import existing_workspace
from backbone.catalog.readable import ReadableCatalog
from backbone.catalog.view import CatalogView
from families.headrace.http.registered_names import GivenRealm, Realm
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Caller, Key, Readable, TheGateway, Workspace, existing
from ingest_api.management.models import Change, Input, Name, Output, Time, example
from ingest_api.management.pages import Cursor, Limit, Page, as_model, page_answer
from schemas.model import access, timestamps
from schemas.model.access import HEADRACE, Client, ClientLevel, KeyUse, Role
from schemas.model.errors import NotFound
from schemas.security.binding import earliest, end_of
from schemas.security.permissions import Operation, check, check_for, check_may_grant_roles, require
from schemas.security.reading import READERS

router = APIRouter(tags=["Workspaces, clients and keys"])

_LONGEST_LIFETIME = 10 * 366 * 86_400
_MICROS = 1_000_000

_DEFAULT_ROLES = {"graphql": (Role.SUBSCRIBER, Role.VIEWER)}


class WorkspaceInput(Input):
    """A workspace to create."""

    model_config = example(name="acme")

    name: Annotated[str, Field(min_length=1, max_length=64)]


class WorkspaceOutput(Output):
    """A tenant: everything belongs to one."""

    id: str
    name: str


class ClientInput(Input):
    """A client to create."""

    model_config = example(name="Web shop", roles=["producer"])

    name: Name
    realm: GivenRealm = Realm(HEADRACE)
    roles: Annotated[
        tuple[Role, ...] | None,
        Field(
            description="By default `producer`; for a GraphQL client `subscriber` and `viewer`, as it cannot publish."
        ),
    ] = None
    scopes: tuple[str, ...] = ()
    level: Annotated[ClientLevel, Field(description="Of an Exchange client's keys.")] = ClientLevel.ENDPOINT
    id: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$",
            description="Unique in the workspace; by default it is generated, unique in the installation.",
        ),
    ] = None


class ClientChange(Change):
    """What of a client shall change."""

    model_config = example(disabled=True)

    roles: tuple[Role, ...] = ()
    scopes: tuple[str, ...] = ()
    disabled: bool = False


class ClientOutput(Output):
    """A credential holder inside a workspace."""

    id: str
    workspace: str
    name: str
    realm: Realm
    roles: tuple[Role, ...]
    scopes: tuple[str, ...]
    level: ClientLevel
    disabled: bool


class KeyInput(Input):
    """How an API key shall be."""

    model_config = example(lifetime=2_592_000)

    lifetime: Annotated[int | None, Field(ge=1, le=_LONGEST_LIFETIME, description="Seconds; null: for ever.")] = None


class KeyOutput(Output):
    """An API key, without the key."""

    id: str
    client: str
    hint: Annotated[str, Field(description="The last four characters.")]
    use: Annotated[KeyUse, Field(description="What it is good for; `browser`: an Exchange `eventAuthKey`.")]
    expires_at: Time | None


class NewKeyOutput(KeyOutput):
    """An API key that was just made."""

    key: Annotated[str, Field(description="Shown this once: only its keyed hash is kept.")]


@router.get("/workspaces", summary="List workspaces", response_model=Page[WorkspaceOutput])
async def list_workspaces(gateway: TheGateway, caller: Caller, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """All of them for an administrator; for everybody else their own."""
    view = await gateway.view()
    scope = gateway.read_scope(caller)
    visible = [one for one in view.workspaces() if Role.ADMIN in caller.roles or scope.covers(one)]
    return await page_answer(gateway.slices, "workspaces", as_model(WorkspaceOutput), visible, limit, cursor)


@router.post("/workspaces", status_code=201, summary="Create a workspace")
async def create_workspace(gateway: TheGateway, caller: Caller, body: WorkspaceInput) -> WorkspaceOutput:
    """For administrators. Creating what there is changes nothing."""
    check(caller, Operation.MANAGE_WORKSPACES)
    return WorkspaceOutput.model_validate(await gateway.accounts.create_workspace(body.name))


@router.get("/workspaces/{name:path}", summary="Get a workspace")
async def get_workspace(gateway: TheGateway, caller: Caller, name: str) -> WorkspaceOutput:
    """One's own, or any for an administrator."""
    gateway.read_scope(caller, await gateway.workspace(caller, name))
    return WorkspaceOutput.model_validate(existing_workspace(await gateway.view(), name))


@router.delete("/workspaces/{name:path}", status_code=204, summary="Delete an empty workspace")
async def delete_workspace(gateway: TheGateway, caller: Caller, name: str) -> None:
    """For administrators. 409 while anything belongs to it."""
    check(caller, Operation.MANAGE_WORKSPACES)
    await gateway.accounts.delete_workspace(name)


@router.get("/clients", summary="List clients", response_model=Page[ClientOutput])
async def list_clients(
    gateway: TheGateway, caller: Caller, readable: Readable, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """For viewers and operators."""
    require(caller, *READERS)
    return await page_answer(gateway.slices, "clients", as_model(ClientOutput), readable.clients(), limit, cursor)


@router.post("/clients", status_code=201, summary="Create a client")
async def create_client(gateway: TheGateway, caller: Caller, workspace: Workspace, body: ClientInput) -> ClientOutput:
    """For operators; only an administrator makes administrators. The same again changes nothing.

    409 if another client of the workspace has the `id`, or the name in that realm.
    """
    check(caller, Operation.MANAGE_CLIENTS)
    roles = _DEFAULT_ROLES.get(body.realm, (Role.PRODUCER,)) if body.roles is None else body.roles
    check_may_grant_roles(caller, roles)
    created = await gateway.accounts.create_client(
        workspace,
        body.name,
        realm=access.Realm(str(body.realm)),
        roles=roles,
        scopes=body.scopes,
        level=body.level,
        id=body.id,
    )
    return ClientOutput.model_validate(created)


@router.get("/clients/{client_id}", summary="Get a client")
async def get_client(caller: Caller, readable: Readable, client_id: str) -> ClientOutput:
    """Oneself, or any of the workspace for viewers and operators."""
    return ClientOutput.model_validate(_readable_client(caller, readable, client_id))


@router.patch("/clients/{client_id}", summary="Change a client")
async def change_client(
    gateway: TheGateway, caller: Caller, workspace: Workspace, client_id: str, body: ClientChange
) -> ClientOutput:
    """For operators. A disabled client's credentials are refused at once. The last administrator stays one (409)."""
    check(caller, Operation.MANAGE_CLIENTS)
    target = _client(await gateway.view(), workspace, client_id)
    check_may_grant_roles(caller, (*body.roles, *target.roles))
    return ClientOutput.model_validate(await gateway.accounts.update_client(workspace, client_id, **body.given()))


@router.delete("/clients/{client_id}", status_code=204, summary="Delete a client")
async def delete_client(gateway: TheGateway, caller: Caller, workspace: Workspace, client_id: str) -> None:
    """For operators. Its keys and registrations go with it; its events and their topics stay.

    The last administrator stays (409).
    """
    check(caller, Operation.MANAGE_CLIENTS)
    check_may_grant_roles(caller, _client(await gateway.view(), workspace, client_id).roles)
    await gateway.accounts.delete_client(workspace, client_id)


@router.get("/clients/{client_id}/keys", summary="List a client's API keys", response_model=Page[KeyOutput])
async def list_keys(
    gateway: TheGateway, caller: Caller, readable: Readable, client_id: str, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Without the keys themselves, of which only keyed hashes are kept. Administrators' only for administrators."""
    client = _readable_client(caller, readable, client_id)
    if client.id != caller.id:
        check_may_grant_roles(caller, client.roles)
    return await page_answer(gateway.slices, "keys", as_model(KeyOutput), readable.api_keys(client_id), limit, cursor)


@router.post("/clients/{client_id}/keys", status_code=201, summary="Issue an API key")
async def issue_key(
    gateway: TheGateway,
    caller: Caller,
    caller_key: Key,
    workspace: Workspace,
    client_id: str,
    body: KeyInput | None = None,
) -> NewKeyOutput:
    """The answer is the only place where the key can be read.

    For operators; a client issues keys of its own with the role `key_issuer`. The new key lasts no longer than the one
    that the call was made with: `expires_at` says until when.
    """
    check_for(caller, Operation.ISSUE_KEYS, client_id)
    await _manageable(gateway, caller, workspace, client_id)
    lifetime = None if body is None else body.lifetime
    expires_at = None if lifetime is None else timestamps.now() + lifetime * _MICROS
    until = earliest(expires_at, end_of(caller_key))
    issued, key = await gateway.accounts.issue_key(workspace, client_id, expires_at=until)
    return NewKeyOutput(**KeyOutput.model_validate(issued).model_dump(), key=key)


@router.delete("/clients/{client_id}/keys/{key_id}", status_code=204, summary="Revoke an API key")
async def revoke_key(gateway: TheGateway, caller: Caller, workspace: Workspace, client_id: str, key_id: str) -> None:
    """It is refused from now on. One's own, or any of the workspace for operators."""
    await _manageable(gateway, caller, workspace, client_id)
    if all(key.id != key_id for key in (await gateway.view()).api_keys(workspace, client_id)):
        raise NotFound(f"The client has no key {key_id}.")
    await gateway.accounts.revoke(key_id)


def _readable_client(caller: Client, readable: ReadableCatalog, client_id: str) -> Client:
    """Oneself, or for viewers and operators any of the workspace; others are not told which clients there are."""
    if client_id != caller.id:
        require(caller, *READERS)
    return existing(readable.client(client_id), f"client {client_id} in the workspace")


def _client(view: CatalogView, workspace: str, client_id: str) -> Client:
    client = view.client(workspace, client_id)
    if client is None:
        raise NotFound(f"There is no client {client_id} in the workspace.")
    return client


async def _manageable(gateway: Gateway, caller: Client, workspace: str, client_id: str) -> Client:
    """Oneself, or for operators any client of the workspace; others are not told which clients there are."""
    if client_id != caller.id:
        check(caller, Operation.MANAGE_CLIENTS)
    client = _client(await gateway.view(), workspace, client_id)
    if client.id != caller.id:
        check_may_grant_roles(caller, client.roles)
    return client
