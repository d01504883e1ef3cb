"""What eventhos adds to the writes of others: it guards what its records stand for, and follows deleted clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.catalog.extension import CatalogExtension, Edits, check_content
from families.eventhos.catalog.records import (
    FAMILY,
    NAMESPACE,
    WORKSPACE,
    Account,
    Action,
    Contract,
    Event,
    Kept,
    Role,
    System,
    ever,
    find,
    revised,
    to_record,
)
from schemas.model.access import Client
from schemas.model.endpoint import Endpoint, EventFilter, Subscription
from schemas.model.errors import Conflict, InvalidRequest, PermissionDenied, Problem
from schemas.model.event_type import EventType, Registration, RegistrationKind

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from schemas.model.family_record import FamilyRecord
    from schemas.model.resources import Resource


_KINDS: dict[str, type[Kept]] = {each.collection: each for each in (System, Event, Action, Contract, Account, Role)}


class EventhosExtension(CatalogExtension):
    """Events, actions and contracts are changed by the family's own API only."""

    def guard(self, view: CatalogView, resource: Resource) -> None:
        """Refuse to change or delete a resource that stands beside an event, an action or a contract of eventhos.

        The family's own API changes the record and the resource together.

        Raises:
            Conflict: it stands beside one.
        """
        owner = _owner(view, resource)
        if owner is not None and not owner.deleted:
            what = f"{owner.collection} {owner.id}"
            raise Conflict(
                f"It belongs to eventhos' {what}: change or delete it there, by /{owner.collection}/{owner.id}."
            )

    def guard_registration(self, view: CatalogView, registration: Registration) -> None:
        """Refuse a client that is to publish an event of eventhos, unless it is the client of the event's system.

        Raises:
            PermissionDenied: it is another client.
        """
        if (registration.workspace, registration.namespace) != (WORKSPACE, NAMESPACE):
            return
        if registration.registration is not RegistrationKind.PUBLISH:
            return
        event = find(view, Event, registration.code)
        if event is not None and not event.deleted and not _sends(view, registration.client, event):
            raise PermissionDenied("An event of eventhos is published by the client of its system only.")

    def check_record(self, record: FamilyRecord) -> None:
        """Refuse one that is not found by what it holds, or is of another workspace.

        Raises:
            InvalidRequest: it is not.
        """
        kind = _KINDS.get(record.collection)
        if record.family != FAMILY or kind is None:
            return
        if check_content(record, kind).record_id != record.id or record.workspace != WORKSPACE:
            problem = Problem(path="$.id", message=f"is not that of the {record.collection}, in {WORKSPACE}")
            raise InvalidRequest("The record cannot be read.", [problem])

    def additions(self, before: CatalogView, edits: Edits) -> Edits:
        """Mark the accounts of deleted clients as deleted."""
        gone = (before.get(key) for key in edits.delete)
        clients = (each for each in gone if isinstance(each, Client) and each.workspace == WORKSPACE)
        accounts = (find(before, Account, each.id) for each in clients)
        return Edits([to_record(revised(each, {"deleted": True})) for each in accounts if each and not each.deleted])


def _owner(view: CatalogView, resource: Resource) -> Event | Action | Contract | None:
    """The record that a resource stands beside, deleted ones too."""
    match resource:
        case Endpoint(workspace=workspace) if workspace == WORKSPACE:
            return find(view, Action, resource.id)
        case Subscription(workspace=workspace) if workspace == WORKSPACE:
            return find(view, Contract, resource.id)
        case EventFilter(workspace=workspace) if workspace == WORKSPACE:
            return next((each for each in ever(view, Event) if each.filter_id == resource.id), None)
        case EventType(workspace=workspace, namespace=namespace) if (workspace, namespace) == (WORKSPACE, NAMESPACE):
            return find(view, Event, resource.code)
        case Registration(workspace=workspace, namespace=namespace) if (workspace, namespace) == (WORKSPACE, NAMESPACE):
            event = find(view, Event, resource.code)
            return event if _sends(view, resource.client, event) else None
        case _:
            return None


def _sends(view: CatalogView, client: str, event: Event | None) -> bool:
    system = None if event is None else find(view, System, str(event.system_id))
    return system is not None and system.client == client


EXTENSION = EventhosExtension()
