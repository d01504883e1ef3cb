"""Workspaces, clients and API keys: who there is and what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.administrators import administers, check_not_the_last
from backbone.catalog.api_keys import SHORTEST_KEY, api_key_record, new_plaintext
from backbone.catalog.bindings import refusing_tokens_of_before
from backbone.catalog.new_clients import new_client
from backbone.catalog.writer import Changes
from schemas.model import timestamps
from schemas.model.access import (
    DEFAULT_WORKSPACE,
    HEADRACE,
    ApiKey,
    Client,
    ClientLevel,
    KeyUse,
    Realm,
    Role,
    Workspace,
)
from schemas.model.errors import AlreadyExists, Conflict, InvalidRequest, Misconfigured, NotFound, Problem
from schemas.model.ids import derived, new_id
from schemas.model.operational_event import is_operational

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.reader import Catalog
    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.model.resources import Resource

LONGEST_NAME = 64
"""Characters of a workspace's name; it is a segment of every topic of the workspace."""

ADMIN_CLIENT = derived("client", "bootstrap-admin")
"""Id of the client that ``HEADRACE_ADMIN_KEY`` belongs to."""
ADMIN_KEY_ID = derived("api_key", "bootstrap-admin")
"""Id of the API key that ``HEADRACE_ADMIN_KEY`` is."""
_OURS = "ours"
"""Sealed beside the administrator's key, so that whoever has other secret keys is told so before changing anything."""


