"""Where events go and which events go there: endpoints, event filters, and the links between them."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class EndpointType(StrEnum):
    """How an endpoint receives."""

    WEB_HOOK = "WEB_HOOK"
    WEB_SOCKET = "WEB_SOCKET"
    FILE = "FILE"


class BodyFormat(StrEnum):
    """How a webhook's body is rendered; each value is a module of ``connectors/bodies``."""

    CLOUDEVENTS = "cloudevents"
    EXCHANGE = "exchange"
    EVENTHOS = "eventhos"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, tag="endpoint", tag_field="kind"):
    """Where events go.

    Attributes:
        client: id of the client that owns it, if any.
        url, method, headers: of a WEB_HOOK; the URL is absolute http or https.
        signing_secrets: encrypted (``backbone.catalog.secrets``), newest first; several during a rotation.
        retry_schedule: seconds to wait before the second, third, … attempt; None means the server's schedule.
        timeout: seconds from connect to the last body byte; None means the server's.
        max_in_flight: most simultaneous requests to it.
        enabled: a disabled endpoint's deliveries are cancelled.
        options: what only one family or connector reads (for example a channel template).
    """

    id: str
    workspace: str
    name: str
    type: EndpointType
    client: str | None = None
    description: str = ""
    url: str | None = None
    method: str = "POST"
    headers: dict[str, str] = {}
    signing_secrets: tuple[str, ...] = ()
    body: BodyFormat = BodyFormat.CLOUDEVENTS
    retry_schedule: tuple[float, ...] | None = None
    timeout: float | None = None
    max_in_flight: int = 16
    enabled: bool = True
    options: dict[str, str] = {}
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        """Catalog record key."""
        return f"endpoint/{self.id}"


class TypeSelection(msgspec.Struct, frozen=True, kw_only=True):
    """One event type that a filter selects; a code of ``*`` selects every type of the namespace, both ``*`` all types.

    ``added_at`` is the append time (microseconds) of the filter record that added it; None in a record means that
    record itself added it, and the catalog view fills in the record's own append time.
    """

    namespace: str
    code: str
    added_at: int | None = None


class EventFilter(msgspec.Struct, frozen=True, kw_only=True, tag="event_filter", tag_field="kind"):
    """Which events: types, and equality lists on source, channel and identifiers (AND across, OR within a list).

    ``condition`` is the filter language of ``schemas.filters`` as JSON text, or None. Empty lists do not restrict.
    """

    id: str
    workspace: str
    name: str
    client: str | None = None
    types: tuple[TypeSelection, ...]
    sources: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    identifiers: dict[str, tuple[str, ...]] = {}
    condition: str | None = None
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        """Catalog record key."""
        return f"event_filter/{self.id}"


class Subscription(msgspec.Struct, frozen=True, kw_only=True, tag="subscription", tag_field="kind"):
    """The link from an event filter to an endpoint, its own record; gone when either end is gone.

    ``linked_at`` is the append time (microseconds) of the link; None in a record means that record is the link, and
    the catalog view fills in the record's own append time. A rewrite copies it; only a re-link resets it.
    """

    id: str
    workspace: str
    event_filter: str
    endpoint: str
    enabled: bool = True
    linked_at: int | None = None
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        """Catalog record key."""
        return f"subscription/{self.id}"
