"""Decides which realtime channels a client may grant to others, and whether an issued token is still valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from backbone.catalog.bindings import bound_client
from schemas.model.access import Client, Role
from schemas.model.channels import endpoint_of
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import PermissionDenied
from schemas.security.permissions import Operation, owner_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.catalog.view import CatalogView
    from backbone.realtime_tokens import ConnectionClaims, SubscriptionClaims
    from schemas.model.access import Realm
    from schemas.security.binding import Binding


class Grant(NamedTuple):
    """The reason why a client may connect, or join a channel; valid while the catalog agrees.

    Attributes:
        workspace: of the channels.
        issuer: id of the client that requested the token, if any.
        binding, issued_at: of the token (``backbone.realtime_tokens``).
        public: the channel, if it is public and needed no token.
    """

    workspace: str
    issuer: str | None = None
    binding: Binding | None = None
    issued_at: int | None = None
    public: str | None = None

    @classmethod
    def of(cls, claims: ConnectionClaims | SubscriptionClaims) -> Grant:
        """The grant of a token."""
        return cls(claims.workspace, claims.issuer, claims.binding, claims.issued_at)


class RealmChannels(Protocol):
    """The rules for the channels of one realm's clients, if they differ from those of Headrace's own API."""

    realm: Realm

    def is_member(self, view: CatalogView, issuer: Client, workspace: str) -> bool:
        """Whether tokens that the client requested are valid in a workspace."""

    def check(self, view: CatalogView, issuer: Client, workspace: str, channel: str) -> None:
        """Check that the client, and clients with tokens from it, may join a channel of a workspace.

        Raises:
            PermissionDenied: the client may not join it.
        """

    def may_be_public(self, workspace: str, channel: str) -> bool:
        """Whether a public channel of the workspace can have this name."""

    def is_public(self, view: CatalogView, workspace: str, channel: str) -> bool:
        """Whether every connected client of a workspace may join a channel."""


class RealtimeRights:
    """Decides from the catalog which grants are valid.

    Args:
        realms: realms with channels of their own; all others have the channels of Headrace's own API.
    """

    def __init__(self, realms: Iterable[RealmChannels]) -> None:
        self._realms = {each.realm: each for each in realms}

    def has_own_channels(self, client: Client) -> bool:
        """Whether the client's realm has its own channels and rules."""
        return client.realm in self._realms

    def may_be_public(self, workspace: str, channel: str) -> bool:
        """Whether a public channel can have this name."""
        return any(each.may_be_public(workspace, channel) for each in self._realms.values())

    def stands(self, view: CatalogView, grant: Grant) -> bool:
        """Whether a grant is still valid.

        A token is valid only while its issuer and the key that the issuer used are; in a realm with its own channels,
        the issuer must also still be a member. Tokens without an issuer in the catalog are valid.
        """
        if grant.public is not None:
            return any(each.is_public(view, grant.workspace, grant.public) for each in self._realms.values())
        return grant.issuer is None or self.issuer_of(view, grant) is not None

    def covers(self, view: CatalogView, grant: Grant, channel: str) -> bool:
        """Whether the issuer of a token may still grant a channel.

        The grant ends when the issuer loses a role or scope, or when its endpoint is deleted. A token of an earlier
        release, or of another issuer, is valid for its channels while it stands.
        """
        if grant.binding is None:
            return self.stands(view, grant)
        issuer = self.issuer_of(view, grant)
        if issuer is None:
            return False
        channels = self._realms.get(issuer.realm)
        try:
            if channels is None:
                return lets_into(view, issuer, grant.workspace, channel)
            channels.check(view, issuer, grant.workspace, channel)
        except PermissionDenied:
            return False
        return True

    def issuer_of(self, view: CatalogView, grant: Grant) -> Client | None:
        """The client that requested the token, while the grant is valid."""
        client = bound_client(view, grant.issuer or "", grant.binding, grant.issued_at, workspace=grant.workspace)
        if client is None or client.disabled:
            return None
        channels = self._realms.get(client.realm)
        return client if channels is None or channels.is_member(view, client, grant.workspace) else None


def lets_into(view: CatalogView, client: Client, workspace: str, channel: str) -> bool:
    """Whether a client of Headrace's own API may grant a channel; False if it sees no endpoint of that channel.

    A subscriber may grant the channels of its own endpoints. Channels of templates, which several endpoints may share,
    can be granted by operators only.

    Raises:
        PermissionDenied: the client may grant none, or no channels of templates.
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
