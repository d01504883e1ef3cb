"""What the routes work with. Each service is stateless, so that every request makes its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.contract_log import Executions
from families.eventhos.catalog.accounts import EventhosAccounts
from families.eventhos.catalog.actions import EventhosActions
from families.eventhos.catalog.systems import EventhosSystems

if TYPE_CHECKING:
    from ingest_api.gateway import Gateway


def accounts_of(gateway: Gateway) -> EventhosAccounts:
    """Clients and roles."""
    return EventhosAccounts(gateway.writer, gateway.secrets)


def systems_of(gateway: Gateway) -> EventhosSystems:
    """Systems and events."""
    return EventhosSystems(gateway.writer, gateway.event_types)


def actions_of(gateway: Gateway) -> EventhosActions:
    """Actions and contracts."""
    return EventhosActions(gateway.writer, gateway.secrets)


def executions_of(gateway: Gateway) -> Executions:
    """What was received, and the contracts that were run for it."""
    clients = gateway.clients
    return Executions(
        ledger=clients.ledger,
        secrets=gateway.secrets,
        publisher=gateway.publisher,
        idempotency=clients.idempotency,
        producer=clients.producer,
        ask=gateway.ask,
    )
