"""Operational events: what the gateway tells of endpoints and deliveries, in the reserved namespace ``headrace``.

They are events of the workspace, typed, and any endpoint can subscribe to them. Their ids are derived, so that however
often one is published, it is one event.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.model.errors import PermissionDenied
from schemas.model.event_type import Attribute
from schemas.model.ids import derived
from schemas.model.timestamps import Micros
from schemas.model.topics import event_topic, namespace_of

NAMESPACE = "headrace"
"""Only the gateway publishes in it."""

PUBLISHER = "headrace:operations"
"""Who publishes them. No client can have this id: it has a colon."""

OWNER = "endpointowner"
"""CloudEvents extension: the id of the client that owns the endpoint that an event is about."""


class OperationalCode(StrEnum):
    """The event types."""

    FAILING = "endpoint.failing"
    RECOVERED = "endpoint.recovered"
    PAUSED = "endpoint.paused"
    DISABLED = "endpoint.disabled"
    EXHAUSTED = "delivery.exhausted"


def _attributes(**kinds: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(name=name, type=kind) for name, kind in kinds.items())


_ENDPOINT = _attributes(endpoint="String", name="String")

ATTRIBUTES: dict[OperationalCode, tuple[Attribute, ...]] = {
    OperationalCode.FAILING: _ENDPOINT
    + _attributes(
        warning="integer",
        failures="integer",
        failing_since="Time",
        disables_at="Time",
        status="integer",
        error="String",
    ),
    OperationalCode.RECOVERED: _ENDPOINT + _attributes(failing_since="Time"),
    OperationalCode.PAUSED: _ENDPOINT + _attributes(paused_until="Time", reason="String"),
    OperationalCode.DISABLED: _ENDPOINT + _attributes(reason="String"),
    OperationalCode.EXHAUSTED: _ENDPOINT
    + _attributes(
        delivery="String",
        event="String",
        event_topic="String",
        run="String",
        attempts="integer",
        status="integer",
        reason="String",
    ),
}
"""What the data of each has; ``endpoint`` is an id, ``event`` the gateway's own id of the event. ``docs/delivery.md``
explains them."""


class OperationalEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One operational event that is to be published.

    Attributes:
        id: derived from the endpoint, the state and since when it is so.
        code: of the event type.
        workspace: its name.
        endpoint: the id of the endpoint that it is about.
        owner: the id of the client that owns this, if any.
        time: when it happened, microseconds since the epoch.
        data: by attribute; times as text.
    """

    id: str
    code: OperationalCode
    workspace: str
    endpoint: str
    owner: str | None = None
    time: Micros
    data: dict[str, str | int]


def operational_id(endpoint: str, code: OperationalCode, *since: str) -> str:
    """The id of an operational event: the same however often it is made."""
    return derived("operational", endpoint, code.value, *since)


def topic_of(workspace: str, code: OperationalCode) -> str:
    """The topic of a type of operational events."""
    return event_topic(workspace, NAMESPACE, code.value)


def check_namespace(namespace: str) -> None:
    """Refuse what only the gateway may do.

    Raises:
        PermissionDenied: the namespace is that of operational events.
    """
    if namespace == NAMESPACE:
        raise PermissionDenied(f"Only the gateway registers and publishes events in the namespace {NAMESPACE}.")


def is_operational(topic: str) -> bool:
    """Whether the events of a topic are operational ones: their deliveries raise none."""
    return namespace_of(topic) == NAMESPACE
