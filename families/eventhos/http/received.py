"""``/event/received``: what was sent, and the contracts that were run for it.

A detail is one contract that was run for one event.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, time
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response as HttpResponse

from backbone.catalog.view import CatalogView
from backbone.contract_log import ExecutedContract, ReceivedEvent, ReceivedQuery
from families.eventhos.catalog.records import NAMESPACE, WORKSPACE, Action, Contract, Event, Refused, System, ever, find
from families.eventhos.http.access import UNREADABLE, needs
from families.eventhos.http.messages import ANSWERS, Pages, Said, as_json, iso, verbatim
from families.eventhos.http.openapi import ERRORS
from families.eventhos.http.services import executions_of
from ingest_api.management.dependencies import TheGateway
from schemas.model import timestamps
from schemas.model.contract_call import Execution
from schemas.model.topics import event_topic

router = APIRouter(tags=["eventhos received events"], responses=ERRORS)

EVENT_NOT_RECEIVED = 404202
DETAIL_UNKNOWN = 404203

State = Literal["processed", "error", "aborted", "retried"]


class Conditions(NamedTuple):
    """Which received events are asked for, as it was said."""

    system_id: int | None
    since: str | None
    until: str | None
    state: State | None
    id: str | None
    identifier: str | None


def _conditions(
    *,
    system_id: Annotated[int | None, Query(alias="systemId"), Said] = None,
    since: Annotated[str | None, Query(alias="fromTime", description="ISO 8601; a date means its beginning.")] = None,
    until: Annotated[str | None, Query(alias="toTime", description="ISO 8601; a date means its end.")] = None,
    state: Annotated[State | None, Query(description="Of one of its contracts."), Said] = None,
    received_id: Annotated[str | None, Query(alias="idSearch"), Said] = None,
    identifier: Annotated[str | None, Query(alias="eventIdentifierSearch"), Said] = None,
) -> Conditions:
    return Conditions(system_id, since, until, state, received_id, identifier)


Wanted = Annotated[Conditions, Depends(_conditions)]
"""A route's parameter: the conditions of a list."""


@router.get("/event/received", summary="List received events", dependencies=needs("event:select"), **ANSWERS)
async def list_received(gateway: TheGateway, pages: Pages, wanted: Wanted) -> HttpResponse:
    """By the time they were received. ``state`` of a row has that of each contract run for it, or a null for none."""
    if pages.sorted_by not in {"id", "receivedAt"}:
        raise Refused(UNREADABLE, "activeSort: received events are sorted by the time they were received")
    view = await gateway.view()
    query = ReceivedQuery(
        workspace=WORKSPACE,
        namespace=NAMESPACE,
        topics=_topics(view, wanted.system_id, wanted.identifier),
        event=None if wanted.id is None else plain("idSearch", wanted.id),
        since=_instant("fromTime", wanted.since, time.min),
        until=_instant("toTime", wanted.until, time.max),
        state=wanted.state,
    )
    found, total = await executions_of(gateway).page(
        query, limit=pages.items_per_page, offset=pages.offset, newest_first=pages.descending
    )
    return verbatim(pages.page([_row(view, each) for each in found], total))


@router.get(
    "/event/received/execution-detail/{detail_id}",
    summary="Get what a contract sent and was answered",
    dependencies=needs("event:select"),
    **ANSWERS,
)
@router.get(
    "/received/execution-detail/{detail_id}",
    summary="Get what a contract sent and was answered",
    description="The path as the document prints it.",
    dependencies=needs("event:select"),
    **ANSWERS,
)
async def get_execution(gateway: TheGateway, detail_id: str) -> HttpResponse:
    """Without credentials, and long bodies cut."""
    detail = await executions_of(gateway).contract(WORKSPACE, plain("detail", detail_id))
    if detail is None:
        raise Refused(DETAIL_UNKNOWN, "Contract Detail was not found.")
    account = await executions_of(gateway).account(detail.delivery)
    event = await executions_of(gateway).event(WORKSPACE, NAMESPACE, detail.event)
    reply_from = None if event is None else event.request.reply_from
    return verbatim(_execution(await gateway.view(), detail, account, reply_from))


@router.get("/event/received/{event_id}", summary="Get a received event", dependencies=needs("event:select"), **ANSWERS)
async def get_received(gateway: TheGateway, event_id: str) -> HttpResponse:
    """With the contracts that have been run for it so far."""
    found = await executions_of(gateway).event(WORKSPACE, NAMESPACE, plain("id", event_id))
    view = await gateway.view()
    event = None if found is None else find(view, Event, found.code)
    if found is None or event is None:
        raise Refused(EVENT_NOT_RECEIVED, "The received event does not exist.")
    details = await executions_of(gateway).contracts(WORKSPACE, found.id)
    received = {
        "id": found.id,
        "received_at": iso(found.received_at),
        "received_request": _request(found),
        "eventId": event.id,
        "eventIdentifier": event.identifier,
        "eventName": event.name,
        "eventOperation": event.operation,
        "eventDescription": event.description,
    }
    return verbatim({"receivedEvent": received, "executedEventContracts": [_detail(view, each) for each in details]})


