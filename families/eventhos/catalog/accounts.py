"""Clients and roles of eventhos: who may send, and who may manage what.

A client is one of the common model in its realm. Its secret and its long-lived token are API keys of a use of their
own, its permissions are its scopes: those of its roles together, or what it was given through our own API.
"""

from __future__ import annotations

import secrets as random
import string
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from backbone.catalog.api_keys import api_key_record, new_plaintext
from backbone.catalog.bindings import refusing_tokens_of_before
from backbone.catalog.new_clients import new_client
from backbone.catalog.writer import Changes
from families.eventhos.catalog.grants import check_may_change, check_may_grant
from families.eventhos.catalog.records import (
    REALM,
    WORKSPACE,
    Account,
    Refused,
    Role,
    all_of,
    find,
    new_numbers,
    numbered,
    revised,
)
from families.eventhos.catalog.records import to_record as record
from schemas.model import timestamps
from schemas.model.access import Client, KeyUse
from schemas.model.access import Role as Right
from schemas.model.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.model.resources import Resource

CLIENT_ID_SUFFIX = "::eventhos.app"
_CLIENT_ID_LENGTH = 20


class NewAccount(NamedTuple):
    """A client that has just come into being, with its secrets in plaintext: shown now and never again."""

    account: Account
    secret: str
    long_lived: str | None


