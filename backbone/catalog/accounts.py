"""Workspaces, clients and API keys: who there is and what they hold."""

from __future__ import annotations

import secrets as random
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.administrators import administers, check_not_the_last
from backbone.catalog.eventhos import without_account
from backbone.catalog.exchange_definitions import details_keys
from backbone.catalog.former_clients import farewell, refusing_tokens_of_before, there_was
from backbone.catalog.notices import notification_keys
from backbone.catalog.writer import Changes
from schemas import timestamps
from schemas.access import DEFAULT_WORKSPACE, ApiKey, Client, ClientLevel, KeyUse, Realm, Role, Workspace
from schemas.errors import AlreadyExists, Conflict, InvalidRequest, Misconfigured, NotFound, Problem
from schemas.ids import derived, new_id
from schemas.organisation import FAMILY, ORGANISATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.reader import Catalog
    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.resources import Resource

LONGEST_NAME = 64
"""Characters of a workspace's name; it is a segment of every topic of the workspace."""
SHORTEST_KEY = 16
"""Characters of an API key that is given rather than generated."""

ADMIN_CLIENT = derived("client", "bootstrap-admin")
"""Id of the client that ``HEADRACE_ADMIN_KEY`` belongs to."""
_ADMIN_KEY = derived("api_key", "bootstrap-admin")
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
        # As a part of a path "." and ".." are taken away, by most clients before they send it.
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip() or name in {".", ".."}:
            message = (
                f"a workspace's name has 1 to {LONGEST_NAME} printable characters, no space around, and is no dots"
            )
            raise InvalidRequest(message, [Problem(path="$.name", message=message)])

        def decide(view: CatalogView) -> Changes[Workspace]:
            found = view.workspace(name)
            if found is not None:
                return Changes(result=found)
            new = _workspace(name)
            return Changes(put=[new], result=new)

        return await self._writer.write(decide)

    async def delete_workspace(self, name: str) -> None:
        """Delete an empty workspace, and that it is provisioned if it is an Envoy organisation.

        Raises:
            NotFound: there is none.
            Conflict: something is still in it.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_workspace(view, name)
            inside = {
                "clients": view.clients(name),
                "event types": view.event_types(name),
                "endpoints": view.endpoints(name),
                "event filters": view.event_filters(name),
            }
            left = [f"{len(each)} {what}" for what, each in inside.items() if each]
            if left:
                raise Conflict(f"workspace {name} still has {', '.join(left)}")
            # Another workspace of this name must not begin with its public channels.
            provision = view.family_record(FAMILY, ORGANISATIONS, name)
            gone: list[Resource] = [found] if provision is None else [found, provision]
            return Changes(delete=[each.key for each in gone], result=None)

        await self._writer.write(decide)

    async def create_client(
        self,
        workspace: str,
        name: str,
        *,
        roles: Sequence[Role] = (),
        realm: Realm = Realm.HEADRACE,
        scopes: Sequence[str] = (),
        level: ClientLevel = ClientLevel.ENDPOINT,
        id: str | None = None,  # noqa: A002  # what it is called everywhere
    ) -> Client:
        """A client of a workspace; its name is unique among the workspace's clients of the realm.

        ``id`` is for where an outside system knows the client by one already; otherwise it is generated.

        Raises:
            InvalidRequest: the name is empty.
            NotFound: there is no such workspace.
            AlreadyExists: the name or the id belongs to a client that differs.
        """
        if not name.strip():
            raise InvalidRequest("a client needs a name", [Problem(path="$.name", message="must not be empty")])

        def decide(view: CatalogView) -> Changes[Client]:
            existing_workspace(view, workspace)
            now = timestamps.now()
            wanted = Client(
                id=id or new_id(),
                workspace=workspace,
                name=name,
                realm=realm,
                roles=tuple(roles),
                scopes=tuple(scopes),
                level=level,
                created_at=now,
                updated_at=now,
            )
            named = (each for each in view.clients(workspace) if (each.name, each.realm) == (name, realm))
            found = view.client(id) if id is not None else None
            found = found or next(named, None)
            if found is None:
                if there_was(view, wanted.id):
                    wanted = refusing_tokens_of_before(wanted)
                itself = view.endpoint(wanted.id)
                if itself is not None and itself.client != wanted.id:
                    # It would pass for this client's own, as an Exchange client's endpoint is.
                    raise AlreadyExists(f"{wanted.id} is the id of an endpoint")
                return Changes(put=[wanted], result=wanted)
            same = msgspec.structs.replace(
                found,
                id=wanted.id if id else found.id,
                workspace=workspace,
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
            found = existing_client(view, client_id)
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

    async def delete_client(self, client_id: str) -> None:
        """Delete a client with its API keys and registrations; event types, topics and endpoints stay.

        Where the client itself is an endpoint (Exchange), having its id, that goes too, with its subscriptions; and so
        do what tells it of changed subscriptions and what else is kept of its definition. eventhos lists it no more.

        Raises:
            NotFound: there is no such client.
            Conflict: it is the last administrator.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_client(view, client_id)
            check_not_the_last(view, found)
            gone: list[Resource] = [found, *view.api_keys(client_id), *view.registrations_of(client_id)]
            itself = view.endpoint(client_id)
            if itself is not None and itself.client == client_id:
                gone += [itself, *view.subscriptions_of(client_id)]
            keys = [each.key for each in gone]
            left, old = farewell(view, found)
            return Changes(
                put=[*without_account(view, client_id), *left],
                delete=[*keys, *notification_keys(view, client_id), *details_keys(view, client_id), *old],
                result=None,
            )

        await self._writer.write(decide)

    async def issue_key(
        self,
        client_id: str,
        key: str | None = None,
        *,
        expires_at: int | None = None,
        use: KeyUse = KeyUse.API,
        sealed: bool = False,
    ) -> tuple[ApiKey, str]:
        """A further API key for a client, and its plaintext, which is stored nowhere.

        Args:
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
            client = existing_client(view, client_id)
            for digest in digests:
                found = view.api_key_by_digest(digest)
                if found is not None and found.client != client_id:
                    raise AlreadyExists("this API key belongs to another client")
                if found is not None and found.use is not use:
                    raise AlreadyExists(f"this API key is one for {found.use.value}")
                if found is not None:
                    return Changes(result=found)
            new = api_key_record(new_id(), client, plaintext, digests[0], expires_at, use=use, sealed=kept)
            return Changes(put=[new], result=new)

        return await self._writer.write(decide), plaintext

    async def revoke(self, key_id: str) -> None:
        """Delete an API key; whoever uses it, or a token that was got with it, is refused from now on.

        Raises:
            NotFound: there is no such key.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = view.api_key(key_id)
            if found is None:
                raise NotFound(f"there is no API key {key_id}")
            client = view.client(found.client)
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
            admin = view.client(ADMIN_CLIENT)
            if admin is None:
                now = timestamps.now()
                admin = Client(
                    id=ADMIN_CLIENT,
                    workspace=DEFAULT_WORKSPACE,
                    name="admin",
                    roles=(Role.ADMIN,),
                    created_at=now,
                    updated_at=now,
                )
                put.append(admin)
            key = view.api_key(_ADMIN_KEY)
            if key is not None and key.sealed is not None:
                self._check_ours(key.sealed)
            # A hash made with any of the secret keys will do: while they are rotated, planes with fewer of them run on.
            if key is None or key.digest not in digests or key.sealed is None:
                mark = self._secrets.seal(_OURS)
                put.append(api_key_record(_ADMIN_KEY, admin, admin_key, digests[0], sealed=mark))
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