def _topics(view: CatalogView, system_id: int | None, identifier: str | None) -> tuple[str, ...] | None:
    """The topics of the events that are asked for; None for all."""
    if system_id is None:
        return None if identifier is None else (event_topic(WORKSPACE, NAMESPACE, identifier),)
    events = (each for each in ever(view, Event) if each.system_id == system_id)
    return tuple(each.topic for each in events if identifier in (None, each.identifier))


def _row(view: CatalogView, received: ReceivedEvent) -> dict[str, Any]:
    event = find(view, Event, received.code)
    system = None if event is None else find(view, System, str(event.system_id))
    return {
        "id": received.id,
        "systemId": system and system.id,
        "eventId": event and event.id,
        "systemName": system and system.name,
        "systemIdentifier": system and system.identifier,
        "eventName": event and event.name,
        "eventIdentifier": received.code,
        "eventDescription": event and event.description,
        "received_request": _request(received),
        "receivedAt": iso(received.received_at),
        "state": list(received.states) or [None],
    }


def _request(received: ReceivedEvent) -> dict[str, Any]:
    request = received.request
    return {
        "headers": request.headers,
        "query": request.query,
        "body": as_json(bytes(received.data)),
        "method": request.method,
        "url": request.url,
    }


def _detail(view: CatalogView, detail: ExecutedContract) -> dict[str, Any]:
    contract, action = find(view, Contract, detail.contract), find(view, Action, detail.endpoint)
    return {
        "detailId": detail.delivery,
        "state": detail.state,
        "attempts": int(detail.state == "retried"),
        "isAborted": detail.state == "aborted",
        "contractId": contract and contract.id,
        "contractIdentifier": contract and contract.identifier,
        "contractName": contract and contract.name,
        "actionId": action and action.id,
        "actionIdentifier": action and action.identifier,
        "actionName": action and action.name,
        "actionOperation": action and action.operation,
        "actionDescription": action and action.description,
    }


def _execution(
    view: CatalogView, detail: ExecutedContract, account: Execution | None, reply_from: str | None
) -> dict[str, Any]:
    """The original's joined row of detail, try and contract."""
    contract = find(view, Contract, detail.contract)
    return {
        "id": detail.delivery,
        "contract_exc_detail_id": detail.delivery,
        "received_event_id": detail.event,
        "state": detail.state,
        "attempts": int(detail.state == "retried"),
        "is_aborted": detail.state == "aborted",
        "reply_from": reply_from,
        "finished_at": iso(detail.changed_at),
        "contract_id": contract and contract.id,
        "action_id": contract and contract.action_id,
        "event_id": contract and contract.event_id,
        "identifier": contract and contract.identifier,
        "name": contract and contract.name,
        "active": contract and contract.active,
        "order": contract and contract.order,
        "deleted": contract and contract.deleted,
        "mail_recipients_on_error": contract and contract.mail_recipients_on_error,
        "request": _sent(account),
        "response": _answered(account, detail),
        "reply_error": account and account.reply,
    }


def _sent(account: Execution | None) -> dict[str, Any]:
    if account is None:
        return {}
    sent = account.request
    return {
        "headers": sent.headers,
        "body": as_json(sent.body),
        "url": sent.url,
        "params": sent.params,
        "method": sent.method,
    }


def _answered(account: Execution | None, detail: ExecutedContract) -> dict[str, Any]:
    """The answer; of a contract that was not run, why."""
    if account is None:
        return {"headers": {}, "body": {}, "status": None, "statusText": detail.error or ""}
    answered = account.response
    return {
        "headers": answered.headers,
        "body": as_json(answered.body),
        "status": answered.status,
        "statusText": answered.status_text,
        "endTime": answered.end_time,
        "startTime": answered.start_time,
    }


def plain(name: str, text: str) -> str:
    """A text that a database can look for.

    Raises:
        Refused: 400000 it holds a NUL character.
    """
    if "\0" in text:
        raise Refused(UNREADABLE, f"{name}: holds a NUL character")
    return text


def _instant(name: str, text: str | None, of_day: time) -> int | None:
    """Microseconds since the epoch; of a date the beginning or end of its day. Without an offset it is UTC."""
    if not text:
        return None
    with contextlib.suppress(ValueError):
        return timestamps.parse(text)
    try:
        found = datetime.fromisoformat(text)
        if len(text) <= len("2026-11-21"):
            found = datetime.combine(found.date(), of_day)
        return timestamps.parse((found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat())
    except (ValueError, OverflowError) as error:
        raise Refused(UNREADABLE, f"{name}: not a time in ISO 8601") from error
