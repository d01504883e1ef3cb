"""What the routes work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from families.crmls.settings import CrmlsSettings
from ingest_api.auto_registration import FirstUse

if TYPE_CHECKING:
    from ingest_api.gateway import Gateway


def first_use(gateway: Gateway) -> FirstUse:
    """Registers message types that are used for the first time."""
    settings = gateway.settings_of(CrmlsSettings)
    return FirstUse(
        gateway.catalog,
        gateway.event_types,
        limit=settings.max_message_types,
        enabled=settings.register_on_first_use,
    )
