"""The delivery log: where each delivery stands and what its attempts sent and got, as the ledger has it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from backbone.ledger.delivery_log import MOST_DELIVERIES, OTHER_RUNS, DeliveryLog, DeliveryQuery, LoggedDelivery
from families.headrace.http.events_openapi import answer
from families.headrace.http.ledger_members import attempt_members, delivery_members
from ingest_api.management.dependencies import SubscribersScope, TheGateway
from ingest_api.management.models import Instant
from ingest_api.management.pages import Cursor, items_answer
from schemas.model.errors import InvalidRequest, NotFound, Problem
from schemas.model.ids import LIVE
from schemas.model.standing import Reason, Standing
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from ingest_api.gateway import Gateway
    from schemas.security.reading import ReadScope

router = APIRouter(tags=["Deliveries"])

_STATUS = re.compile(r"[1-5](\d\d|xx)", re.IGNORECASE | re.ASCII)


class Order(StrEnum):
    """Of a list of deliveries, by when they were routed."""

    NEWEST = "newest"
    OLDEST = "oldest"


async def query_of(
    gateway: TheGateway,
    scope: SubscribersScope,
    *,
    outcome: Annotated[
        list[Standing], Query(description="Any of these; `pending`: not tried yet.", default_factory=list)
    ],
    namespace: Annotated[str | None, Query(description="Of the event's type.")] = None,
    type: Annotated[str | None, Query(description="The event type's code, or `<namespace>/<code>`.")] = None,  # noqa: A002
    since: Annotated[Instant | None, Query(description="Routed then or later.")] = None,
    until: Annotated[Instant | None, Query(description="Routed before.")] = None,
    id: Annotated[  # noqa: A002  # the parameter's name in the API
        str | None,
        Query(description="The delivery's id, which receivers get as `webhook-id`; its event's; or the producer's."),
    ] = None,
    source: Annotated[str | None, Query(description="The producer's source: `id` is then the producer's.")] = None,
    status: Annotated[str | None, Query(description="The latest HTTP status, as `503` or `5xx`.")] = None,
    reason: Annotated[list[Reason], Query(description="Why the latest attempt failed.", default_factory=list)],
    identifier: Annotated[
        str | None,
        Query(min_length=1, description="What the value of an identifier or extension of the event begins with."),
    ] = None,
    identifier_name: Annotated[str | None, Query(description="The name of that identifier or extension.")] = None,
    run: Annotated[str | None, Query(description=f"`{LIVE}`, `{OTHER_RUNS}` for all others, or the id of one.")] = None,
) -> DeliveryQuery:
    """Which deliveries a list is of.

    Raises:
        InvalidRequest: a parameter is not one.
    """
    if source is not None and id is None:
        raise InvalidRequest("source needs id", [Problem(path="source", message="is the source of an `id`")])
    if identifier_name is not None and identifier is None:
        problem = Problem(path="identifier_name", message="is the name of an `identifier`")
        raise InvalidRequest("identifier_name needs identifier", [problem])
    return DeliveryQuery(
        standings=tuple(dict.fromkeys(outcome)),
        topics=topics_of(gateway, scope, namespace, type),
        since=since,
        until=until,
        any_id=id,
        source=source,
        statuses=_statuses(status),
        reasons=tuple(dict.fromkeys(reason)),
        identifier=identifier,
        identifier_name=identifier_name,
        run=run,
    )


Asked = Annotated[DeliveryQuery, Depends(query_of)]
MostDeliveries = Annotated[int, Query(ge=1, le=MOST_DELIVERIES)]
InOrder = Annotated[Order, Query(description="By when they were routed.")]


@router.get(
    "/deliveries",
    summary="List deliveries",
    response_class=Response,
    responses=answer("A page of deliveries.", "DeliveryPage"),
)
async def list_deliveries(
    gateway: TheGateway,
    scope: SubscribersScope,
    asked: Asked,
    endpoint: Annotated[str | None, Query(description="The endpoint's id, also of one that was deleted.")] = None,
    order: InOrder = Order.NEWEST,
    limit: MostDeliveries = 50,
    cursor: Cursor = None,
) -> Response:
    """Where deliveries stand, without their attempts, in the order in which they were routed.

    A client sees the deliveries to its own endpoints; `viewer`, `operator` and `admin` see the workspace's. The ledger
    has a delivery a moment after it was routed. Pages neither skip nor repeat one whose outcome changes meanwhile.
    """
    query = msgspec.structs.replace(asked, endpoint=endpoint)
    return await _page(gateway, scope, query, order=order, limit=limit, cursor=cursor)


@router.get(
    "/endpoints/{endpoint_id}/deliveries",
    summary="List the deliveries to an endpoint",
    response_class=Response,
    responses=answer("A page of deliveries.", "DeliveryPage"),
)
async def list_deliveries_to_endpoint(
    gateway: TheGateway,
    scope: SubscribersScope,
    endpoint_id: str,
    asked: Asked,
    order: InOrder = Order.NEWEST,
    limit: MostDeliveries = 50,
    cursor: Cursor = None,
) -> Response:
    """As `GET /headrace/v1/deliveries`, of one endpoint. One that was deleted is not found here, but there."""
    endpoint = await gateway.lookup(lambda view: view.endpoint(endpoint_id))
    if endpoint is None or endpoint.workspace != scope.workspace or not scope.reads_endpoint(endpoint.id):
        raise NotFound(f"There is no endpoint {endpoint_id}.")
    query = msgspec.structs.replace(asked, endpoint=endpoint.id)
    return await _page(gateway, scope, query, order=order, limit=limit, cursor=cursor)


@router.get(
    "/deliveries/{delivery_id}",
    summary="Get a delivery with its attempts",
    response_class=Response,
    responses=answer("The delivery.", "Delivery"),
)
async def get_delivery(
    gateway: TheGateway,
    scope: SubscribersScope,
    delivery_id: str,
    run: Annotated[str | None, Query(description=f"`{LIVE}`, or the id of another run.")] = None,
) -> Response:
    """By its id, which its receiver gets as `webhook-id`, with each request that was sent and each response.

    One that was sent again has several runs: this is the `live` one, or the first, unless `run` names another; `runs`
    says where the others stand. 404 until the ledger has it, and for one that the caller may not see.
    """
    found = await gateway.ask(lambda: gateway.kept(log_of).delivery(scope, delivery_id))
    wanted = [each for each in found if run is None or each.delivery.run == run]
    if not wanted:
        which = f"delivery {delivery_id}" if run is None else f"run {run} of delivery {delivery_id}"
        raise NotFound(f"The ledger has no {which}.")
    live = [each for each in wanted if each.delivery.run == LIVE]
    (shown, *_) = live or wanted
    runs = [_summary(each) for each in found if each is not shown]
    body = {**_summary(shown), **_tries(shown), "runs": runs}
    return Response(msgspec.json.encode(body), media_type="application/json")


async def _page(
    gateway: Gateway, scope: ReadScope, query: DeliveryQuery, *, order: Order, limit: int, cursor: str | None
) -> Response:
    page = await gateway.ask(
        lambda: gateway.kept(log_of).page(scope, query, limit=limit, cursor=cursor, oldest_first=order is Order.OLDEST)
    )
    return await items_answer(
        gateway.slices, lambda each: msgspec.json.encode(_summary(each)), page.deliveries, page.cursor
    )


def log_of(gateway: Gateway) -> DeliveryLog:
    """The delivery log of this worker's ledger, for ``gateway.kept``."""
    return DeliveryLog(gateway.clients.ledger)


