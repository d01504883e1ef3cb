"""Which channels of an organisation its users may join."""

from __future__ import annotations

from typing import TYPE_CHECKING

from families.envoy.catalog.organisations import is_provisioned, is_public, public_namespaces_of
from families.envoy.model import REALM, Grants, read_channel
from families.envoy.settings import EnvoySettings

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from schemas.model.access import Client


class EnvoyChannels:
    """The ``RealmChannels`` of Envoy's users.

    Args:
        settings: which scopes let users join channels.
    """

    realm = REALM

    def __init__(self, settings: EnvoySettings) -> None:
        self._settings = settings

    def is_member(self, view: CatalogView, issuer: Client, workspace: str) -> bool:
        """Whether the user belongs to the organisation, and that is provisioned."""
        # A user of that id may have come to belong to another organisation.
        return issuer.workspace == workspace and is_provisioned(view, workspace)

    def check(self, view: CatalogView, issuer: Client, workspace: str, channel: str) -> None:
        """Let the user join a channel that its scopes cover, or a public one.

        Raises:
            PermissionDenied: it is of another organisation, for other users only, or no scope covers it.
        """
        Grants.of(issuer, self._settings).check(issuer, channel, public_namespaces_of(view, workspace))

    def may_be_public(self, workspace: str, channel: str) -> bool:
        """Whether it is a channel of the organisation."""
        return read_channel(channel, workspace) is not None

    def is_public(self, view: CatalogView, workspace: str, channel: str) -> bool:
        """Whether it is the channel of a public namespace of the organisation."""
        return is_public(view, workspace, channel)


def realm_channels() -> EnvoyChannels:
    """The rules of Envoy's realm."""
    return EnvoyChannels(EnvoySettings())
