"""Subscriptions: the links from event filters to endpoints."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from backbone.catalog.view import CatalogView
from ingest_api.control.dependencies import (
    Caller,
    SubscribersReadable,
    TheGateway,
    Workspace,
    existing,
    owned,
)
from ingest_api.control.models import Change, Input, Output, Time, example
from ingest_api.control.pages import Cursor, Limit, Page, page_of
from ingest_api.state import Gateway
from schemas.access import Client
from schemas.errors import NotFound
from schemas.permissions import Operation, owner_for
from schemas.subscription import Subscription

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


class ChangedSubscription(SubscriptionOutput):
    """A subscription after a change."""

    warnings: Annotated[tuple[str, ...], Field(description="What becomes of events while it is disabled.")] = ()


@router.get("/subscriptions", summary="List subscriptions")
async def list_subscriptions(
    readable: SubscribersReadable,
    limit: Limit = 100,
    cursor: Cursor = None,
    filter_id: Annotated[str | None, Query(alias="filter", description="Only of this filter.")] = None,
    endpoint_id: Annotated[str | None, Query(alias="endpoint", description="Only of this endpoint.")] = None,
) -> Page[SubscriptionOutput]:
    """Those of one's own endpoints; for viewers and operators, those of the workspace."""
    found = [
        one
        for one in readable.subscriptions()
        if filter_id in (None, one.event_filter) and endpoint_id in (None, one.endpoint)
    ]
    return Page.of(SubscriptionOutput, *page_of(found, limit, cursor))


@router.post("/subscriptions", status_code=201, summary="Link a filter to an endpoint")
async def link(
    gateway: TheGateway, caller: Caller, workspace: Workspace, body: SubscriptionInput
) -> SubscriptionOutput:
    """Every event accepted after the answer is matched. Linking what is linked changes nothing."""
    owner = owner_for(caller, Operation.CHANGE_ROUTES)
    view = await gateway.view()
    owned(view.event_filter(body.filter), f"filter {body.filter}", workspace=workspace, owner=owner)
    owned(view.endpoint(body.endpoint), f"endpoint {body.endpoint}", workspace=workspace, owner=owner)
    return SubscriptionOutput.model_validate(await gateway.routes.link(workspace, body.filter, body.endpoint))


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
