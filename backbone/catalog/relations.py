"""The relations between catalog resources: the lists that a resource appears in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.model.access import ApiKey, Client, Workspace, client_key
from schemas.model.endpoint import Endpoint, EventFilter, Subscription
from schemas.model.event_type import EventType, Registration
from schemas.model.family_record import FamilyRecord
from schemas.model.growth import Growth
from schemas.model.projection import EndpointProjection

if TYPE_CHECKING:
    from schemas.model.resources import Resource

Relations = tuple[tuple[str, str], ...]
"""Relation, and the id or name that a resource is listed under."""

_LISTED: dict[type, str] = {
    EventType: "event_types",
    Endpoint: "endpoints",
    EventFilter: "event_filters",
}


def relations_of(resource: Resource) -> Relations:
    """The lists that a resource appears in."""
    match resource:
        case Workspace():
            found: Relations = (("workspaces", ""),)
        case ApiKey():
            found = (("api_keys", client_key(resource.workspace, resource.client)),)
        case Registration():
            of_client = client_key(resource.workspace, resource.client)
            found = (("registrations_of", of_client), ("registrations_for", resource.topic))
        case Client():
            found = (("clients", resource.workspace), ("clients_called", resource.id))
        case Subscription():
            found = (
                ("subscriptions", resource.workspace),
                ("subscriptions_of", resource.endpoint),
                ("subscriptions_of", resource.event_filter),
            )
        case EndpointProjection():
            found = (("projections", resource.workspace), ("projections_of", resource.endpoint))
        case FamilyRecord():
            found = ((family_collection(resource.family, resource.collection), resource.workspace),)
        case Growth():
            found = () if resource.is_ended else (("growing", ""),)
        case EventType() | Endpoint() | EventFilter():
            found = ((_LISTED[type(resource)], resource.workspace),)
    return found


def family_collection(family: str, collection: str) -> str:
    """The relation that lists a family's records of one collection by workspace."""
    return f"{family}/{collection}"
