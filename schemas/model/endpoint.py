"""Where events go and which events go there: endpoints, event filters, and the links between them."""

from __future__ import annotations

from enum import StrEnum
from itertools import zip_longest
from typing import NewType

import msgspec

HIDDEN = "[hidden]"
"""Stands for a header's value that is a credential; sent back in a change, it leaves the value as it is."""

MOST_TRIES = 20
"""Of one delivery, the first included."""

LONGEST_DELAY = 86_400
"""Seconds between two tries."""

LONGEST_SCHEDULE = 14 * 86_400
"""Seconds of all delays together: a delivery is kept no longer."""

OWNER = "organisation"
"""Endpoint option of a webhook that is set up for an organisation: the workspace's name.

Such a webhook is deleted when its organisation is deprovisioned.
"""


class EndpointType(StrEnum):
    """How an endpoint receives."""

    WEB_HOOK = "WEB_HOOK"
    WEB_SOCKET = "WEB_SOCKET"
    FILE = "FILE"


BodyFormat = NewType("BodyFormat", str)
"""How an event's body is rendered for an endpoint. ``families/registry.py`` lists those of the families."""

CLOUDEVENTS = BodyFormat("cloudevents")
"""The one that every endpoint gets unless it asks for another."""


class AuthorizationType(StrEnum):
    """How a webhook request is authorised."""

    API_KEY = "api_key"
    BASIC = "basic"
    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105  # a kind, not a secret


class NameValue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One header, query parameter or body member of a request.

    A ``sealed`` value is a credential, encrypted (``backbone.catalog.secrets``).
    """

    name: str
    value: str
    sealed: bool = False


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """The credentials of a webhook request; secrets are encrypted (``backbone.catalog.secrets``).

    Attributes:
        type: how they are used: ``Bearer <secret>``, Basic, or an access token fetched from ``token_url`` (OAuth 2.0).
        user: the user, client id or supplier key.
        secret: the API key, password or client secret.
        refresh_token: the first refresh token.
        token_url: where access tokens come from.
        scope, audience, parameters: that requests for tokens have besides; credentials among them are encrypted.
    """

    type: AuthorizationType
    user: str | None = None
    secret: str | None = None
    refresh_token: str | None = None
    token_url: str | None = None
    scope: str | None = None
    audience: str | None = None
    parameters: tuple[NameValue, ...] = ()


class RequestTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook request that is filled in from the event, in eventhos' ``${.body.name}`` language.

    The endpoint's URL and headers are templates too.

    Attributes:
        headers, query, body: in their order; a name may repeat. Without body members the event's body is forwarded.
        raw_body: the whole body as one template, instead of ``body``.
    """

    headers: tuple[NameValue, ...] = ()
    query: tuple[NameValue, ...] = ()
    body: tuple[NameValue, ...] = ()
    raw_body: str | None = None


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """Most requests to an endpoint: ``per_second`` in the long run, and ``burst`` of them at once."""

    per_second: float
    burst: int


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, tag="endpoint", tag_field="kind"):
    """Where events go.

    Attributes:
        client: id of the client that owns it, if any.
        url, method, headers: of a WEB_HOOK; the URL is absolute http or https.
        sealed_headers: further headers, whose values are encrypted credentials (``backbone.catalog.secrets``).
        signing_secrets: encrypted (``backbone.catalog.secrets``), newest first; several during a rotation.
        signing_secrets_expire_at: when each of them ends, microseconds since the epoch; None, or a missing one: never.
        retry_schedule: seconds to wait before the second, third, … attempt; None means the server's schedule.
        timeout: seconds from connect to the last body byte; None means the server's.
        max_in_flight: most simultaneous requests to it.
        disable_after: seconds of nothing but failures after which it is disabled, 0 is never; None means the server's.
        rate_limit: most requests per second to it, every try included; None means no limit.
        authorization: the credentials that requests to it carry, if any.
        request: how its requests are filled in from the event (eventhos); None sends a body of the format ``body``.
        reply_to: event type (topic) that a successful answer is published to (eventhos).
        enabled: a disabled endpoint's deliveries are cancelled.
        held_since: when its owner paused it, microseconds since the epoch, which names the pause; None: it is not. The
            router then keeps its events for a backfill.
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
    sealed_headers: dict[str, str] = {}
    signing_secrets: tuple[str, ...] = ()
    signing_secrets_expire_at: tuple[int | None, ...] = ()
    body: BodyFormat = CLOUDEVENTS
    retry_schedule: tuple[float, ...] | None = None
    timeout: float | None = None
    max_in_flight: int = 16
    rate_limit: RateLimit | None = None
    disable_after: float | None = None
    authorization: Authorization | None = None
    request: RequestTemplate | None = None
    reply_to: str | None = None
    enabled: bool = True
    held_since: int | None = None
    options: dict[str, str] = {}
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        """Catalog record key."""
        return f"endpoint/{self.id}"

    def secrets_with_expiry(self) -> list[tuple[str, int | None]]:
        """The signing secrets, newest first, each with the time at which it ends."""
        return list(zip_longest(self.signing_secrets, self.signing_secrets_expire_at[: len(self.signing_secrets)]))

    def secrets_at(self, instant: int) -> tuple[str, ...]:
        """The secrets that sign at an instant, in microseconds since the epoch: those that have not ended."""
        if not self.signing_secrets_expire_at:
            return self.signing_secrets
        return tuple(sealed for sealed, ends in self.secrets_with_expiry() if ends is None or ends > instant)

    @property
    def shown_secrets(self) -> tuple[int | None, ...]:
        """When each signing secret ends, newest first, without the secrets."""
        return tuple(ends for _, ends in self.secrets_with_expiry())

    @property
    def shown_headers(self) -> dict[str, str]:
        """All headers, ``HIDDEN`` in the place of credentials."""
        return self.headers | dict.fromkeys(self.sealed_headers, HIDDEN)


class TypeSelection(msgspec.Struct, frozen=True, kw_only=True):
    """One event type that a filter selects; a code of ``*`` selects every type of the namespace, both ``*`` all types.

    A namespace of ``*`` with a code selects the types of that code in all namespaces.

    ``added_at`` is the append time (microseconds) of the filter record that added it; None in a record means that
    record itself added it, and the catalog view fills in the record's own append time.
    """

    namespace: str
    code: str
    added_at: int | None = None


class EventFilter(msgspec.Struct, frozen=True, kw_only=True, tag="event_filter", tag_field="kind"):
    """Which events: types, and equality lists on source, channel and identifiers (AND across, OR within a list).

    ``condition`` is the filter language of ``schemas.filters.conditions`` as JSON text, or None. Empty lists do not
    restrict. ``version`` says what ``sources`` and the condition's ``source`` and ``type`` mean
    (``schemas.filters.conditions``); a record without one is of version 1.
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
    version: int = 1
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        """Catalog record key."""
        return f"event_filter/{self.id}"


class Subscription(msgspec.Struct, frozen=True, kw_only=True, tag="subscription", tag_field="kind"):
    """The link from an event filter to an endpoint, its own record; gone when either end is gone.

    ``linked_at`` is the append time (microseconds) of the link; None in a record means that record is the link, and
    the catalog view fills in the record's own append time. A rewrite copies it; only a re-link resets it. With an
    ``order`` (eventhos contracts) the event's deliveries run in groups: lower ones first, equal ones side by side.
    """

    id: str
    workspace: str
    event_filter: str
    endpoint: str
    order: int | None = None
    enabled: bool = True
    linked_at: int | None = None
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        """Catalog record key."""
        return f"subscription/{self.id}"
