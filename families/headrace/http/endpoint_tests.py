"""Test sends: one made-up event, straight to one endpoint, tried once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from backbone.catalog.projections import current_version
from backbone.endpoint_states import EndpointStatus
from backbone.kafka.records import Record
from backbone.ledger.delivery_log import DeliveryLog
from backbone.ledger.delivery_rows import LedgerDelivery
from backbone.publishing.sample_events import sample_record
from families.headrace.http.replays import sendable
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Caller, Scope, TheGateway
from ingest_api.management.models import Input, TypeName, example
from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.errors import Conflict, InvalidRequest, NotFound, Problem
from schemas.model.ids import TEST, delivery_id, new_id
from schemas.security.permissions import Operation, check
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from schemas.model.endpoint import Endpoint

router = APIRouter(tags=["Sending again"])

_SECONDS = 3.5
"""To wait for the outcome: within what a request may take."""

_LOOK = 0.1


class TestInput(Input):
    """The event to make up."""

    model_config = example(namespace="events", code="order.paid")

    namespace: TypeName = "events"
    code: TypeName
    data: Annotated[Any, Field(description="Left out: a value for each attribute of the type.")] = None


class TestOutput(BaseModel):
    """What became of a test send."""

    model_config = ConfigDict(frozen=True)

    delivery: Annotated[str, Field(description="Its `webhook-id`; `GET /deliveries/{delivery_id}` shows the try.")]
    event_id: str
    run: str
    outcome: Annotated[str, Field(description="`delivered`, `dead`, or `pending` when there is none yet.")]
    status: Annotated[int | None, Field(description="HTTP status of the response.")] = None
    error: str | None = None
    response: Annotated[str | None, Field(description="The first characters of its body.")] = None
    duration: Annotated[float | None, Field(description="Seconds.")] = None
    explanation: Annotated[str | None, Field(description="Why the outcome is `pending`.")] = None


async def _written(request: Request) -> bytes | None:
    """The data as its text in the request has it: a reader of JSON would round its numbers. None: it is to be made up.

    Raises:
        InvalidRequest: it is JSON only for readers that take more, such as ``NaN``.
    """
    try:
        members = msgspec.json.decode(await request.body() or b"{}", type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return None  # no object: the reader of the body says so
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest("The body is not JSON.", [Problem(path="$", message=str(error))]) from error
    data = bytes(members.get("data", b"null"))
    return None if data == b"null" else data


Written = Annotated[bytes | None, Depends(_written)]


@router.post("/endpoints/{endpoint_id}/test", status_code=202, summary="Try an endpoint with a made-up event")
async def send_test(
    gateway: TheGateway, caller: Caller, scope: Scope, endpoint_id: str, body: TestInput, written: Written
) -> TestOutput:
    """Nothing is published, and no subscription has a say. It is tried once, and counts nowhere but in its own run.

    The request is as any other to the endpoint, signed and with its projection, and has the header `webhook-test`. It
    is sent even while the circuit breaker is open, which is half-open once the test succeeds. The answer has the
    outcome, or says why there is none after some seconds.
    """
    check(caller, Operation.SEND_AGAIN)
    endpoint = await sendable(gateway, caller, scope.workspace, endpoint_id)
    standing = (await gateway.endpoint_states()).standing(endpoint)
    if standing.status is not EndpointStatus.ENABLED:
        raise Conflict(f"Nothing is sent to the endpoint {endpoint.id} now: {standing.reason}.")
    view = gateway.catalog.view
    event_type = view.event_type(topics.event_topic(scope.workspace, body.namespace, body.code))
    if event_type is None:
        raise NotFound(f"There is no event type {body.code} in namespace {body.namespace}.")
    event_id, event = sample_record(view, event_type, caller, written)
    sent = Delivery(
        id=delivery_id(event_id, endpoint.id),
        event=event_id,
        endpoint=endpoint.id,
        workspace=scope.workspace,
        source=SourceOffset(event_type.topic, 0, -1),
        subscriptions=(),
        run=f"{TEST}{new_id()}",
        routed_at=timestamps.now(),
        projection=current_version(view, endpoint, event_type.topic),
    )
    record = Record(sent.webhook_topic, event.value, sent.record_key, (event.headers or []) + sent.to_headers())
    await gateway.in_time(gateway.clients.producer.send([record]))
    found = await _outcome(gateway, scope, sent.id)
    answer = TestOutput(delivery=sent.id, event_id=event_id, run=sent.run, outcome="pending")
    if found is None or found.outcome is None:
        return answer.model_copy(update={"explanation": _explanation(endpoint)})
    (tried,) = found.tries[-1:] or (None,)
    told: dict[str, Any] = {"outcome": found.outcome.value, "status": found.status, "error": found.error}
    if tried is not None:
        told |= {"response": tried.response, "duration": tried.duration}
    return answer.model_copy(update=told)


def _explanation(endpoint: Endpoint) -> str:
    """What can keep a test send from having an outcome yet."""
    causes = ["the endpoint has not answered", f"it has its {endpoint.max_in_flight} requests in flight"]
    if endpoint.rate_limit is not None:
        causes.append(f"its rate limit allows {endpoint.rate_limit.per_second:g} requests a second")
    causes.append("the webhook connector or the ledger is not running or busy")
    return f"There is no outcome after {_SECONDS:g} s: {', '.join(causes[:-1])}, or {causes[-1]}."


async def _outcome(gateway: Gateway, scope: ReadScope, delivery: str) -> LedgerDelivery | None:
    """The delivery once the ledger has its outcome; None if that takes too long."""
    log = DeliveryLog(gateway.clients.ledger)
    deadline = asyncio.get_running_loop().time() + _SECONDS
    while asyncio.get_running_loop().time() < deadline:
        for each in await gateway.ask(lambda: log.delivery(scope, delivery)):
            if each.delivery.outcome is not None:
                return each.delivery
        await asyncio.sleep(_LOOK)
    return None