class Accounts:
    """Creates and deletes workspaces, clients and API keys; all methods raise ``Unavailable`` when Kafka cannot answer.

    Creating is idempotent: a repeat that asks for what there is returns it, and one that asks for something else under
    a taken name raises ``AlreadyExists``.

    Args:
        catalog: this process's reader.
        writer: this process's writer.
        secrets: hashes the API keys.
    """

    def __init__(self, catalog: Catalog, writer: CatalogWriter, secrets: SecretBox) -> None:
        self._catalog = catalog
        self._writer = writer
        self._secrets = secrets

    async def create_workspace(self, name: str) -> Workspace:
        """The workspace with this name, new or not.

        Raises:
            InvalidRequest: the name is empty, too long or not printable.
        """
        check_workspace_name(name)

        def decide(view: CatalogView) -> Changes[Workspace]:
            found = view.workspace(name)
            if found is not None:
                return Changes(result=found)
            new = _workspace(name)
            return Changes(put=[new], result=new)

        return await self._writer.write(decide)

    async def delete_workspace(self, name: str) -> None:
        """Delete an empty workspace, and what API families keep of it; the types of operational events go with it.

        Raises:
            NotFound: there is none.
            Conflict: something is still in it.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_workspace(view, name)
            types = view.event_types(name)
            ours = [each.key for each in types if is_operational(each.topic)]
            inside = {
                "clients": view.clients(name),
                "event types": [each for each in types if not is_operational(each.topic)],
                "endpoints": view.endpoints(name),
                "event filters": view.event_filters(name),
            }
            left = [f"{len(each)} {what}" for what, each in inside.items() if each]
            if left:
                raise Conflict(f"workspace {name} still has {', '.join(left)}")
            return Changes(delete=[*ours, found.key], result=None)

        await self._writer.write(decide)

    async def create_client(
        self,
        workspace: str,
        name: str,
        *,
        roles: Sequence[Role] = (),
        realm: Realm = HEADRACE,
        scopes: Sequence[str] = (),
        level: ClientLevel = ClientLevel.ENDPOINT,
        id: str | None = None,  # noqa: A002  # what it is called everywhere
    ) -> Client:
        """A client of a workspace; its name is unique among the workspace's clients of the realm.

        ``id`` is for where an outside system knows the client by one already; otherwise it is generated. It is unique
        in the workspace: clients of others do not count.

        Raises:
            InvalidRequest: the name is empty.
            NotFound: there is no such workspace.
            AlreadyExists: the name or the id belongs to a client that differs.
        """
        if not name.strip():
            raise InvalidRequest("a client needs a name", [Problem(path="$.name", message="must not be empty")])

        def decide(view: CatalogView) -> Changes[Client]:
            existing_workspace(view, workspace)
            wanted = new_client(
                id,
                workspace=workspace,
                name=name,
                realm=realm,
                roles=tuple(roles),
                scopes=tuple(scopes),
                level=level,
            )
            named = (each for each in view.clients(workspace) if (each.name, each.realm) == (name, realm))
            found = view.client(workspace, id) if id is not None else None
            found = found or next(named, None)
            if found is None:
                return Changes(put=[wanted], result=wanted)
            same = msgspec.structs.replace(
                found,
                id=wanted.id if id else found.id,
                name=name,
                realm=realm,
                roles=wanted.roles,
                scopes=wanted.scopes,
                level=level,
            )
            if found != same:
                raise AlreadyExists(
                    f"another client has the name {name} in workspace {workspace}, or the id that was asked for"
                )
            return Changes(result=found)

        return await self._writer.write(decide)

    async def update_client(
        self,
        workspace: str,
        client_id: str,
        *,
        roles: Sequence[Role] | None = None,
        scopes: Sequence[str] | None = None,
        disabled: bool | None = None,
    ) -> Client:
        """Change a client's rights; what is None stays.

        Raises:
            NotFound: there is no such client.
            Conflict: it is the last administrator, and would be none any more.
        """

        def decide(view: CatalogView) -> Changes[Client]:
            found = existing_client(view, workspace, client_id)
            changed = msgspec.structs.replace(
                found,
                roles=found.roles if roles is None else tuple(roles),
                scopes=found.scopes if scopes is None else tuple(scopes),
                disabled=found.disabled if disabled is None else disabled,
            )
            if changed == found:
                return Changes(result=found)
            if not administers(changed):
                check_not_the_last(view, found)
            changed = msgspec.structs.replace(changed, updated_at=timestamps.now())
            return Changes(put=[changed], result=changed)

        return await self._writer.write(decide)

    async def delete_client(self, workspace: str, client_id: str) -> None:
        """Delete a client with its API keys and registrations; event types, topics and endpoints stay.

        The endpoint that an Exchange client is goes too, with its subscriptions; and so does what API families keep of
        the client.

        Raises:
            NotFound: there is no such client.
            Conflict: it is the last administrator.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_client(view, workspace, client_id)
            check_not_the_last(view, found)
            keys, registrations = view.api_keys(workspace, client_id), view.registrations_of(workspace, client_id)
            gone: list[Resource] = [found, *keys, *registrations]
            itself = view.endpoint(found.endpoint)
            if itself is not None and (itself.workspace, itself.client) == (workspace, client_id):
                gone += [itself, *view.subscriptions_of(found.endpoint)]
            return Changes(
                delete=[each.key for each in gone],
                result=None,
            )

        await self._writer.write(decide)

    async def issue_key(
        self,
        workspace: str,
        client_id: str,
        key: str | None = None,
        *,
        expires_at: int | None = None,
        use: KeyUse = KeyUse.API,
        sealed: bool = False,
    ) -> tuple[ApiKey, str]:
        """A further API key for a client, and its plaintext, which is stored nowhere.

        Args:
            workspace: the client's.
            client_id: whose.
            key: the plaintext, where an outside system has handed it out already; otherwise it is generated.
            expires_at: microseconds since the epoch; None for never.
            use: what the key is to be good for.
            sealed: whether it is kept, encrypted, so that it can be shown again.

        Raises:
            InvalidRequest: the given key is too short to be safe.
            NotFound: there is no such client.
            AlreadyExists: the given key belongs to another client, or is this one's for another use.
        """
        if key is not None and len(key) < SHORTEST_KEY:
            raise InvalidRequest(f"an API key has at least {SHORTEST_KEY} characters")
        plaintext = key or new_plaintext()
        digests = self._secrets.digests(plaintext)
        kept = self._secrets.seal(plaintext) if sealed else None

        def decide(view: CatalogView) -> Changes[ApiKey]:
            client = existing_client(view, workspace, client_id)
            for digest in digests:
                found = view.api_key_by_digest(digest)
                if found is not None and (found.workspace, found.client) != (workspace, client_id):
                    raise AlreadyExists("this API key belongs to another client")
                if found is not None and found.use is not use:
                    raise AlreadyExists(f"this API key is one for {found.use.value}")
                if found is not None:
                    return Changes(result=found)
            new = api_key_record(new_id(), client, plaintext, digests[0], expires_at, use=use, sealed=kept)
            return Changes(put=[new], result=new)

        return await self._writer.write(decide), plaintext

    async def issue_first_key(self, workspace: str, client_id: str, *, expires_at: int | None = None) -> str | None:
        """The plaintext of an API key for a client that has none yet, or None: of several calls one issues it.

        Raises:
            NotFound: there is no such client.
        """
        plaintext = new_plaintext()
        digest = self._secrets.digests(plaintext)[0]

        def decide(view: CatalogView) -> Changes[str | None]:
            client = existing_client(view, workspace, client_id)
            if view.api_keys(workspace, client_id):
                return Changes(result=None)
            new = api_key_record(new_id(), client, plaintext, digest, expires_at, use=KeyUse.API, sealed=None)
            return Changes(put=[new], result=plaintext)

        return await self._writer.write(decide)

    async def revoke(self, key_id: str) -> None:
        """Delete an API key; whoever uses it, or a token that was got with it, is refused from now on.

        Raises:
            NotFound: there is no such key.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = view.api_key(key_id)
            if found is None:
                raise NotFound(f"there is no API key {key_id}")
            client = view.client(found.workspace, found.client)
            put = [] if client is None else [refusing_tokens_of_before(client)]
            return Changes(put=put, delete=[found.key], result=None)

        await self._writer.write(decide)

    async def bootstrap(self, admin_key: str) -> Client:
        """Make sure of the default workspace and of an administrator who holds this key and no earlier one.

        Every process may call it when it starts: where all is in place nothing is written.

        Raises:
            Misconfigured: what is stored was sealed with other secret keys: it is another installation's Kafka, whose
                API keys nobody would know any more, and whose secrets could not be opened.
        """
        digests = self._secrets.digests(admin_key)

        def decide(view: CatalogView) -> Changes[Client]:
            put: list[Resource] = []
            if view.workspace(DEFAULT_WORKSPACE) is None:
                put.append(_workspace(DEFAULT_WORKSPACE))
            admin = view.client(DEFAULT_WORKSPACE, ADMIN_CLIENT)
            if admin is None:
                admin = new_client(ADMIN_CLIENT, workspace=DEFAULT_WORKSPACE, name="admin", roles=(Role.ADMIN,))
                put.append(admin)
            key = view.api_key(ADMIN_KEY_ID)
            if key is not None and key.sealed is not None:
                self._check_ours(key.sealed)
            # A hash made with any of the secret keys will do: while they are rotated, planes with fewer of them run on.
            if key is None or key.digest not in digests or key.sealed is None:
                mark = self._secrets.seal(_OURS)
                put.append(api_key_record(ADMIN_KEY_ID, admin, admin_key, digests[0], sealed=mark))
            return Changes(put=put, result=admin)

        await self._catalog.caught_up()
        as_it_is = decide(self._catalog.view)
        return await self._writer.write(decide) if as_it_is.put else as_it_is.result

    def _check_ours(self, mark: str) -> None:
        try:
            self._secrets.open(mark)
        except Misconfigured as error:
            raise Misconfigured(
                "HEADRACE_SECRET_KEYS lacks the key that the installation on this Kafka is sealed with: set it, or use"
                " another Kafka"
            ) from error


def check_workspace_name(name: str) -> None:
    """Refuse a name that no workspace can have.

    Raises:
        InvalidRequest: it is empty, too long or not printable.
    """
    # As a part of a path "." and ".." are taken away, by most clients before they send it.
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip() or name in {".", ".."}:
        message = f"a workspace's name has 1 to {LONGEST_NAME} printable characters, no space around, and is no dots"
        raise InvalidRequest(message, [Problem(path="$.name", message=message)])


def existing_workspace(view: CatalogView, name: str) -> Workspace:
    """A workspace by its name, or ``NotFound``."""
    found = view.workspace(name)
    if found is None:
        raise NotFound(f"there is no workspace {name}")
    return found


def existing_client(view: CatalogView, workspace: str, client_id: str) -> Client:
    """A client of a workspace by its id, or ``NotFound``."""
    found = view.client(workspace, client_id)
    if found is None:
        raise NotFound(f"there is no client {client_id}")
    return found


def _workspace(name: str) -> Workspace:
    now = timestamps.now()
    return Workspace(id=new_id(), name=name, created_at=now, updated_at=now)
