"""Systems and events of eventhos, each written in one transaction with what it stands for."""

from __future__ import annotations

import secrets as random
import string
from typing import TYPE_CHECKING, Any

from backbone.catalog.writer import Changes
from families.eventhos.catalog.records import (
    NAMESPACE,
    WORKSPACE,
    Account,
    Action,
    Contract,
    Event,
    Refused,
    System,
    all_of,
    existing_event,
    existing_system,
    new_numbers,
    numbered,
    revised,
    to_record,
)
from schemas.model import timestamps
from schemas.model.endpoint import EventFilter, TypeSelection
from schemas.model.event_type import Registration, RegistrationKind, registration_key

if TYPE_CHECKING:
    from backbone.catalog.event_types import EventTypes
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.model.resources import Resource

_SUFFIX = string.ascii_letters + string.digits + "_-"
_SUFFIX_LENGTH = 10


class EventhosSystems:
    """Creates, changes and deletes systems and events; all methods raise ``Unavailable`` when Kafka cannot answer.

    What a method is not given stays as it is.

    Args:
        writer: this process's writer.
        event_types: makes the topics of events.
    """

    def __init__(self, writer: CatalogWriter, event_types: EventTypes) -> None:
        self._writer = writer
        self._event_types = event_types

    async def create_system(self, *, client_id: int | None = None, **properties: Any) -> System:
        """A new system, and the client (by its integer id) that its events are sent with.

        Raises:
            Refused: 400301 there is no such client, 400304 it has another system, 400305 the identifier is taken.
        """

        def decide(view: CatalogView) -> Changes[System]:
            identifier = properties["identifier"]
            if all_of(view, System, lambda each: each.identifier == identifier):
                raise Refused(400305, f"System identifier already exist: {identifier}")
            client = None if client_id is None else _free_client(view, client_id, None)
            new = System(**new_numbers(view, System), client=client, **properties)
            return Changes(put=[to_record(new)], result=new)

        return await self._writer.write(decide)

    async def update_system(self, number: int, **changed: Any) -> System:
        """Change a system; another ``client_id`` (None for none) takes over its events.

        Raises:
            Refused: 404301 there is no such system, and as for a new one.
        """

        def decide(view: CatalogView) -> Changes[System]:
            found = existing_system(view, number)
            properties = dict(changed)
            if "client_id" in properties:
                client_id = properties.pop("client_id")
                properties["client"] = None if client_id is None else _free_client(view, client_id, found)
            wanted = revised(found, properties)
            put: list[Resource] = [to_record(wanted)]
            delete: list[str] = []
            if wanted.client != found.client:
                for event in all_of(view, Event, lambda each: each.system_id == number):
                    delete += _registrations(view, event, found.client)
                    put += [] if wanted.client is None else [_registration(event, wanted.client)]
            return Changes(put=put, delete=delete, result=wanted)

        return await self._writer.write(decide)

    async def delete_system(self, number: int) -> None:
        """Delete a system that nothing belongs to.

        Raises:
            Refused: 404301 there is no such system, 400302 it has events, 400303 it has actions.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_system(view, number)
            if all_of(view, Event, lambda each: each.system_id == number):
                raise Refused(400302, "System has conflicting events")
            if all_of(view, Action, lambda each: each.system_id == number):
                raise Refused(400303, "System has conflicting actions")
            return Changes(put=[to_record(revised(found, {"deleted": True}))], result=None)

        await self._writer.write(decide)

    async def create_event(self, system_id: int, identifier: str, **properties: Any) -> Event:
        """A new event of a system; ten random characters are added to its identifier.

        Raises:
            Refused: 404301 there is no such system.
        """
        unique = f"{identifier}-{''.join(random.choice(_SUFFIX) for _ in range(_SUFFIX_LENGTH))}"
        made: list[Event] = []

        def beside(view: CatalogView) -> list[Resource]:
            system = existing_system(view, system_id)
            new = Event(**new_numbers(view, Event), system_id=system_id, identifier=unique, **properties)
            made[:] = [new]
            put: list[Resource] = [to_record(new), _filter(new)]
            return put if system.client is None else [*put, _registration(new, system.client)]

        await self._event_types.register(None, WORKSPACE, NAMESPACE, unique, open=True, beside=beside)
        return made[0]

    async def update_event(self, number: int, **changed: Any) -> Event:
        """Change an event's name, operation or description.

        Raises:
            Refused: 400024 there is no such event.
        """

        def decide(view: CatalogView) -> Changes[Event]:
            wanted = revised(existing_event(view, number), changed)
            return Changes(put=[to_record(wanted)], result=wanted)

        return await self._writer.write(decide)

    async def delete_event(self, number: int) -> None:
        """Delete an event that has no contracts; its topic stays.

        Raises:
            Refused: 400024 there is no such event, 400207 it has contracts.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_event(view, number)
            if all_of(view, Contract, lambda each: each.event_id == number):
                raise Refused(400207, "Event has active contracts")
            gone = [_filter(found).key]
            gone += [each.key for each in view.registrations_for(found.topic)]
            return Changes(put=[to_record(revised(found, {"deleted": True}))], delete=gone, result=None)

        await self._writer.write(decide)


def _free_client(view: CatalogView, number: int, system: System | None) -> str:
    """The client with an integer id, if it has no system but this one."""
    account = numbered(view, Account, number)
    if account is None:
        raise Refused(400301, f"The client with id {number} does not exist.")
    others = all_of(view, System, lambda each: each.client == account.client)
    if any(system is None or each.id != system.id for each in others):
        raise Refused(400304, f"The client with id {number} is that of system {others[0].identifier}.")
    return account.client


def _filter(event: Event) -> EventFilter:
    return EventFilter(
        id=event.filter_id,
        workspace=WORKSPACE,
        name=event.identifier,
        types=(TypeSelection(namespace=NAMESPACE, code=event.identifier),),
        created_at=event.created_at,
        updated_at=event.updated_at,
    )


def _registration(event: Event, client: str) -> Registration:
    return Registration(
        client=client,
        workspace=WORKSPACE,
        namespace=NAMESPACE,
        code=event.identifier,
        name=event.name,
        created_at=event.created_at,
        updated_at=timestamps.now(),
    )


def _registrations(view: CatalogView, event: Event, client: str | None) -> list[str]:
    """The catalog keys of what a client registered for an event."""
    if client is None or view.registration(client, event.topic, RegistrationKind.PUBLISH) is None:
        return []
    return [registration_key(client, event.topic, RegistrationKind.PUBLISH)]
