"""What a change of an event type or a registration puts into the catalog, so that attributes and schema agree."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.type_changes import check_settings, evolved
from backbone.catalog.writer import Changes
from schemas.model import timestamps
from schemas.model.access import HEADRACE
from schemas.model.errors import Conflict
from schemas.model.event_type import EventType, Registration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.view import CatalogView
    from schemas.model.event_type import Attribute
    from schemas.model.resources import Resource

Registered = tuple[EventType, Registration | None]


def with_also(
    decide: Callable[[CatalogView], Changes[Registered]], beside: Callable[[CatalogView], Sequence[Resource]] | None
) -> Callable[[CatalogView], Changes[Registered]]:
    """A decision that puts what another one puts besides."""
    if beside is None:
        return decide

    def decide_both(view: CatalogView) -> Changes[Registered]:
        changes = decide(view)
        return dataclasses.replace(changes, put=[*changes.put, *beside(view)])

    return decide_both


def following(view: CatalogView, before: EventType, attributes: Sequence[Attribute]) -> list[Registration]:
    """The registrations that change with their event type, changed.

    Raises:
        Conflict: the event type would keep an attribute that it shall lose, because another registration lists it.
    """
    whole, wanted = ({each.name for each in listed} for listed in (before.attributes, attributes))
    changed, kept = [], []
    for each in view.registrations_for(before.topic):
        names = {attribute.name for attribute in each.attributes}
        client = view.client(each.workspace, each.client)
        if names == whole and client is not None and client.realm == HEADRACE:
            changed.append(msgspec.structs.replace(each, attributes=tuple(attributes), updated_at=timestamps.now()))
        elif names - wanted:
            kept.append(f"{', '.join(sorted(names - wanted))} in {each.registration.value} of client {each.client}")
    if kept:
        raise Conflict(f"registrations still list attributes that are left out: {'; '.join(kept)}. Change these first.")
    return changed


def changes_of(
    view: CatalogView,
    before: EventType | None,
    event_type: EventType,
    registration: Registration | None,
    following: Sequence[Registration] = (),
) -> Changes[Registered]:
    """Put what differs from the view: the registration, and the event type with the attributes that come of it.

    ``following`` are other registrations as they will be; they are counted, and put by the caller.
    """
    check_settings(event_type)
    changed = {each.key: each for each in following}
    registrations = [changed.get(each.key, each) for each in view.registrations_for(event_type.topic)]
    put: list[Resource] = []
    if registration is not None:
        if view.get(registration.key) != registration:
            registration = msgspec.structs.replace(registration, updated_at=timestamps.now())
            put.append(registration)
        registrations = [each for each in registrations if each.key != registration.key] + [registration]
    event_type, schemas = evolved(view, event_type, registrations)
    if event_type != before:
        event_type = msgspec.structs.replace(event_type, updated_at=timestamps.now())
        put.append(event_type)
    return Changes(put=put, schemas=schemas, result=(event_type, registration))
