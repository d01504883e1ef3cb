"""Who may read which subjects of the schema registry.

Stock clients send Basic credentials (``basic.auth.user.info``, or user and password in the URL) or a bearer. A key of
our own API is taken as either, as user or as password. Where the registry is open, all subjects are everybody's who
calls it by a name of this server: a page that is loaded by another one is asked for a key.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import Depends, Security
from fastapi.security.http import HTTPBase

from backbone.process.http_hosts import UNKNOWN
from families.schema_registry.settings import RegistrySettings
from ingest_api.authentication import bearer
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Authorization, Host, TheGateway
from schemas.model.access import HEADRACE, Client, Role
from schemas.model.errors import Unauthenticated
from schemas.model.topics import escape
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.indexes import RegisteredSchema
    from backbone.catalog.view import CatalogView
    from schemas.model.event_type import EventType

T = TypeVar("T")

_KEY = HTTPBase(scheme="basic", scheme_name="schemaRegistryKey", auto_error=False)
"""Only declares the scheme in the OpenAPI document."""

_SEND_KEY = "Send an API key as Basic credentials (basic.auth.user.info=<any name>:<API key>), or as bearer."
_MISSING = f"This registry is not open. {_SEND_KEY}"


class ReadableSchemas:
    """The subjects that one client may read.

    Args:
        view: the whole catalog.
        workspace: whose subjects they are; None for all.
    """

    def __init__(self, view: CatalogView, workspace: str | None) -> None:
        self._view = view
        self._workspace = workspace

    def subjects(self) -> list[str]:
        """Their names."""
        return [name for name in self._view.subjects() if self._covers(name)]

    def subject_versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """The versions of a subject, oldest first; none of one that may not be read."""
        return self._view.subject_versions(subject) if self._covers(subject) else ()

    def schema_versions(self, schema_id: int) -> tuple[RegisteredSchema, ...]:
        """The subjects and versions that a schema id is registered under."""
        return tuple(each for each in self._view.schema_versions(schema_id) if self._covers(each.subject))

    def last_schema_id(self) -> int:
        """The highest id of a schema."""
        return max((each.id for name in self.subjects() for each in self.subject_versions(name)), default=0)

    def event_type(self, topic: str) -> EventType | None:
        """The event type of a topic."""
        return self._view.event_type(topic) if self._covers(topic) else None

    def _covers(self, subject: str) -> bool:
        if self._workspace is None:
            return True
        event_type = self._view.event_type(subject.removesuffix("-value"))
        if event_type is not None:
            return event_type.workspace == self._workspace
        # The subject of a type that was deleted: its topic says whose it was.
        return subject.startswith(f"events.{escape(self._workspace)}.")


class Registry:
    """The catalog's schemas, as far as the caller may read them.

    Args:
        gateway: of this worker.
        workspace: whose subjects the caller may read; None for all.
    """

    def __init__(self, gateway: Gateway, workspace: str | None) -> None:
        self._gateway = gateway
        self._workspace = workspace

    async def view(self) -> ReadableSchemas:
        """Brought up to date.

        Raises:
            Unavailable: Kafka does not answer.
        """
        return ReadableSchemas(await self._gateway.view(), self._workspace)

    def known(self) -> ReadableSchemas:
        """What is known without asking Kafka: what it lacks may have come a moment ago."""
        return ReadableSchemas(self._gateway.catalog.view, self._workspace)

    async def lookup(self, find: Callable[[ReadableSchemas], T | None]) -> T | None:
        """What is found; a miss is looked for once more after the catalog was brought up to date.

        Raises:
            Unavailable: Kafka does not answer.
        """
        return await self._gateway.lookup(lambda view: find(ReadableSchemas(view, self._workspace)))


async def registry_of(
    gateway: TheGateway, authorization: Authorization, host: Host, _scheme: Annotated[object, Security(_KEY)]
) -> Registry:
    """What the caller may read of the registry.

    Raises:
        Unauthenticated: the registry is not open, or called by another server's name, and there is no API key, or one
            that is not known.
        PermissionDenied: the client has no role.
    """
    if gateway.settings_of(RegistrySettings).is_open(gateway.settings.host):
        if gateway.settings.hosts.knows(host):
            return Registry(gateway, None)
        if authorization is None:
            raise Unauthenticated(f"{UNKNOWN} {_SEND_KEY}")
    client = await _client(gateway, authorization)
    scope = ReadScope.of(client, ())
    return Registry(gateway, None if Role.ADMIN in client.roles else scope.workspace)


TheRegistry = Annotated[Registry, Depends(registry_of)]
"""A route's parameter: what the caller may read of the registry; 401 where it may read nothing."""


async def _client(gateway: Gateway, authorization: bytes | None) -> Client:
    if authorization is None:
        raise Unauthenticated(_MISSING)
    if authorization[:6].lower() != b"basic ":
        return await gateway.authenticator.by_key(bearer(authorization), HEADRACE)
    user, _, password = _decoded(authorization[6:]).partition(":")
    if password:
        try:
            return await gateway.authenticator.by_key(password, HEADRACE)
        except Unauthenticated:
            if not user:
                raise
    return await gateway.authenticator.by_key(user, HEADRACE)


def _decoded(credentials: bytes) -> str:
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unauthenticated("The Basic credentials cannot be read.") from error
