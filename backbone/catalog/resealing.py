"""The stored secrets of the catalog: sealed with another key, and which of them cannot be opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.catalog import endpoint_credentials
from schemas.model.access import ApiKey
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from schemas.model.endpoint import Endpoint


def sealed_resources(view: CatalogView) -> Iterator[Endpoint | ApiKey]:
    """Every resource that may hold a sealed secret."""
    for workspace in view.workspaces():
        yield from view.endpoints(workspace.name)
        for client in view.clients(workspace.name):
            yield from view.api_keys(workspace.name, client.id)


def resealed(each: Endpoint | ApiKey, secrets: SecretBox) -> Endpoint | ApiKey:
    """The resource with its secrets sealed with the first key; equal to it if they are already.

    Raises:
        Misconfigured: none of the keys opens one of them.
    """
    if isinstance(each, ApiKey):
        return each if each.sealed is None else msgspec.structs.replace(each, sealed=secrets.resealed(each.sealed))
    found = each.authorization
    return msgspec.structs.replace(
        endpoint_credentials.resealed_headers(each, secrets),
        signing_secrets=tuple(secrets.resealed(token) for token in each.signing_secrets),
        authorization=found and endpoint_credentials.resealed(found, secrets),
        request=each.request and endpoint_credentials.resealed_template(each.request, secrets),
    )


def lost_secrets(view: CatalogView, secrets: SecretBox) -> list[str]:
    """The record keys of resources with a secret that none of the keys opens."""
    lost = []
    for each in sealed_resources(view):
        try:
            resealed(each, secrets)
        except Misconfigured:
            lost.append(each.key)
    return lost