def topics_of(
    gateway: Gateway, scope: ReadScope, namespace: str | None, type_name: str | None
) -> tuple[str, ...] | None:
    """The topics of the event types that a namespace and a type's name stand for; None if neither is given."""
    if namespace is None and type_name is None:
        return None
    if namespace is not None and type_name is not None:
        # Also of a type that was deleted.
        return (event_topic(scope.workspace, namespace, type_name.removeprefix(f"{namespace}/")),)
    return tuple(
        each.topic
        for each in gateway.catalog.view.event_types(scope.workspace)
        if namespace in (None, each.namespace)
        and (type_name is None or type_name in (each.code, f"{each.namespace}/{each.code}"))
    )


def _statuses(status: str | None) -> tuple[int, int] | None:
    if status is None:
        return None
    if _STATUS.fullmatch(status) is None:
        problem = Problem(path="status", message="is neither an HTTP status nor a class of them, such as 5xx")
        raise InvalidRequest("The request is not valid.", [problem])
    low, high = (int(status.lower().replace("x", digit)) for digit in "09")
    return low, high


def _summary(logged: LoggedDelivery) -> dict[str, Any]:
    of_event = {"namespace": logged.namespace, "code": logged.code, "producer_id": logged.producer_id}
    return {**delivery_members(logged.delivery), **of_event}


def _tries(logged: LoggedDelivery) -> dict[str, Any]:
    return {"tries": [attempt_members(attempt) for attempt in logged.delivery.tries]}
