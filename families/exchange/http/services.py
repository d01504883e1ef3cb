"""What the routes change the catalog with. Each service is stateless, so that every request makes its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from families.exchange.catalog.accounts import ExchangeAccounts
from families.exchange.catalog.event_types import ExchangeEventTypes
from families.exchange.catalog.notifications import ExchangeNotifications

if TYPE_CHECKING:
    from ingest_api.gateway import Gateway


def accounts_of(gateway: Gateway) -> ExchangeAccounts:
    """Endpoints and applications."""
    return ExchangeAccounts(gateway.writer, gateway.secrets)


def event_types_of(gateway: Gateway) -> ExchangeEventTypes:
    """Registered event types."""
    return ExchangeEventTypes(gateway.writer)


def notifications_of(gateway: Gateway) -> ExchangeNotifications:
    """Notifications of changed subscriptions."""
    return ExchangeNotifications(gateway.catalog, gateway.writer, gateway.event_types, gateway.secrets)
