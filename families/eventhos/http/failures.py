"""What a person does about a contract that failed: send the event again for it, once, or abort it.

Sent again, it is a new received event that only that contract is run for.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Header, Query
from pydantic import BeforeValidator, Field

from backbone.contract_log import ExecutedContract
from families.eventhos.catalog.records import NAMESPACE, WORKSPACE, Contract, Event, Refused, find
from families.eventhos.http.access import SUCCESS, Sender, named_event, needs, sender
from families.eventhos.http.messages import ANSWERS, Answer, Input
from families.eventhos.http.openapi import ERRORS
from families.eventhos.http.received import plain
from families.eventhos.http.services import executions_of
from ingest_api.management.dependencies import TheGateway
from schemas.model.event import EventDraft

router = APIRouter(tags=["eventhos received events"], responses=ERRORS)

CANNOT_BE_ABORTED = 400203
CONTRACT_UNKNOWN = 400204
CANNOT_BE_RETRIED = 400206

_PROCESSED = "Detail of the contract does not exist or has already been processed"


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Reference = Annotated[str, BeforeValidator(_text), Field(max_length=200)]


class Aborting(Input):
    """Which detail is given up."""

    contract_detail_id: Annotated[Reference | None, Field(alias="contractDetailId")] = None


class Retrying(Aborting):
    """Which detail is sent again, and the received event that it is of."""

    received_event_id: Annotated[Reference | None, Field(alias="receivedEventId")] = None


Identifier = Annotated[str | None, Query(alias="event-identifier")]


def _access_key(
    in_query: Annotated[str | None, Query(alias="access-key", description="Instead of the header.")] = None,
    access_key: Annotated[str | None, Header(alias="access-key")] = None,
) -> str | None:
    return in_query or access_key


AccessKey = Annotated[str | None, Depends(_access_key)]


async def _sent_by(gateway: TheGateway, access_key: AccessKey, identifier: Identifier = None) -> Sender:
    return await sender(gateway, identifier, access_key)


SentBy = Annotated[Sender, Depends(_sent_by)]
"""A route's parameter: the event of ``event-identifier`` and its system's client, whose access key came along."""


async def _named(gateway: TheGateway, access_key: AccessKey, identifier: Identifier = None) -> Event:
    if access_key:
        return (await sender(gateway, identifier, access_key)).event
    return await named_event(gateway, identifier)


Named = Annotated[Event, Depends(_named)]
"""A route's parameter: the event of ``event-identifier``; an access key that comes along must be its client's."""


@router.post(
    "/event/send/contract",
    summary="Send an event again for one contract that failed",
    openapi_extra={"security": [{"eventhosAccessKey": []}]},
    **ANSWERS,
)
async def send_again(
    gateway: TheGateway,
    sent_by: SentBy,
    body: Retrying,
    contract_id: Annotated[int | None, Query(alias="contract-id")] = None,
) -> Answer:
    """Once for each detail. It becomes a new received event, and no other contract is run for it."""
    client, event = sent_by
    if body.received_event_id is None:
        raise Refused(CANNOT_BE_ABORTED, "Received event Id was not send.")
    detail = await _failed(gateway, body.contract_detail_id, event, CANNOT_BE_RETRIED)
    view = await gateway.view()
    contract = find(view, Contract, detail.contract)
    link = view.subscription(detail.contract)
    if contract is None or contract.id != contract_id or link is None or not link.enabled:
        raise Refused(CONTRACT_UNKNOWN, "There is no active contract of this event with the id contract-id.")
    received = await executions_of(gateway).event(WORKSPACE, NAMESPACE, detail.event)
    if received is None or received.id != body.received_event_id:
        raise Refused(CANNOT_BE_RETRIED, "The detail is not one of this received event.")
    request = msgspec.structs.replace(
        received.request, retry_of=detail.delivery, contract=detail.contract, reply_from=None
    )
    draft = EventDraft(
        workspace=WORKSPACE,
        namespace=NAMESPACE,
        code=event.identifier,
        client=client.id,
        publisher=client.unique_id,
        data=bytes(received.data),
        request=request.to_header(),
    )
    gateway.quotas.admit([draft], len(draft.data or b""))
    if not await gateway.in_time(executions_of(gateway).send_again(detail, draft)):
        raise Refused(CANNOT_BE_RETRIED, _PROCESSED)
    gateway.metrics.accepted(NAMESPACE, 1, 0)
    return Answer(code=SUCCESS, message="success")


@router.post(
    "/event/retry/aborted",
    summary="Give up one contract that failed",
    dependencies=needs("event:retry-aborted"),
    **ANSWERS,
)
async def abort(gateway: TheGateway, event: Named, body: Aborting) -> Answer:
    """It cannot be sent again after that."""
    detail = await _failed(gateway, body.contract_detail_id, event, CANNOT_BE_ABORTED)
    if not await gateway.in_time(executions_of(gateway).abort(detail)):
        raise Refused(CANNOT_BE_ABORTED, "Contract Detail was prosecuted.")
    return Answer(code=SUCCESS, message="success")


async def _failed(gateway: TheGateway, detail_id: str | None, event: Event, code: int) -> ExecutedContract:
    """A detail of the event that failed and was neither sent again nor aborted; else the code."""
    if detail_id is None:
        raise Refused(CANNOT_BE_ABORTED, "Contract detail Id was not send.")
    detail = await executions_of(gateway).contract(WORKSPACE, plain("contractDetailId", detail_id))
    if detail is None or detail.source.topic != event.topic or detail.state != "error":
        raise Refused(code, _PROCESSED)
    return detail
