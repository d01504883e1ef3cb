"""An Envoy organisation on the event streaming server: its record, its channels, and the scopes that let users join.

A channel is ``<namespace>:<organisation>``, or ``<namespace>:<organisation>#<user>,<user>…`` where only these users may
join. The namespace is that of the event type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from families.registry import FAMILIES
from schemas.model.channels import MAX_LENGTH
from schemas.model.errors import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Collection

    from families.envoy.settings import EnvoySettings
    from schemas.model.access import Client

REALM = FAMILIES["envoy"]
FAMILY = str(REALM)

ORGANISATIONS = "organisation"
"""The collection of the family's records; one is there as long as its organisation is provisioned, under its name."""

PUBLIC_NAMESPACES = "public_namespaces"
"""Member of such a record: the namespaces whose channel every connected client of the organisation may join."""

USER_PREFIX = "usr_"
"""What the id of a user begins with. An event with such a subject is that user's alone."""

_USERS = "#"


class OrganisationChannel(NamedTuple):
    """What a channel's name says; ``users`` are those who may join, None where it does not say."""

    namespace: str
    users: tuple[str, ...] | None


def channel_name(namespace: str, organisation: str, *users: str) -> str:
    """The name of an organisation's channel, or of the one that is for these users only."""
    return f"{namespace}:{organisation}{_USERS if users else ''}{','.join(users)}"


def read_channel(channel: str, organisation: str) -> OrganisationChannel | None:
    """What a channel of an organisation is; None for one that is not of this organisation."""
    namespace, found, rest = channel.partition(f":{organisation}")
    if not namespace or not found or not (rest == "" or rest.startswith(_USERS)):
        return None
    return OrganisationChannel(namespace, tuple(rest[1:].split(",")) if rest else None)


MAX_CHANNELS = 128
"""Subscriptions of one connection, the realtime nodes' default; scopes past them subscribe to nothing by themselves."""


class Grants(NamedTuple):
    """Namespaces by what a user may see of them: all that happens in the organisation, or what concerns the user."""

    organisation: tuple[str, ...]
    own: tuple[str, ...]

    @classmethod
    def of(cls, user: Client, settings: EnvoySettings) -> Grants:
        """What the user's scopes grant."""
        organisation, own = (
            tuple(dict.fromkeys(scope.removesuffix(suffix) for scope in user.scopes if _ends_in(scope, suffix)))
            for suffix in (settings.scope_suffix, settings.user_scope_suffix)
        )
        return cls(organisation, own)

    def automatic(self, user: Client) -> list[str]:
        """The channels that the user is subscribed to by connecting: one for each scope."""
        channels = [channel_name(namespace, user.workspace) for namespace in self.organisation]
        channels += [channel_name(namespace, user.workspace, user.id) for namespace in self.own]
        return [each for each in channels if len(each) <= MAX_LENGTH][:MAX_CHANNELS]

    def check(self, user: Client, channel: str, public: Collection[str]) -> None:
        """Let the user join a channel; that of a public namespace is everybody's in the organisation.

        Raises:
            PermissionDenied: it is of another organisation, for other users only, or no scope covers it.
        """
        said = read_channel(channel, user.workspace)
        if said is None:
            raise PermissionDenied(f"{channel} is not a channel of {user.workspace}.")
        if said.users is not None:
            if user.id not in said.users:
                raise PermissionDenied(f"{channel} is for other users only.")
            granted: Collection[str] = (*self.organisation, *self.own)
        else:
            granted = (*self.organisation, *public)
        if said.namespace not in granted:
            raise PermissionDenied(f"No scope of the access token covers {channel}.")


def _ends_in(scope: str, suffix: str) -> bool:
    return scope.endswith(suffix) and len(scope) > len(suffix)
