"""What is registered of Exchange endpoints and applications, and where what the common model lacks is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from families.registry import FAMILIES
from schemas.model import timestamps
from schemas.model.access import Client, ClientLevel
from schemas.model.endpoint import BodyFormat, EndpointType
from schemas.model.family_record import FamilyRecord

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from schemas.model.resources import Resource

REALM = FAMILIES["exchange"]
BODY, NOTIFICATION_BODY = BodyFormat("exchange"), BodyFormat("exchange_notification")

COLLECTION = "definition"

REGISTERED_URL = "url"
"""Endpoint option: the URL of a push destination as it was registered; events are posted below it."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where an Exchange endpoint receives: pushed to ``url``, registered as ``registered_url``, or pulled as files.

    In the catalog it is the endpoint with the id ``Client.endpoint``: there is one at most.
    """

    type: EndpointType
    url: str | None = None
    registered_url: str | None = None


class Roles(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an Exchange endpoint is a source of events, and where it receives, if it does."""

    source: bool
    destination: Destination | None

    @property
    def url(self) -> str | None:
        """Where events are pushed to, if they are."""
        return None if self.destination is None else self.destination.url


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What is registered of an endpoint or an application; None leaves as it is what was registered before."""

    name: str | None = None
    description: str | None = None
    provider: str | None = None
    identifiers: tuple[str, ...] | None = None
    roles: Roles | None = None
    hash_algorithm: str | None = None
    databases: tuple[dict[str, Any], ...] | None = None


class Registered(NamedTuple):
    """``key`` is the authentication key in plaintext, of one that has just come into being; it is shown this once."""

    client: Client
    key: str | None = None


class Details(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a definition beside the client and its destination.

    ``databases`` hold the identifiers with their types; ``roles`` are those that an application's endpoints take over.
    """

    hash_algorithm: str | None = None
    databases: tuple[dict[str, Any], ...] | None = None
    roles: Roles | None = None


def details_of(view: CatalogView, client: Client) -> Details:
    """What is kept of a client's definition."""
    found = view.family_record(REALM, COLLECTION, client.unique_id)
    return Details() if found is None else msgspec.convert(found.content, Details)


def changed_details(view: CatalogView, client: Client, definition: Definition) -> list[Resource]:
    """The record that keeps what the definition says besides, if that is new."""
    before = details_of(view, client)
    roles = definition.roles if client.level is ClientLevel.APPLICATION else None
    wanted = Details(
        hash_algorithm=before.hash_algorithm if definition.hash_algorithm is None else definition.hash_algorithm,
        databases=before.databases if definition.databases is None else definition.databases,
        roles=before.roles if roles is None else roles,
    )
    if wanted == before:
        return []
    found = view.family_record(REALM, COLLECTION, client.unique_id)
    now = timestamps.now()
    return [
        FamilyRecord(
            family=REALM,
            collection=COLLECTION,
            id=client.unique_id,
            workspace=client.workspace,
            content=msgspec.to_builtins(wanted),
            created_at=now if found is None else found.created_at,
            updated_at=now,
        )
    ]


def details_keys(view: CatalogView, client: Client) -> list[str]:
    """The catalog record key of what is kept besides, if anything is."""
    found = view.family_record(REALM, COLLECTION, client.unique_id)
    return [] if found is None else [found.key]