def existing_workspace(view: CatalogView, name: str) -> Workspace:
    """A workspace by its name, or ``NotFound``."""
    found = view.workspace(name)
    if found is None:
        raise NotFound(f"there is no workspace {name}")
    return found


def existing_client(view: CatalogView, client_id: str) -> Client:
    """A client by its id, or ``NotFound``."""
    found = view.client(client_id)
    if found is None:
        raise NotFound(f"there is no client {client_id}")
    return found


def _workspace(name: str) -> Workspace:
    now = timestamps.now()
    return Workspace(id=new_id(), name=name, created_at=now, updated_at=now)


def new_plaintext() -> str:
    """A new API key in plaintext."""
    return f"hrk_{random.token_urlsafe(32)}"


def api_key_record(
    key_id: str,
    client: Client,
    plaintext: str,
    digest: str,
    expires_at: int | None = None,
    *,
    use: KeyUse = KeyUse.API,
    sealed: str | None = None,
) -> ApiKey:
    """What is kept of an API key; ``expires_at`` in microseconds since the epoch, None for never.

    ``sealed`` is the key encrypted, where a family has to show it again.
    """
    now = timestamps.now()
    return ApiKey(
        id=key_id,
        client=client.id,
        workspace=client.workspace,
        digest=digest,
        hint=plaintext[-4:],
        use=use,
        sealed=sealed,
        expires_at=expires_at,
        created_at=now,
        updated_at=now,
    )
