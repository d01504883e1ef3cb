"""Subscriptions: the links from event filters to endpoints."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from backbone.catalog.consumption import selected_topics
from backbone.catalog.view import CatalogView
from families.headrace.http.replays import EARLIEST, Rate, instant
from families.headrace.http.runs import RunOutput
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Caller, SubscribersReadable, TheGateway, Workspace, existing, owned
from ingest_api.management.models import Change, Input, Output, Time, example
from ingest_api.management.pages import Cursor, Limit, Page, as_model, page_answer
from schemas.model import timestamps
from schemas.model.access import Client
from schemas.model.endpoint import Endpoint, EndpointType, Subscription
from schemas.model.errors import Conflict, NotFound
from schemas.model.ids import derived
from schemas.model.run import OffsetRange, Run, RunKind
from schemas.security.permissions import Operation, owner_for

router = APIRouter(tags=["Endpoints, filters and subscriptions"])


DROPPED = (
    "The subscription is disabled. Events that are accepted meanwhile are not matched, and enabling it does not bring "
    "them back."
)


class SubscriptionInput(Input):
    """A filter and an endpoint to link."""

    model_config = example(
        filter="0190f0a0-0000-7000-8000-000000000001", endpoint="0190f0a0-0000-7000-8000-000000000002"
    )

    filter: str
    endpoint: str
    origin: Annotated[
        str | None,
        Field(
            alias="from",
            max_length=100,
            description="Send a webhook earlier events too: those accepted since then (RFC 3339), or `earliest`.",
        ),
    ] = None
    rate: Rate = None


class SubscriptionChange(Change):
    """What of a subscription shall change."""

    model_config = example(enabled=False)

    enabled: bool


class SubscriptionOutput(Output):
    """The link from a filter to an endpoint."""

    id: str
    filter: Annotated[str, Field(validation_alias="event_filter")]
    endpoint: str
    enabled: bool
    linked_at: Time | None


class NewSubscription(SubscriptionOutput):
    """A subscription that was made."""

    backfill: Annotated[RunOutput | None, Field(description="The run that sends earlier events, with `from`.")] = None


class ChangedSubscription(SubscriptionOutput):
    """A subscription after a change."""

    warnings: Annotated[tuple[str, ...], Field(description="What becomes of events while it is disabled.")] = ()


@router.get("/subscriptions", summary="List subscriptions", response_model=Page[SubscriptionOutput])
async def list_subscriptions(
    gateway: TheGateway,
    readable: SubscribersReadable,
    limit: Limit = 100,
    cursor: Cursor = None,
    filter_id: Annotated[str | None, Query(alias="filter", description="Only of this filter.")] = None,
    endpoint_id: Annotated[str | None, Query(alias="endpoint", description="Only of this endpoint.")] = None,
) -> Response:
    """Those of one's own endpoints; for viewers and operators, those of the workspace."""
    endpoint = None if endpoint_id is None else readable.endpoint(endpoint_id)
    found = [
        one
        for one in readable.subscriptions()
        if filter_id in (None, one.event_filter) and (endpoint_id is None or (endpoint and endpoint.id) == one.endpoint)
    ]
    return await page_answer(gateway.slices, "subscriptions", as_model(SubscriptionOutput), found, limit, cursor)


@router.post("/subscriptions", status_code=201, summary="Link a filter to an endpoint")
async def link(gateway: TheGateway, caller: Caller, workspace: Workspace, body: SubscriptionInput) -> NewSubscription:
    """Every event accepted after the answer is matched. Linking what is linked changes nothing.

    With `from` a run sends what was accepted before, up to where matching begins: nothing is missing or sent twice, and
    new events go first. 409 when retention has taken events of that time; nothing is linked then.
    """
    owner = owner_for(caller, Operation.CHANGE_ROUTES)
    view = await gateway.view()
    owned(view.event_filter(body.filter), f"filter {body.filter}", workspace=workspace, owner=owner)
    found = view.endpoint_called(workspace, body.endpoint)
    endpoint = owned(found, f"endpoint {body.endpoint}", workspace=workspace, owner=owner)
    begin = None if body.origin is None else await _check_origin(gateway, body, endpoint)
    made = await gateway.routes.link(workspace, body.filter, endpoint.id)
    backfill = None if body.origin is None else await _backfill(gateway, caller, body, made, begin)
    return NewSubscription.model_validate(made).model_copy(update={"backfill": backfill})


