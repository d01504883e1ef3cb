"""What of an event an endpoint is sent: one projection for an endpoint and an event type, with its versions."""

from __future__ import annotations

import msgspec


class ProjectionVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One expression; ``replaced_at`` is when it stopped being the present one, None while it is."""

    number: int
    expression: str
    created_at: int
    replaced_at: int | None = None


class EndpointProjection(msgspec.Struct, frozen=True, kw_only=True, tag="projection", tag_field="kind"):
    """The projection of an endpoint for one event type.

    Deliveries name the version that they were routed with, so a version stays for as long as deliveries may need it.

    Attributes:
        endpoint, topic: what it belongs to; the topic is that of the event type.
        namespace, code: of the event type.
        versions: oldest first.
        current: the number of the version that new deliveries get; None when the projection was deleted.
    """

    endpoint: str
    workspace: str
    topic: str
    namespace: str
    code: str
    versions: tuple[ProjectionVersion, ...]
    current: int | None
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        """Catalog record key."""
        return projection_key(self.endpoint, self.topic)

    def version(self, number: int | None) -> ProjectionVersion | None:
        """A version by its number."""
        return next((each for each in self.versions if each.number == number), None)


def projection_key(endpoint: str, topic: str) -> str:
    """The catalog record key of a projection."""
    return f"projection/{endpoint}/{topic}"
