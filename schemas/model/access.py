"""Workspaces, clients and their credentials."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType
from urllib.parse import quote

import msgspec

from schemas.model.quota import NOTHING_SET, Quota

DEFAULT_WORKSPACE = "default"
"""The workspace of the families that have no tenants (CRMLS, eventhos)."""


class Role(StrEnum):
    """What a client may do in its workspace (``docs/security.md`` has the table).

    ``viewer`` reads the workspace and changes nothing; ``admin`` may do everything, in every workspace. ``key_issuer``
    lets a client of another role issue keys of its own, so as to replace them.
    """

    PRODUCER = "producer"
    SUBSCRIBER = "subscriber"
    VIEWER = "viewer"
    OPERATOR = "operator"
    KEY_ISSUER = "key_issuer"
    ADMIN = "admin"


Realm = NewType("Realm", str)
"""The API family a credential belongs to; the other families refuse it. ``families/registry.py`` lists theirs."""

HEADRACE = Realm("headrace")
"""That of our own API."""


class ClientLevel(StrEnum):
    """What a client and its keys stand for in Exchange; an application is the provider of several endpoints."""

    ENDPOINT = "endpoint"
    ACCOUNT = "account"
    APPLICATION = "application"


class KeyUse(StrEnum):
    """What an API key is good for; a route that does not ask for another takes only ``api``."""

    API = "api"
    BROWSER = "browser"
    CLIENT_SECRET = "client_secret"  # noqa: S105  # a kind, not a secret
    LONG_LIVED = "long_lived"


class Workspace(msgspec.Struct, frozen=True, kw_only=True, tag="workspace", tag_field="kind"):
    """The tenant: everything belongs to one. ``name`` is unique and is a segment of its topics; ``id`` is a UUID.

    ``quota`` is what all of its clients together may publish.
    """

    id: str
    name: str
    quota: Quota = NOTHING_SET
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        """Catalog record key."""
        return f"workspace/{self.name}"


class Client(msgspec.Struct, frozen=True, kw_only=True, tag="client", tag_field="kind"):
    """A credential holder inside a workspace. Its ``id`` is unique there; clients of two workspaces may share one.

    Attributes:
        identity: see ``unique_id``; empty in records of releases in which ids were unique in the installation.
        level: what it stands for; only Exchange has clients other than endpoints.
        provider: the name of the application that provides it (Exchange).
        application: id of that application's client, if it is registered; its identifiers hold for this client too.
        description: for people.
        identifiers: names of the identifiers that its events may carry, for families that register them (Exchange).
        tokens_from: tokens that do not say what they were got with, as those of earlier releases, are refused if they
            were issued before this time (microseconds since the epoch).
        quota: how much it may publish.
    """

    id: str
    workspace: str
    identity: str = ""
    name: str
    realm: Realm = HEADRACE
    roles: tuple[Role, ...] = ()
    scopes: tuple[str, ...] = ()
    disabled: bool = False
    level: ClientLevel = ClientLevel.ENDPOINT
    provider: str | None = None
    application: str | None = None
    description: str = ""
    identifiers: tuple[str, ...] = ()
    tokens_from: int = 0
    quota: Quota = NOTHING_SET
    created_at: int
    updated_at: int

    @property
    def unique_id(self) -> str:
        """Unique in the installation, for ever: a client that is made again with the same id has another one.

        Idempotency keys and event ids are derived from it, and other ids that belong to this client alone.
        """
        return self.identity or self.id

    @property
    def endpoint(self) -> str:
        """The id of the endpoint where an Exchange client receives, if it does."""
        return self.unique_id

    @property
    def key(self) -> str:
        """Catalog record key. Records of earlier releases keep theirs, which names no workspace."""
        return client_key(self.workspace, self.id) if self.identity else f"client/{self.id}"


def client_key(workspace: str, client_id: str) -> str:
    """Catalog record key of a client; a quoted workspace has no slash, so that no two clients share a key."""
    return f"client/{quote(workspace, safe='')}/{client_id}"


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, tag="api_key", tag_field="kind"):
    """One API key of a client, stored only as a keyed hash; ``hint`` is its last four characters.

    Attributes:
        use: what it is good for.
        sealed: the key itself, encrypted, for a family that has to show it again; None for all others.
        expires_at: in microseconds since the epoch; None means until deleted.
    """

    id: str
    client: str
    workspace: str
    digest: str
    hint: str
    use: KeyUse = KeyUse.API
    sealed: str | None = None
    expires_at: int | None = None
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        """Catalog record key."""
        return f"api_key/{self.id}"