async def _check_origin(gateway: Gateway, body: SubscriptionInput, endpoint: Endpoint) -> int | None:
    """Where a backfill begins, before anything is linked.

    Raises:
        Conflict: Kafka does not have it any more, or the endpoint is no webhook.
        InvalidRequest: it is no time.
    """
    if endpoint.type is not EndpointType.WEB_HOOK:
        raise Conflict("Only webhooks are sent earlier events: others read them by themselves.")
    begin = None if body.origin in (None, EARLIEST) else instant(body.origin or "", "$.from")
    await _ranges(gateway, body, endpoint.workspace, begin, is_strict=True)
    return begin


async def _backfill(
    gateway: Gateway, caller: Client, body: SubscriptionInput, made: Subscription, begin: int | None
) -> RunOutput:
    """Have the events sent that were accepted before the link; a repeated call gets the same run."""
    run = Run(
        id=backfill_id(made, body.origin),
        kind=RunKind.BACKFILL,
        workspace=made.workspace,
        endpoint=made.endpoint,
        # To the ends of now, when the link is known: the run leaves out what is matched live.
        ranges=await _ranges(gateway, body, made.workspace, begin, is_strict=False),
        subscriptions=(made.id,),
        rate=body.rate,
        requested_by=caller.id,
        origin=body.origin,
        created_at=timestamps.now(),
    )
    return RunOutput.of(await gateway.in_time(gateway.runs.create(run)))


def backfill_id(subscription: Subscription, origin: str | None) -> str:
    """The run that sends what was accepted before a link: another one once it is linked again."""
    return derived("backfill", subscription.id, str(subscription.linked_at), str(origin))


async def _ranges(
    gateway: Gateway, body: SubscriptionInput, workspace: str, begin: int | None, *, is_strict: bool
) -> tuple[OffsetRange, ...]:
    event_filter = gateway.catalog.view.event_filter(body.filter)
    types = () if event_filter is None else event_filter.types
    read = {topic for each in types for topic in selected_topics(gateway.catalog.view, workspace, each)}
    seconds = gateway.settings.request_timeout
    return await gateway.runs.ranges(sorted(read), begin, None, seconds=seconds, is_strict=is_strict)


@router.get("/subscriptions/{subscription_id}", summary="Get a subscription")
async def get_subscription(readable: SubscribersReadable, subscription_id: str) -> SubscriptionOutput:
    """One's own, or any of the workspace for viewers and operators."""
    found = existing(readable.subscription(subscription_id), f"subscription {subscription_id}")
    return SubscriptionOutput.model_validate(found)


@router.patch("/subscriptions/{subscription_id}", summary="Enable or disable a subscription")
async def change_subscription(
    gateway: TheGateway, caller: Caller, workspace: Workspace, subscription_id: str, body: SubscriptionChange
) -> ChangedSubscription:
    """Events accepted while it is disabled are not matched, and enabling does not bring them back."""
    await _subscription(gateway, caller, workspace, subscription_id)
    changed = await gateway.routes.enable_subscription(workspace, subscription_id, enabled=body.enabled)
    warnings = () if changed.enabled else (DROPPED,)
    return ChangedSubscription.model_validate(changed).model_copy(update={"warnings": warnings})


@router.delete("/subscriptions/{subscription_id}", status_code=204, summary="Unlink")
async def unlink(gateway: TheGateway, caller: Caller, workspace: Workspace, subscription_id: str) -> None:
    """Events accepted after the answer are not matched."""
    await _subscription(gateway, caller, workspace, subscription_id)
    await gateway.routes.delete_subscription(workspace, subscription_id)


async def _subscription(gateway: Gateway, caller: Client, workspace: str, subscription_id: str) -> Subscription:
    owner = owner_for(caller, Operation.CHANGE_ROUTES)
    view = await gateway.view()
    found = view.subscription(subscription_id)
    if found is None or found.workspace != workspace or not _owned(view, found, owner):
        raise NotFound(f"There is no subscription {subscription_id}.")
    return found


def _owned(view: CatalogView, subscription: Subscription, owner: str | None) -> bool:
    """Whether both ends exist and the endpoint is the owner's."""
    endpoint = view.endpoint(subscription.endpoint)
    linked = endpoint is not None and view.event_filter(subscription.event_filter) is not None
    return linked and (owner is None or endpoint is None or endpoint.client == owner)
