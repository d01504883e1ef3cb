"""Sending again: one delivery, or what an endpoint got, or would get now, of a time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from backbone.catalog.consumption import selected_topics
from backbone.catalog.view import CatalogView
from backbone.endpoint_states import EndpointStatus
from backbone.ledger.found_deliveries import find_delivery
from backbone.runs.requests import digest_of
from families.headrace.http.runs import RunOutput, answer_of
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Caller, RepeatKey, Scope, TheGateway, Workspace, owned
from ingest_api.management.models import Input, example
from schemas.model import timestamps, topics
from schemas.model.access import Client
from schemas.model.delivery import SourceOffset
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import Conflict, InvalidRequest, NotFound, Problem
from schemas.model.ids import delivery_id as id_of
from schemas.model.ids import derived, new_id
from schemas.model.run import Matched, OffsetRange, Run, RunKind
from schemas.security.permissions import Operation, check, owner_for

router = APIRouter(tags=["Sending again"])

EARLIEST = "earliest"

_LAST_OFFSET = 2**63 - 1

Rate = Annotated[float | None, Field(gt=0, le=100_000, description="Most deliveries per second.")]
DryRun = Annotated[bool, Field(description="Only count.")]


class ReplayInput(Input):
    """A part of the past to send again."""

    model_config = Input.model_config | example(**{"from": "2026-11-21T03:00:00Z", "dry_run": True})

    origin: Annotated[
        str,
        Field(
            alias="from",
            max_length=400,
            description="When the first of its events was accepted (RFC 3339), `earliest`, or an event's "
            "`topic_offset`: then only that partition is replayed.",
        ),
    ]
    until: Annotated[
        str | None, Field(max_length=100, description="Before which they were accepted; null: until now.")
    ] = None
    matched: Annotated[
        Matched,
        Field(
            description="`current`: the events that the endpoint's subscriptions match now. `then`: those that were "
            "routed to it, by the time of routing."
        ),
    ] = Matched.CURRENT
    rate: Rate = None
    dry_run: DryRun = False


@router.post("/deliveries/{delivery_id}/resend", status_code=202, summary="Send a delivery again")
async def resend(
    gateway: TheGateway,
    caller: Caller,
    scope: Scope,
    delivery_id: str,
    *,
    dry_run: Annotated[bool, Query(description="Only check whether it can be sent.")] = False,
    key: RepeatKey = None,
) -> RunOutput:
    """Whatever became of it, one that succeeded too. The receiver gets the same `webhook-id`.

    Each call sends it once more; with an `Idempotency-Key`, a repeated call does not. It is refused with 409 when the
    endpoint is disabled or is no webhook, or when Kafka no longer has the event.
    """
    check(caller, Operation.SEND_AGAIN)
    run_id, digest = identity(caller, scope.workspace, key, RunKind.RESEND, delivery_id, dry_run)
    known = None if key is None else await gateway.in_time(gateway.runs.repeated(run_id, digest))
    if known is not None:
        return RunOutput.of(known)
    found = await gateway.ask(lambda: find_delivery(gateway.clients.ledger, scope, delivery_id))
    if found is None:
        raise NotFound(f"There is no delivery {delivery_id}.")
    endpoint = await sendable(gateway, caller, scope.workspace, found.endpoint)
    if found.id != id_of(found.event, found.endpoint):
        raise Conflict("It is the delivery of an ordered subscription, which has one try: send the event again.")
    if found.source.offset < 0:
        raise Conflict("It is a test send, whose event was published nowhere: send another test.")
    ranges = (OffsetRange.at(found.source),)
    await gateway.runs.check_there(ranges, seconds=gateway.settings.request_timeout)
    run = Run(
        id=run_id,
        kind=RunKind.RESEND,
        workspace=scope.workspace,
        endpoint=endpoint.id,
        ranges=ranges,
        subscriptions=found.subscriptions,
        dry_run=dry_run,
        requested_by=caller.id,
        origin=str(found.source),
        digest=digest,
        created_at=timestamps.now(),
    )
    return await answer_of(gateway, run)


@router.post("/endpoints/{endpoint_id}/replay", status_code=202, summary="Replay events to an endpoint")
async def replay(
    gateway: TheGateway,
    caller: Caller,
    workspace: Workspace,
    endpoint_id: str,
    body: ReplayInput,
    key: RepeatKey = None,
) -> RunOutput:
    """All events of a time, also those that the endpoint got: a run that can be watched, paused and cancelled.

    Its deliveries have the `webhook-id` of the first ones, and the header `webhook-replay` with the run's id. They wait
    behind live ones. 409 when retention has taken events of that time: `detail` says from where it can begin.
    """
    check(caller, Operation.SEND_AGAIN)
    run_id, digest = identity(caller, workspace, key, RunKind.REPLAY, endpoint_id, body.model_dump_json())
    known = None if key is None else await gateway.in_time(gateway.runs.repeated(run_id, digest))
    if known is not None:
        return RunOutput.of(known)
    endpoint = await sendable(gateway, caller, workspace, endpoint_id)
    begin, until = _begin(body), None if body.until is None else instant(body.until, "$.until")
    if isinstance(begin, int) and until is not None and until <= begin:
        raise _wrong("$.until", "must be later than `from`")
    read = replayed_topics(gateway.catalog.view, endpoint, body.matched)
    ranges = await gateway.runs.ranges(read, begin, until, seconds=gateway.settings.request_timeout)
    run = Run(
        id=run_id,
        kind=RunKind.REPLAY,
        workspace=workspace,
        endpoint=endpoint.id,
        ranges=ranges,
        matched=body.matched,
        rate=body.rate,
        dry_run=body.dry_run,
        requested_by=caller.id,
        origin=body.origin,
        until=body.until,
        digest=digest,
        created_at=timestamps.now(),
    )
    return await answer_of(gateway, run)


async def sendable(gateway: Gateway, caller: Client, workspace: str, endpoint_id: str) -> Endpoint:
    """An endpoint that the caller may send to again, and that takes deliveries.

    Raises:
        Conflict: it does not; says why.
        NotFound: there is none that is the caller's.
    """
    owner = owner_for(caller, Operation.SEND_AGAIN)
    found = (await gateway.view()).endpoint_called(workspace, endpoint_id)
    endpoint = owned(found, f"endpoint {endpoint_id}", workspace=workspace, owner=owner)
    if endpoint.type is not EndpointType.WEB_HOOK:
        raise Conflict("Only webhooks are sent to again: others read what they missed by themselves.")
    standing = (await gateway.endpoint_states()).standing(endpoint)
    if standing.status is EndpointStatus.DISABLED:
        raise Conflict(f"Nothing is sent to the endpoint {endpoint.id}: {standing.reason}. Enable it first.")
    return endpoint


def replayed_topics(view: CatalogView, endpoint: Endpoint, matched: Matched) -> list[str]:
    """The topics that a replay looks at.

    Raises:
        Conflict: no subscription leads to the endpoint.
    """
    if matched is Matched.THEN:
        return [topics.WEBHOOK_DELIVERIES]
    filters = [
        view.event_filter(each.event_filter)
        for each in view.subscriptions_of(endpoint.id)
        if each.enabled and each.order is None
    ]
    found = {
        topic
        for each in filters
        if each is not None
        for selection in each.types
        for topic in selected_topics(view, each.workspace, selection)
    }
    if not found:
        raise Conflict("No subscription leads to the endpoint, so no event matches now.")
    return sorted(found)


def _begin(body: ReplayInput) -> SourceOffset | int | None:
    if body.origin == EARLIEST:
        return None
    if "/" in body.origin:
        if body.matched is Matched.THEN:
            raise _wrong("$.from", "must be a time or `earliest` where `matched` is `then`")
        try:
            place = SourceOffset.parse(body.origin)
        except ValueError:
            place = SourceOffset("", -1, -1)
        if min(place.partition, place.offset) < 0 or place.offset > _LAST_OFFSET or str(place) != body.origin:
            raise _wrong("$.from", "is no `topic_offset` of an event: <topic>/<partition>/<offset>")
        return place
    return instant(body.origin, "$.from")


def instant(text: str, path: str) -> int:
    """A time of a request, microseconds since the epoch.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        return timestamps.parse(text)
    except ValueError:
        raise _wrong(path, "is no RFC 3339 time, such as 2026-11-21T03:00:00Z") from None


def _wrong(path: str, message: str) -> InvalidRequest:
    return InvalidRequest("The request is not valid.", [Problem(path=path, message=message)])


def identity(caller: Client, workspace: str, key: str | None, *request: object) -> tuple[str, str]:
    """The id of a run and the digest of its request: equal for repeats with one idempotency key in one workspace."""
    run_id = new_id() if key is None else derived("run", workspace, caller.unique_id, key)
    return run_id, digest_of(*(str(each) for each in request))