class EventhosAccounts:
    """Creates, changes and deletes clients and roles; all methods raise ``Unavailable`` when Kafka cannot answer.

    ``by`` is the id of the client that asks for a change. A change is refused (401002) that gives or takes more than it
    holds, or that is of a client which holds more.

    Args:
        writer: this process's writer.
        secrets: hashes what clients hold.
    """

    def __init__(self, writer: CatalogWriter, secrets: SecretBox) -> None:
        self._writer = writer
        self._secrets = secrets

    async def create(
        self,
        *,
        by: str,
        identifier: str,
        name: str,
        description: str,
        roles: Sequence[int],
        long_lived: bool = False,
        until: int | None = None,
    ) -> NewAccount:
        """A new client with these roles (by id); what it holds ends at ``until``, in microseconds since the epoch.

        Raises:
            Refused: 409102 the identifier is taken, 404004 there is no such role.
        """
        letters = string.ascii_letters + string.digits
        client_id = "".join(random.choice(letters) for _ in range(_CLIENT_ID_LENGTH)) + CLIENT_ID_SUFFIX
        secret, token = new_plaintext(), new_plaintext() if long_lived else None

        def decide(view: CatalogView) -> Changes[NewAccount]:
            if _is_taken(view, identifier):
                raise Refused(409102, "The identifier is already in use")
            account = Account(
                **new_numbers(view, Account),
                client=client_id,
                identifier=identifier,
                name=name,
                description=description,
                roles=tuple(dict.fromkeys(roles)),
            )
            client = new_client(
                client_id,
                workspace=WORKSPACE,
                name=identifier,
                realm=REALM,
                roles=(Right.PRODUCER,),
                scopes=_permissions(view, account.roles),
                created_at=account.created_at,
                updated_at=account.updated_at,
            )
            check_may_grant(view, by, client.scopes)
            put: list[Resource] = [record(account), client, self._key(client, secret, KeyUse.CLIENT_SECRET, until)]
            if token is not None:
                put.append(self._key(client, token, KeyUse.LONG_LIVED, until))
            return Changes(put=put, result=NewAccount(account, secret, token))

        return await self._writer.write(decide)

    async def adopt(self, client: Client) -> Account:
        """The record of a client, which one that was made through our own API gets when eventhos first sees it."""

        def decide(view: CatalogView) -> Changes[Account]:
            found = find(view, Account, client.id)
            if found is not None and not found.deleted:
                return Changes(result=found)
            if found is not None:
                # Deleted here, and made again since through our own API.
                again = revised(found, {"deleted": False, "roles": ()})
                return Changes(put=[record(again)], result=again)
            new = Account(
                **new_numbers(view, Account),
                client=client.id,
                # Our own API tells names apart by their case, eventhos does not.
                identifier=client.id if _is_taken(view, client.name.lower(), client) else client.name.lower(),
                name=client.name,
                description=client.description,
            )
            return Changes(put=[record(new)], result=new)

        return await self._writer.write(decide)

    async def change(self, number: int, *, by: str, roles: Sequence[int] | None = None, **properties: Any) -> Account:
        """Change a client's name, description or roles; what is not given stays.

        Raises:
            Refused: 404005 there is no such client, 404004 there is no such role.
        """

        def decide(view: CatalogView) -> Changes[Account]:
            found, client = existing_account(view, number)
            check_may_change(view, by, client)
            if roles is None:
                wanted = revised(found, properties)
                return Changes(put=[record(wanted)], result=wanted)
            wanted = revised(found, {**properties, "roles": tuple(dict.fromkeys(roles))})
            scoped = msgspec.structs.replace(
                client, scopes=_permissions(view, wanted.roles), updated_at=wanted.updated_at
            )
            check_may_grant(view, by, scoped.scopes)
            return Changes(put=[record(wanted), scoped], result=wanted)

        return await self._writer.write(decide)

    async def revoke(self, number: int, *, by: str, revoked: bool) -> None:
        """Refuse all that a client holds from now on, or accept it again.

        Raises:
            Refused: 404005 there is no such client.
        """

        def decide(view: CatalogView) -> Changes[None]:
            _, client = existing_account(view, number)
            check_may_change(view, by, client)
            changed = msgspec.structs.replace(client, disabled=revoked, updated_at=timestamps.now())
            return Changes(put=[changed], result=None)

        await self._writer.write(decide)

    async def give(self, number: int, use: KeyUse, *, by: str, until: int | None = None) -> str:
        """A new secret or long-lived token in plaintext, in place of the one before; it ends at ``until``, as above.

        Raises:
            Refused: 404005 there is no such client.
        """
        plaintext = new_plaintext()

        def decide(view: CatalogView) -> Changes[None]:
            _, client = existing_account(view, number)
            check_may_change(view, by, client)
            put = [self._key(client, plaintext, use, until), refusing_tokens_of_before(client)]
            # A secret may have been made through our own API, as an ordinary API key.
            before = (use, KeyUse.API) if use is KeyUse.CLIENT_SECRET else (use,)
            return Changes(put=put, delete=_keys(view, client.id, *before), result=None)

        await self._writer.write(decide)
        return plaintext

    async def take_long_lived(self, number: int, *, by: str) -> None:
        """Have a client without a long-lived token.

        Raises:
            Refused: 404005 there is no such client.
        """

        def decide(view: CatalogView) -> Changes[None]:
            _, client = existing_account(view, number)
            check_may_change(view, by, client)
            gone = _keys(view, client.id, KeyUse.LONG_LIVED)
            return Changes(put=[refusing_tokens_of_before(client)], delete=gone, result=None)

        await self._writer.write(decide)

    async def delete(self, number: int, *, by: str) -> None:
        """Delete a client with all that it holds; the events of its system cannot be sent until that has another.

        Raises:
            Refused: 404005 there is no such client.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found, client = existing_account(view, number)
            check_may_change(view, by, client)
            gone: list[Resource] = [client]
            gone += [*view.api_keys(WORKSPACE, client.id), *view.registrations_of(WORKSPACE, client.id)]
            put = [record(revised(found, {"deleted": True}))]
            return Changes(put=put, delete=[each.key for each in gone], result=None)

        await self._writer.write(decide)

    async def create_role(self, *, by: str, identifier: str, permissions: Sequence[str]) -> Role:
        """A new role.

        Raises:
            Refused: 409103 the identifier is taken.
        """

        def decide(view: CatalogView) -> Changes[Role]:
            check_may_grant(view, by, permissions)
            if all_of(view, Role, lambda each: each.identifier == identifier):
                raise Refused(409103, "The identifier is already in use")
            new = Role(**new_numbers(view, Role), identifier=identifier, permissions=tuple(dict.fromkeys(permissions)))
            return Changes(put=[record(new)], result=new)

        return await self._writer.write(decide)

    async def change_role(self, number: int, permissions: Sequence[str], *, by: str) -> Role:
        """Give a role, and with it all clients that have it, other permissions.

        Raises:
            Refused: 404004 there is no such role.
        """

        def decide(view: CatalogView) -> Changes[Role]:
            found = _role(view, number)
            check_may_grant(view, by, (*found.permissions, *permissions))
            wanted = revised(found, {"permissions": tuple(dict.fromkeys(permissions))})
            return Changes(put=[record(wanted), *_rescoped(view, wanted, by)], result=wanted)

        return await self._writer.write(decide)

    async def delete_role(self, number: int, *, by: str) -> None:
        """Delete a role; the clients that had it lose what only it permitted.

        Raises:
            Refused: 404004 there is no such role.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = _role(view, number)
            check_may_grant(view, by, found.permissions)
            gone = revised(found, {"deleted": True})
            return Changes(put=[record(gone), *_rescoped(view, gone, by)], result=None)

        await self._writer.write(decide)

    def _key(self, client: Client, plaintext: str, use: KeyUse, until: int | None) -> Resource:
        return api_key_record(new_id(), client, plaintext, self._secrets.digest(plaintext), until, use=use)


