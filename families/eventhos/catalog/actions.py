"""Actions and contracts of eventhos, each written in one transaction with its endpoint or subscription."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from backbone.catalog.endpoints import linked_anew
from backbone.catalog.writer import Changes
from families.eventhos.catalog.calls import TIMEOUT, Call, completed
from families.eventhos.catalog.grants import check_may_send
from families.eventhos.catalog.records import (
    BODY,
    WORKSPACE,
    Action,
    Contract,
    Event,
    Refused,
    all_of,
    existing_action,
    existing_contract,
    existing_event,
    existing_system,
    new_numbers,
    revised,
    to_record,
)
from schemas.model.endpoint import Endpoint, EndpointType, Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.model.resources import Resource


class EventhosActions:
    """Creates, changes and deletes actions and contracts; all methods raise ``Unavailable`` when Kafka cannot answer.

    What a method is not given stays as it is. ``by`` is the id of the client that asks for a change.

    Args:
        writer: this process's writer.
        secrets: seals the actions' credentials.
    """

    def __init__(self, writer: CatalogWriter, secrets: SecretBox) -> None:
        self._writer = writer
        self._secrets = secrets

    async def create_action(self, call: Call, *, by: str, system_id: int, identifier: str, **properties: Any) -> Action:
        """A new action of a system.

        Raises:
            InvalidRequest: a URL is not an absolute http(s) URL, or OAuth2 lacks a part.
            Refused: 400001 the identifier is taken, 404301 there is no such system, 400006 no such event to reply to,
                401002 ``by`` may not send that event.
        """
        whole = completed(call, None, self._secrets, self._writer.destinations)

        def decide(view: CatalogView) -> Changes[Action]:
            if all_of(view, Action, lambda each: each.identifier == identifier):
                raise Refused(400001, "Action identifier already exist")
            existing_system(view, system_id)
            new = Action(**new_numbers(view, Action), system_id=system_id, identifier=identifier, **properties)
            return Changes(put=[to_record(new), _endpoint(view, new, whole, by)], result=new)

        return await self._writer.write(decide)

    async def update_action(self, number: int, call: Call, *, by: str, **changed: Any) -> Action:
        """Change an action; its request is given anew as a whole, but for credentials that stay.

        Raises:
            InvalidRequest: as for a new one; or credentials are to stay that there are not, or not for these servers.
            Refused: 400002 there is no such action, 400006 there is no such event to reply to, 401002 ``by`` may not
                send that event.
        """

        def decide(view: CatalogView) -> Changes[Action]:
            found = existing_action(view, number)
            before = view.endpoint(found.record_id)
            whole = completed(call, before, self._secrets, self._writer.destinations)
            wanted = revised(found, changed)
            return Changes(put=[to_record(wanted), _endpoint(view, wanted, whole, by)], result=wanted)

        return await self._writer.write(decide)

    async def delete_action(self, number: int) -> None:
        """Delete an action that no contract runs.

        Raises:
            Refused: 400002 there is no such action, 400003 contracts run it.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_action(view, number)
            if all_of(view, Contract, lambda each: each.action_id == number):
                raise Refused(400003, "Action has active contracts")
            endpoint = view.endpoint(found.record_id)
            gone = [] if endpoint is None else [endpoint.key]
            return Changes(put=[to_record(revised(found, {"deleted": True}))], delete=gone, result=None)

        await self._writer.write(decide)

    async def create_contract(
        self, *, event_id: int, action_id: int, identifier: str, order: int, **properties: Any
    ) -> Contract:
        """Have an action run for an event from now on, after the contracts of a lower order.

        Raises:
            Refused: 400101 the identifier is taken, 400024 there is no such event, 400002 no such action.
        """

        def decide(view: CatalogView) -> Changes[Contract]:
            if all_of(view, Contract, lambda each: each.identifier == identifier):
                raise Refused(400101, "Contract identifier already exist")
            event, action = existing_event(view, event_id), existing_action(view, action_id)
            new = Contract(
                **new_numbers(view, Contract),
                event_id=event_id,
                event=event.identifier,
                action_id=action_id,
                identifier=identifier,
                order=order,
                **properties,
            )
            link = Subscription(
                id=new.record_id,
                workspace=WORKSPACE,
                event_filter=event.filter_id,
                endpoint=action.record_id,
                order=order,
                enabled=new.active,
                created_at=new.created_at,
                updated_at=new.updated_at,
            )
            return Changes(put=[to_record(new), link], result=new)

        return await self._writer.write(decide)

    async def update_contract(self, number: int, **changed: Any) -> Contract:
        """Change a contract; one that becomes active again is run for events from now on, not those it missed.

        Raises:
            Refused: 404101 there is no such contract.
        """

        def decide(view: CatalogView) -> Changes[Contract]:
            wanted, put = _contract_changes(view, number, changed)
            return Changes(put=put, result=wanted)

        return await self._writer.write(decide)

    async def order_contracts(self, orders: Sequence[tuple[int, int]]) -> None:
        """Give contracts (by id) other orders, all of them or none.

        Raises:
            Refused: 404101 one of them is not there.
        """

        def decide(view: CatalogView) -> Changes[None]:
            put: list[Resource] = []
            for number, order in dict(orders).items():
                put += _contract_changes(view, number, {"order": order})[1]
            return Changes(put=put, result=None)

        await self._writer.write(decide)

    async def delete_contract(self, number: int) -> None:
        """Delete a contract; what it has run is still shown.

        Raises:
            Refused: 404101 there is no such contract.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_contract(view, number)
            link = view.subscription(found.record_id)
            gone = [] if link is None else [link.key]
            wanted = revised(found, {"deleted": True, "active": False})
            return Changes(put=[to_record(wanted)], delete=gone, result=None)

        await self._writer.write(decide)


def _endpoint(view: CatalogView, action: Action, call: Call, by: str) -> Endpoint:
    return Endpoint(
        id=action.record_id,
        workspace=WORKSPACE,
        name=action.name,
        type=EndpointType.WEB_HOOK,
        description=action.description,
        url=call.url,
        method=call.method,
        body=BODY,
        retry_schedule=(),
        timeout=TIMEOUT,
        authorization=call.authorization(),
        request=call.request,
        reply_to=_reply_topic(view, action, by),
        created_at=action.created_at,
        updated_at=action.updated_at,
    )


def _reply_topic(view: CatalogView, action: Action, by: str) -> str | None:
    """The topic of the event to reply to: whoever chooses the URL chooses what is sent as that event."""
    if action.reply_to is None:
        return None
    for event in all_of(view, Event, lambda each: each.identifier == action.reply_to):
        check_may_send(view, by, event)
        return event.topic
    raise Refused(400006, f"The event to reply to does not exist: {action.reply_to}")


def _contract_changes(view: CatalogView, number: int, changed: dict[str, Any]) -> tuple[Contract, list[Resource]]:
    wanted = revised(existing_contract(view, number), changed)
    put: list[Resource] = [to_record(wanted)]
    link = view.subscription(wanted.record_id)
    if link is not None:
        new = msgspec.structs.replace(link, order=wanted.order, enabled=wanted.active, updated_at=wanted.updated_at)
        put.append(linked_anew(new) if wanted.active and not link.enabled else new)
    return wanted, put
