"""Whether a token's origin is still there: the client that it was issued for, and the key that it was got with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.model import timestamps
from schemas.security.binding import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backbone.catalog.view import CatalogView
    from schemas.model.access import Client, Realm

_MICROS = 1_000_000


def bindings_of(view: CatalogView) -> Callable[[str, Realm], Iterator[Binding]]:
    """Return a function that finds the bindings of a client id: one for each key of each client of the realm.

    A token names a client and a realm, but no workspace. The key that signed it says which of the clients it is.
    """

    def found(client_id: str, realm: Realm) -> Iterator[Binding]:
        for client in view.clients_called(client_id):
            if client.realm == realm:
                yield from (Binding.of(client, key) for key in view.api_keys(client.workspace, client_id))

    return found


def bound_client(
    view: CatalogView, client_id: str, binding: Binding | None, issued_at: float | None, *, workspace: str = ""
) -> Client | None:
    """Return the client that a token is worth as much as; None if its origin is gone.

    A token of an earlier release says nothing of its origin. When it was issued, ids were unique in the installation:
    it is good for a client of that time, until a key of the client is revoked.

    Args:
        view: the catalog.
        client_id: whom the token names.
        binding: what the token says of its origin.
        issued_at: seconds since the epoch, of a token without a binding; None where it does not say.
        workspace: where a token without a binding counts for a client that is younger than it could know.
    """
    if binding is not None:
        return _of(view, client_id, binding)
    client = view.unique_client(client_id) or view.client(workspace, client_id)
    if client is None or issued_at is None or client.tokens_from == 0:
        return client
    return client if issued_at > client.tokens_from // _MICROS else None


def refusing_tokens_of_before(client: Client) -> Client:
    """Return the client as one that refuses the tokens without a binding that were issued until now."""
    return msgspec.structs.replace(client, tokens_from=timestamps.now())


def _of(view: CatalogView, client_id: str, binding: Binding) -> Client | None:
    client, key = view.client(binding.workspace, client_id), view.api_key(binding.key)
    if client is None or key is None:
        return None
    whose = (key.workspace, key.client, key.created_at)
    stands = whose == (binding.workspace, client_id, binding.key_generation)
    return client if stands and client.created_at == binding.generation else None