def _is_taken(view: CatalogView, identifier: str, but_by: Client | None = None) -> bool:
    """Whether another client has the identifier, or in the common model the name that goes with it."""
    named = (each for each in view.clients(WORKSPACE) if (each.realm, each.name) == (REALM, identifier))
    if any(each.id != (but_by and but_by.id) for each in named):
        return True
    return bool(all_of(view, Account, lambda each: each.identifier == identifier))


def existing_account(view: CatalogView, number: int) -> tuple[Account, Client]:
    """A client by its integer id, or 404005."""
    found = numbered(view, Account, number)
    client = None if found is None else view.client(WORKSPACE, found.client)
    if found is None or client is None:
        raise Refused(404005, "Client does not exist")
    return found, client


def holds_long_lived(view: CatalogView, client_id: str) -> bool:
    """Whether a client has a long-lived token."""
    return any(each.use is KeyUse.LONG_LIVED for each in view.api_keys(WORKSPACE, client_id))


def _keys(view: CatalogView, client_id: str, *uses: KeyUse) -> list[str]:
    return [each.key for each in view.api_keys(WORKSPACE, client_id) if each.use in uses]


def _role(view: CatalogView, number: int) -> Role:
    found = numbered(view, Role, number)
    if found is None:
        raise Refused(404004, f"The role with id {number} does not exist")
    return found


def _permissions(view: CatalogView, roles: Sequence[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(permission for number in roles for permission in _role(view, number).permissions))


def _rescoped(view: CatalogView, role: Role, by: str) -> list[Resource]:
    """The clients that have a role, changed or deleted, with the scopes that it leaves them.

    Raises:
        Refused: 401002 one would lose what the client ``by`` does not hold: what it was given besides its roles.
    """
    put: list[Resource] = []
    for account in all_of(view, Account, lambda each: role.id in each.roles):
        client = view.client(WORKSPACE, account.client)
        if client is None:
            continue
        others = tuple(each for each in account.roles if each != role.id)
        if role.deleted:
            put.append(record(revised(account, {"roles": others})))
            scopes = _permissions(view, others)
        else:
            scopes = tuple(dict.fromkeys((*_permissions(view, others), *role.permissions)))
        check_may_grant(view, by, [each for each in client.scopes if each not in scopes])
        put.append(msgspec.structs.replace(client, scopes=scopes, updated_at=role.updated_at))
    return put
