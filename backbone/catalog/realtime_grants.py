"""Which realtime channels a client may let others into, and whether a token that it had issued still stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backbone.catalog.bindings import bound_client
from backbone.catalog.envoy import is_provisioned, is_public, public_namespaces_of
from schemas.access import Client, Realm, Role
from schemas.channels import endpoint_of
from schemas.errors import PermissionDenied
from schemas.organisation import Grants, ScopeEndings
from schemas.permissions import Operation, owner_for
from schemas.subscription import Endpoint, EndpointType

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from backbone.realtime_tokens import ConnectionClaims, SubscriptionClaims
    from schemas.binding import Binding


class Ground(NamedTuple):
    """Why somebody was let in, or into a channel: good for as long as the catalog stands by it.

    Attributes:
        workspace: whose channels they are.
        issuer: id of the client that had the token issued, if any.
        binding, issued_at: of the token (``backbone.realtime_tokens``).
        public: the channel, where it took no token.
    """

    workspace: str
    issuer: str | None = None
    binding: Binding | None = None
    issued_at: int | None = None
    public: str | None = None

    @classmethod
    def of(cls, claims: ConnectionClaims | SubscriptionClaims) -> Ground:
        """That of a token."""
        return cls(claims.workspace, claims.issuer, claims.binding, claims.issued_at)


def stands(view: CatalogView, ground: Ground) -> bool:
    """Whether the catalog stands by what somebody was let in on.

    What a client has issued is worth no more than that client and the key that it used; tokens of Envoy users, only
    while their organisation is provisioned. Tokens that no client of ours has issued stand.
    """
    if ground.public is not None:
        return is_public(view, ground.workspace, ground.public)
    return ground.issuer is None or _issuer(view, ground) is not None


def covers(view: CatalogView, ground: Ground, channel: str, endings: ScopeEndings) -> bool:
    """Whether the issuer of a token may still let others into a channel.

    A role or a scope that it lost, and an endpoint that is gone, end what was got with it. A token of an earlier
    release, or of another issuer, is good for its channels while it stands.
    """
    if ground.binding is None:
        return stands(view, ground)
    issuer = _issuer(view, ground)
    if issuer is None:
        return False
    try:
        if issuer.realm is Realm.ENVOY:
            Grants.of(issuer, endings).check(issuer, channel, public_namespaces_of(view, ground.workspace))
            return True
        return lets_into(view, issuer, ground.workspace, channel)
    except PermissionDenied:
        return False


def lets_into(view: CatalogView, client: Client, workspace: str, channel: str) -> bool:
    """Whether a client of our own API may let others into a channel; False where it sees no endpoint of that channel.

    A subscriber may let into the channels of its own endpoints; those of templates, which several endpoints may share,
    are operators'.

    Raises:
        PermissionDenied: it may let into none, or not into channels of templates.
    """
    owner = owner_for(client, Operation.LET_IN)
    if workspace != client.workspace and Role.ADMIN not in client.roles:
        raise PermissionDenied("Only an administrator may act in another workspace.")
    endpoint_id = endpoint_of(channel)
    if endpoint_id is None:
        if owner is not None:
            raise PermissionDenied("Only operators may let into channels that come from templates.")
        return True
    endpoint = view.endpoint(endpoint_id)
    return endpoint is not None and _is_socket_of(endpoint, workspace, owner)


def _is_socket_of(endpoint: Endpoint, workspace: str, owner: str | None) -> bool:
    its_own = endpoint.workspace == workspace and owner in (None, endpoint.client)
    return its_own and endpoint.type is EndpointType.WEB_SOCKET


def _issuer(view: CatalogView, ground: Ground) -> Client | None:
    client = bound_client(view, ground.issuer or "", ground.binding, ground.issued_at)
    if client is None or client.disabled:
        return None
    if client.realm is not Realm.ENVOY:
        return client
    # A user of that id may have come to belong to another organisation.
    here = client.workspace == ground.workspace and is_provisioned(view, ground.workspace)
    return client if here else None
