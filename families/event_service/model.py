"""How the event service (GraphQL) says which events a filter selects, and which endpoints it shows."""

from __future__ import annotations

from typing import Any

import msgspec

from families.registry import FAMILIES
from schemas.model.endpoint import BodyFormat, Endpoint, EndpointType, TypeSelection

REALM = FAMILIES["event_service"]
BODY = BodyFormat("event_service")

ANY = "*"

CAMERAS, AGENTS = "cameraId", "agentId"
"""Members of an event's data that say where it comes from."""

PROFILE_GROUPS = ("profileGroupIds", "profileGroupId")
"""Members of an event's data that may name profile groups: a list, or one."""

_ENCODER = msgspec.json.Encoder()


def is_socket(endpoint: Endpoint) -> bool:
    """Whether an endpoint is one of this family's websockets: without an event filter they get all events."""
    return endpoint.body == BODY and endpoint.type is EndpointType.WEB_SOCKET


def is_ours(endpoint: Endpoint) -> bool:
    """Whether this family shows an endpoint: it knows websockets and webhooks only."""
    return endpoint.body == BODY and endpoint.type is not EndpointType.FILE


class ConditionFields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Which events: AND across the members, OR within each; an empty list does not restrict."""

    camera_ids: tuple[str, ...] = ()
    agent_ids: tuple[str, ...] = ()
    profile_group_ids: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The members that restrict, as JSON has them."""
        members: dict[str, Any] = msgspec.json.decode(_ENCODER.encode(self))
        return members

    def selections(self) -> tuple[TypeSelection, ...]:
        """The event types by their codes, in any namespace of the workspace; all types when none is named."""
        codes = tuple(dict.fromkeys(self.event_types)) or (ANY,)
        return tuple(TypeSelection(namespace=ANY, code=code) for code in codes)

    def condition(self) -> str | None:
        """The rest in the filter language (``schemas.filters.conditions``); None when it does not restrict."""
        data: dict[str, list[str]] = {}
        if self.camera_ids:
            data[CAMERAS] = list(self.camera_ids)
        if self.agent_ids:
            data[AGENTS] = list(self.agent_ids)
        pattern: dict[str, Any] = {"data": data} if data else {}
        if self.profile_group_ids:
            pattern["$or"] = [{"data": {member: list(self.profile_group_ids)}} for member in PROFILE_GROUPS]
        return _ENCODER.encode(pattern).decode() if pattern else None
