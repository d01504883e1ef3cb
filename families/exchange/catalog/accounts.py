"""Exchange endpoints and applications: clients with a role, a destination, and the identifiers their events carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backbone.catalog import endpoint_credentials
from backbone.catalog.accounts import existing_client
from backbone.catalog.api_keys import api_key_record, new_plaintext
from backbone.catalog.endpoints import linked_anew
from backbone.catalog.new_clients import new_client
from backbone.catalog.writer import Changes
from families.exchange.catalog.records import (
    BODY,
    REALM,
    REGISTERED_URL,
    Definition,
    Registered,
    Roles,
    changed_details,
    details_of,
)
from schemas.model import timestamps
from schemas.model.access import Client, ClientLevel, KeyUse, Role
from schemas.model.endpoint import Endpoint
from schemas.model.errors import AlreadyExists, InvalidRequest, NotFound, PermissionDenied, Problem
from schemas.model.ids import derived, new_id

if TYPE_CHECKING:
    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.model.resources import Resource


class _NewKey(NamedTuple):
    """A key for a client that is new."""

    plaintext: str
    until: int | None


_EXCHANGE_ROLES = (Role.PRODUCER, Role.SUBSCRIBER)


class ExchangeAccounts:
    """Registers Exchange endpoints and applications; all methods raise ``Unavailable`` when Kafka cannot answer.

    The account is the workspace. A key that a call makes ends at ``until``, when that of the caller does, in
    microseconds since the epoch; None for never. Names are unique among its endpoints, and among its applications.

    Args:
        writer: this process's writer.
        secrets: hashes the authentication keys.
    """

    def __init__(self, writer: CatalogWriter, secrets: SecretBox) -> None:
        self._writer = writer
        self._secrets = secrets

    async def put_endpoint(self, caller: Client, definition: Definition, *, until: int | None = None) -> Registered:
        """Register an endpoint, or change it.

        With an endpoint-level key it is the caller itself. With a key of another level it is the endpoint of that name
        of the account or application, which comes into being if there is none.

        Raises:
            InvalidRequest: a new endpoint without a name.
            AlreadyExists: another endpoint has the name.
        """
        plaintext = new_plaintext()

        def decide(view: CatalogView) -> Changes[Registered]:
            found = _meant(view, caller, definition.name)
            before = found or _new(None, caller, definition.name, ClientLevel.ENDPOINT)
            client = _defined(view, before, definition)
            if caller.level is ClientLevel.APPLICATION:
                client = msgspec.structs.replace(
                    client, application=caller.id, provider=caller.provider or client.provider
                )
            return self._endpoint_changes(view, found, client, definition, _NewKey(plaintext, until))

        return await self._writer.write(decide)

    async def put_deployment(
        self,
        caller: Client,
        application_id: str,
        deployment: str,
        definition: Definition,
        *,
        until: int | None = None,
    ) -> Registered:
        """Register the endpoint of one deployment of an application, or change it.

        A new one without a name is called after the provider and the deployment, and takes over the application's
        roles where it says none.

        Raises:
            PermissionDenied: an endpoint-level key, or another application's.
            NotFound: the account has no such application.
            AlreadyExists: another endpoint has the name.
        """
        if caller.level is ClientLevel.ENDPOINT:
            raise PermissionDenied("This needs an application-level or account-level key.")
        client_id, plaintext = derived("exchange deployment", application_id, deployment), new_plaintext()

        def decide(view: CatalogView) -> Changes[Registered]:
            application = view.client(caller.workspace, application_id)
            if application is None or not _is_application(application, caller.workspace):
                raise NotFound(f"There is no application {application_id}.")
            if caller.level is ClientLevel.APPLICATION and caller.id != application_id:
                raise PermissionDenied("The key is another application's.")
            found = view.client(caller.workspace, client_id)
            said = definition
            if found is None:
                name = definition.name or f"{application.provider or application.name} {deployment}"
                roles = definition.roles or details_of(view, application).roles
                said = msgspec.structs.replace(definition, name=name, roles=roles)
            named = _named(view, caller.workspace, said.name)
            if named is not None and named.id != client_id:
                raise AlreadyExists(f"there is another endpoint {said.name}")
            before = found or _new(client_id, caller, said.name, ClientLevel.ENDPOINT)
            client = msgspec.structs.replace(
                _defined(view, before, said), application=application_id, provider=application.provider
            )
            return self._endpoint_changes(view, found, client, said, _NewKey(plaintext, until))

        return await self._writer.write(decide)

    async def browser_key(self, workspace: str, client_id: str, *, until: int | None = None) -> str:
        """The key with which browsers publish for an endpoint; the same every time, until it is revoked or ends.

        Raises:
            NotFound: there is no such client.
        """
        plaintext = new_plaintext()
        digest, sealed = self._secrets.digest(plaintext), self._secrets.seal(plaintext)

        def decide(view: CatalogView) -> Changes[str]:
            client = existing_client(view, workspace, client_id)
            now = timestamps.now()
            for key in view.api_keys(workspace, client_id):
                ended = key.expires_at is not None and key.expires_at <= now
                if key.use is KeyUse.BROWSER and key.sealed is not None and not ended:
                    return Changes(result=self._secrets.open(key.sealed))
            new = api_key_record(new_id(), client, plaintext, digest, until, use=KeyUse.BROWSER, sealed=sealed)
            return Changes(put=[new], result=plaintext)

        return await self._writer.write(decide)

    async def put_application(self, caller: Client, definition: Definition, *, until: int | None = None) -> Registered:
        """Register an application, the provider of endpoints, or change it.

        With an application-level key it is the caller itself, with an account-level key the application with that
        provider name, which comes into being if there is none.

        Raises:
            InvalidRequest: it has no provider name.
            PermissionDenied: an endpoint-level key.
            AlreadyExists: another application has the provider name.
        """
        if caller.level is ClientLevel.ENDPOINT:
            raise PermissionDenied("This needs an application-level or account-level key.")
        plaintext = new_plaintext()

        def decide(view: CatalogView) -> Changes[Registered]:
            found: Client | None = _application(view, caller.workspace, definition.provider)
            if caller.level is ClientLevel.APPLICATION:
                if found is not None and found.id != caller.id:
                    raise AlreadyExists(f"there is another application of provider {definition.provider}")
                found = existing_client(view, caller.workspace, caller.id)
            before = found or _new(None, caller, definition.provider, ClientLevel.APPLICATION)
            client = _defined(view, before, definition)
            known = None if found is None else details_of(view, found).roles
            self._check_url(definition.roles, None if known is None else known.url)
            put = [*_if_changed(found, client), *changed_details(view, client, definition)]
            return self._changes(found, client, put, _NewKey(plaintext, until))

        return await self._writer.write(decide)

    def _endpoint_changes(
        self, view: CatalogView, found: Client | None, client: Client, definition: Definition, key: _NewKey
    ) -> Changes[Registered]:
        receives = view.endpoint(client.endpoint)
        self._check_url(definition.roles, None if receives is None else receives.url)
        put = [
            *_if_changed(found, client),
            *_destination(view, client, definition.roles),
            *changed_details(view, client, definition),
        ]
        return self._changes(found, client, put, key)

    def _check_url(self, roles: Roles | None, before: str | None) -> None:
        """Refuse a push destination whose address is not allowed, unless it was registered before.

        Raises:
            InvalidRequest: it is not allowed.
        """
        if roles is None or roles.url is None or roles.url == before:
            return
        path = "$.endpointTypes.event.destination.url"
        problems = endpoint_credentials.url_problems(roles.url, self._writer.destinations, path)
        if problems:
            raise InvalidRequest("The endpoint cannot be registered.", problems)

    def _changes(self, found: Client | None, client: Client, put: list[Resource], key: _NewKey) -> Changes[Registered]:
        if found is not None:
            return Changes(put=put, result=Registered(client))
        record = api_key_record(new_id(), client, key.plaintext, self._secrets.digest(key.plaintext), key.until)
        return Changes(put=[*put, record], result=Registered(client, key.plaintext))


def _meant(view: CatalogView, caller: Client, name: str | None) -> Client | None:
    """The endpoint that a call is about, if there is one."""
    named = _named(view, caller.workspace, name)
    if caller.level is ClientLevel.ENDPOINT:
        if named is not None and named.id != caller.id:
            raise AlreadyExists(f"there is another endpoint {name}")
        return existing_client(view, caller.workspace, caller.id)
    if caller.level is ClientLevel.APPLICATION and named is not None and named.application != caller.id:
        raise AlreadyExists(f"there is an endpoint {name} of another application")
    return named


def _named(view: CatalogView, workspace: str, name: str | None) -> Client | None:
    endpoints = (
        one
        for one in view.clients(workspace)
        if (one.realm, one.level, one.name) == (REALM, ClientLevel.ENDPOINT, name)
    )
    return next(endpoints, None)


def _application(view: CatalogView, workspace: str, provider: str | None) -> Client | None:
    if provider is None:
        return None
    applications = (
        one for one in view.clients(workspace) if _is_application(one, workspace) and one.provider == provider
    )
    return next(applications, None)


def _is_application(client: Client, workspace: str) -> bool:
    wanted = (REALM, ClientLevel.APPLICATION, workspace)
    return (client.realm, client.level, client.workspace) == wanted


def _new(client_id: str | None, caller: Client, name: str | None, level: ClientLevel) -> Client:
    if not (name or "").strip():
        member = "name" if level is ClientLevel.ENDPOINT else "providerName"
        raise InvalidRequest("The registration is not valid.", [Problem(path=f"$.{member}", message="is required")])
    return new_client(client_id, workspace=caller.workspace, name=name or "", realm=REALM, level=level)


def _defined(view: CatalogView, before: Client, definition: Definition) -> Client:
    """The client as the definition wants it."""
    provider, application = before.provider, before.application
    if definition.provider is not None:
        provider = definition.provider
        providing = _application(view, before.workspace, provider)
        application = providing.id if providing is not None and before.level is ClientLevel.ENDPOINT else None
    roles = before.roles
    if definition.roles is not None:
        said = (definition.roles.source, definition.roles.destination is not None)
        roles = tuple(one for one in before.roles if one not in _EXCHANGE_ROLES)
        roles += tuple(role for role, has in zip(_EXCHANGE_ROLES, said, strict=True) if has)
    return msgspec.structs.replace(
        before,
        name=definition.name or before.name,
        description=before.description if definition.description is None else definition.description,
        provider=provider,
        application=application,
        identifiers=before.identifiers if definition.identifiers is None else definition.identifiers,
        roles=roles,
    )


def _destination(view: CatalogView, client: Client, roles: Roles | None) -> list[Resource]:
    """What changes of where the client receives."""
    found = view.endpoint(client.endpoint)
    wanted = found
    said = None if roles is None else roles.destination
    if said is not None:
        now = timestamps.now()
        before = found or Endpoint(
            id=client.endpoint,
            workspace=client.workspace,
            name=client.name,
            type=said.type,
            client=client.id,
            body=BODY,
            created_at=now,
            updated_at=now,
        )
        options = {} if said.registered_url is None else {REGISTERED_URL: said.registered_url}
        wanted = msgspec.structs.replace(
            before, name=client.name, type=said.type, url=said.url, options=options, enabled=True
        )
        if endpoint_credentials.sent_elsewhere(before, wanted):
            # An operator gave them, for another server.
            wanted = msgspec.structs.replace(wanted, authorization=None, sealed_headers={})
    elif found is not None:
        enabled = found.enabled and roles is None
        wanted = msgspec.structs.replace(found, name=client.name, enabled=enabled)
    # One that is said to receive counts as edited even if it did before: its connector may have found it gone.
    if wanted is None or (wanted == found and said is None):
        return []
    put: list[Resource] = [msgspec.structs.replace(wanted, updated_at=timestamps.now())]
    if found is not None and wanted.enabled and not found.enabled:
        # What was published while it did not receive must not turn up now.
        put += [linked_anew(each) for each in view.subscriptions_of(client.endpoint)]
    return put


def _if_changed(found: Client | None, client: Client) -> list[Resource]:
    return [] if client == found else [msgspec.structs.replace(client, updated_at=timestamps.now())]
