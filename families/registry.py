"""What each API family gives, a line each.

These are names alone: a process imports what it runs and no more, and no family imports another to know its name.
"""

from __future__ import annotations

from schemas.model.access import HEADRACE, Realm
from schemas.model.endpoint import BodyFormat

FAMILIES = {
    # Before eventhos, which answers ``/`` to who is no browser.
    "console": HEADRACE,
    "crmls": Realm("crmls"),
    "eventhos": Realm("eventhos"),
    "envoy": Realm("envoy"),
    "exchange": Realm("exchange"),
    "event_service": Realm("graphql"),
    "headrace": HEADRACE,
    "schema_registry": HEADRACE,
}
"""Folder to the realm of the credentials that its routes take; ``http/family.py`` in it has its ``FAMILY``."""

EXTENSIONS = (
    "eventhos",
    "envoy",
    "exchange",
    "event_service",
)
"""Those that keep records in the catalog; ``catalog/extension.py`` has an ``EXTENSION``."""

BODIES = {
    BodyFormat("exchange"): "families.exchange.delivery.body",
    BodyFormat("exchange_notification"): "families.exchange.delivery.notification_body",
    BodyFormat("eventhos"): "families.eventhos.delivery.body",
    BodyFormat("event_service"): "families.event_service.delivery.body",
}
"""The formats of bodies that an endpoint may ask for, beside CloudEvents, and the modules that render them."""

SOCKETS = {
    BodyFormat("event_service"): "families.event_service.delivery.socket",
}
"""The formats whose WEB_SOCKET endpoints have a protocol of their own, and get all events while a socket is open and no
event filter restricts them. The modules have a ``socket_protocol``."""

CHANNELS = {
    Realm("envoy"): "families.envoy.catalog.channels",
}
"""The realms whose clients have channels of their own; the modules have a ``realm_channels``."""
