"""Envoy organisations: workspaces that are, or are not, provisioned on the event streaming server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from backbone.catalog.accounts import existing_workspace
from backbone.catalog.writer import Changes
from families.envoy.model import (
    FAMILY,
    ORGANISATIONS,
    PUBLIC_NAMESPACES,
    USER_PREFIX,
    channel_name,
    read_channel,
)
from schemas.model import timestamps
from schemas.model.channels import TEMPLATE
from schemas.model.endpoint import OWNER, Endpoint, EndpointType, EventFilter, Subscription, TypeSelection
from schemas.model.errors import InvalidRequest
from schemas.model.family_record import FamilyRecord
from schemas.model.ids import derived

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.model.resources import Resource

_FOR_A_USER = {"subject": [{"prefix": USER_PREFIX}]}

_STREAMS = {
    "organisation": (json.dumps({"$not": _FOR_A_USER}), channel_name("{namespace}", "%s")),
    "user": (json.dumps(_FOR_A_USER), channel_name("{namespace}", "%s", "{subject}")),
}
"""Name to filter condition and channel template; of every event of an organisation exactly one of them gets a copy."""

_BRACES = frozenset("{}")
"""What a channel template takes for placeholders."""


class Deprovisioned(NamedTuple):
    """How many webhook endpoints went."""

    webhooks: int


class Organisations:
    """Provisions organisations and deprovisions them; both raise ``Unavailable`` when Kafka cannot answer.

    Both may be repeated. The organisation is the workspace of that name.

    Args:
        writer: this process's writer.
    """

    def __init__(self, writer: CatalogWriter) -> None:
        self._writer = writer

    async def provision(self, organisation: str, public: Sequence[str] | None = None) -> tuple[str, ...]:
        """Have every event of the organisation that is accepted from now on sent to its channels.

        Returns the public namespaces.

        Args:
            organisation: its name.
            public: namespaces whose channel all of its clients may join; None leaves it at what it was.

        Raises:
            InvalidRequest: the name cannot be part of a channel template.
            NotFound: there is no such workspace.
        """
        if not _BRACES.isdisjoint(organisation):
            raise InvalidRequest("An organisation whose name has braces cannot be provisioned.")

        def decide(view: CatalogView) -> Changes[tuple[str, ...]]:
            existing_workspace(view, organisation)
            found = _record(view, organisation)
            namespaces = public_namespaces_of(view, organisation) if public is None else tuple(dict.fromkeys(public))
            put: list[Resource] = [each for each in _resources(organisation) if view.get(each.key) is None]
            if found is None or namespaces != public_namespaces_of(view, organisation):
                now = timestamps.now()
                put.append(
                    FamilyRecord(
                        family=FAMILY,
                        collection=ORGANISATIONS,
                        id=organisation,
                        workspace=organisation,
                        content={PUBLIC_NAMESPACES: list(namespaces)},
                        created_at=now if found is None else found.created_at,
                        updated_at=now,
                    )
                )
            return Changes(put=put, result=namespaces)

        return await self._writer.write(decide)

    async def deprovision(self, organisation: str) -> Deprovisioned:
        """Send nothing more to the organisation's channels, and delete its webhook endpoints; realtime nodes notice.

        Endpoints that are not marked as the organisation's stay: other APIs made them for others in the workspace.

        Raises:
            NotFound: there is no such workspace.
        """

        def decide(view: CatalogView) -> Changes[Deprovisioned]:
            existing_workspace(view, organisation)
            webhooks = [each for each in view.endpoints(organisation) if _is_webhook_of(each, organisation)]
            gone: list[Resource | None] = [_record(view, organisation), *webhooks]
            gone += [view.get(each.key) for each in _resources(organisation)]
            gone += [link for each in webhooks for link in view.subscriptions_of(each.id)]
            return Changes(
                delete=[each.key for each in gone if each is not None], result=Deprovisioned(webhooks=len(webhooks))
            )

        return await self._writer.write(decide)


def is_provisioned(view: CatalogView, organisation: str) -> bool:
    """Whether the organisation may have its events streamed."""
    return _record(view, organisation) is not None


def public_namespaces_of(view: CatalogView, organisation: str) -> tuple[str, ...]:
    """The namespaces whose channel all clients of an organisation may join; none unless it is provisioned."""
    found = _record(view, organisation)
    return () if found is None else tuple(found.content.get(PUBLIC_NAMESPACES, ()))


def is_public(view: CatalogView, organisation: str, channel: str) -> bool:
    """Whether every client of the organisation may join a channel."""
    said = read_channel(channel, organisation)
    return said is not None and said.users is None and said.namespace in public_namespaces_of(view, organisation)


def _is_webhook_of(endpoint: Endpoint, organisation: str) -> bool:
    # An action of eventhos is none of the organisation's webhooks: contracts would be left that run nothing.
    marked = endpoint.options.get(OWNER) == organisation
    return marked and endpoint.type is EndpointType.WEB_HOOK and endpoint.request is None


def _record(view: CatalogView, organisation: str) -> FamilyRecord | None:
    return view.family_record(FAMILY, ORGANISATIONS, organisation)


def _resources(organisation: str) -> list[Resource]:
    """What routes the events of a provisioned organisation; their ids are always the same."""
    resources: list[Resource] = []
    now = timestamps.now()
    for stream, (condition, template) in _STREAMS.items():
        name = f"Envoy {stream} channels"
        endpoint, event_filter, link = (
            derived(FAMILY, ORGANISATIONS, organisation, stream, part) for part in ("endpoint", "filter", "link")
        )
        resources += (
            Endpoint(
                id=endpoint,
                workspace=organisation,
                name=name,
                type=EndpointType.WEB_SOCKET,
                options={TEMPLATE: template % organisation},
                created_at=now,
                updated_at=now,
            ),
            EventFilter(
                id=event_filter,
                workspace=organisation,
                name=name,
                types=(TypeSelection(namespace="*", code="*"),),
                condition=condition,
                created_at=now,
                updated_at=now,
            ),
            Subscription(
                id=link,
                workspace=organisation,
                event_filter=event_filter,
                endpoint=endpoint,
                created_at=now,
                updated_at=now,
            ),
        )
    return resources
