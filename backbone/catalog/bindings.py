"""Whether a token's origin is still there: the client that it was issued for, and the key that it was got with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.binding import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backbone.catalog.view import CatalogView
    from schemas.access import Client

_MICROS = 1_000_000


def bindings_of(view: CatalogView) -> Callable[[str], Iterator[Binding]]:
    """Return what finds to what a token for a client may be bound: a binding for each of its keys."""

    def found(client_id: str) -> Iterator[Binding]:
        client = view.client(client_id)
        if client is not None:
            yield from (Binding.of(client, key) for key in view.api_keys(client_id))

    return found


def bound_client(view: CatalogView, client_id: str, binding: Binding | None, issued_at: float | None) -> Client | None:
    """Return the client that a token is worth as much as; None if its origin is gone.

    A token of an earlier release says nothing of its origin. It is good until a key of its client is revoked, or the
    client is made again.

    Args:
        view: the catalog.
        client_id: whom the token names.
        binding: what the token says of its origin.
        issued_at: seconds since the epoch, of a token without a binding; None where it does not say.
    """
    client = view.client(client_id)
    if client is None:
        return None
    if binding is not None:
        key = view.api_key(binding.key)
        if key is None or (key.client, key.created_at) != (client_id, binding.key_generation):
            return None
        return client if (client.workspace, client.created_at) == (binding.workspace, binding.generation) else None
    if issued_at is None or client.tokens_from == 0:
        return client
    return client if issued_at > client.tokens_from // _MICROS else None
