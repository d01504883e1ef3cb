"""An Envoy organisation on the event streaming server: its record, and the names of its channels.

A channel is ``<namespace>:<organisation>``, or ``<namespace>:<organisation>#<user>,<user>…`` where only these users may
join. The namespace is that of the event type.
"""

from __future__ import annotations

from typing import NamedTuple

FAMILY = "envoy"

ORGANISATIONS = "organisation"
"""The collection of the family's records; one is there as long as its organisation is provisioned, under its name."""

PUBLIC_NAMESPACES = "public_namespaces"
"""Member of such a record: the namespaces whose channel every connected client of the organisation may join."""

OWNER = "organisation"
"""Endpoint option of a webhook that is set up for an organisation: its name. Deprovisioning deletes such webhooks."""

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
