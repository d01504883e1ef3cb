"""The live subscriptions of one workspace by topic, of which a match index is built.

A workspace may have tens of thousands of them, and the router needs a new index after each change of the catalog. So a
change rebuilds only the changed subscriptions of its workspace.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.consumption import ANY, selected_topics
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, Subscription
from schemas.model.operational_event import is_operational
from schemas.model.topics import event_topic
from schemas.model.unlinked import unlinked_at
from stream_processors.routing.socket_presence import OpenSocket

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from backbone.catalog.view import CatalogView
    from schemas.model.endpoint import BodyFormat

    Live = dict[str, list["LiveSubscription"]]
    Sockets = Mapping[str, tuple[int, OpenSocket]]

ALL_EVENTS = "all-events"
"""Stands for a subscription's id if an endpoint without subscriptions gets all events."""


class LiveSubscription(msgspec.Struct, frozen=True, gc=False):
    """A subscription for one topic; it matches records appended at ``since`` (milliseconds) or later.

    With a ``socket`` it matches only while that is open.

    Not tracked by the garbage collector: tens of thousands are built at once, and its passes would take longer than
    the rest.
    """

    subscription: Subscription
    event_filter: EventFilter
    endpoint: Endpoint
    since: int
    socket: OpenSocket | None = None


class _Link(msgspec.Struct, frozen=True, gc=False):
    """One subscription with all its topics."""

    subscription: Subscription
    event_filter: EventFilter
    endpoint: Endpoint
    by_topic: dict[str, LiveSubscription]

    def is_of(self, subscription: Subscription, event_filter: EventFilter, endpoint: Endpoint) -> bool:
        """Whether it is unchanged: the catalog replaces objects that change."""
        return self.subscription is subscription and self.event_filter is event_filter and self.endpoint is endpoint

    def selects_any(self, topics: frozenset[str]) -> bool:
        """Whether the filter can select one of these topics."""
        workspace = self.event_filter.workspace
        return any(
            ANY in (each.namespace, each.code) or event_topic(workspace, each.namespace, each.code) in topics
            for each in self.event_filter.types
        )


class WorkspaceRoutes:
    """The live subscriptions of one workspace in the present catalog.

    Args:
        view: the catalog.
        workspace: its name.
        version: from ``CatalogView.routing_versions``, read before the view is used.
        previous: routes of an earlier version of the same catalog; unchanged parts are used again.
        skew, unfiltered: see ``MatchIndex``.

    Attributes:
        live: the subscriptions of each topic. An unchanged list is the same object as before.
        unlinked: socket endpoints of those formats that no event filter restricts.
    """

    def __init__(
        self,
        view: CatalogView,
        workspace: str,
        version: int,
        previous: WorkspaceRoutes | None,
        *,
        skew: int,
        unfiltered: Collection[BodyFormat],
    ) -> None:
        self.version = version
        self._skew = skew
        self._kinds = frozenset(kind.topic for kind in view.event_types(workspace))
        self._links: dict[str, _Link] = {}
        self._socketed: tuple[Sockets, Live] | None = None
        links: dict[str, _Link] = {}
        before: Live = {}
        changed = self._kinds
        if previous is not None:
            links, before = previous._links, previous.live  # noqa: SLF001  # of the same class
            changed ^= previous._kinds  # noqa: SLF001  # likewise
        live: defaultdict[str, list[LiveSubscription]] = defaultdict(list)
        for subscription, event_filter, endpoint in view.live_subscriptions(workspace):
            link = links.get(subscription.id)
            if link is None or not link.is_of(subscription, event_filter, endpoint):
                link = self._selecting(_Link(subscription, event_filter, endpoint, {}), view)
            elif changed and link.selects_any(changed):
                link = self._selecting(link, view)
            self._links[subscription.id] = link
            for topic, entry in link.by_topic.items():
                live[topic].append(entry)
        self.live: Live = {
            topic: before[topic] if before.get(topic) == found else found for topic, found in live.items()
        }
        self.unlinked = unlinked_sockets(view, workspace, unfiltered)

    def __len__(self) -> int:
        """The number of subscriptions."""
        return len(self._links)

    @property
    def filters(self) -> set[str]:
        """The ids of the event filters."""
        return {link.event_filter.id for link in self._links.values()}

    def with_sockets(self, sockets: Sockets) -> Live:
        """``live``, and all events for those unlinked endpoints that have open sockets.

        Args:
            sockets: see ``MatchIndex``.
        """
        opened = {endpoint.id: sockets[endpoint.id] for endpoint in self.unlinked if endpoint.id in sockets}
        if not opened:
            return self.live
        if self._socketed is None or self._socketed[0] != opened:
            extra = []
            for endpoint in self.unlinked:
                if endpoint.id in opened:
                    opened_at, socket = opened[endpoint.id]
                    since = max(opened_at, unlinked_at(endpoint) // 1_000) - self._skew
                    extra.append(LiveSubscription(*_all_events(endpoint), endpoint, since, socket))
            self._socketed = (
                opened,
                {topic: [*self.live.get(topic, ()), *extra] for topic in self._kinds if not is_operational(topic)},
            )
        return self._socketed[1]

    def _selecting(self, link: _Link, view: CatalogView) -> _Link:
        """The subscription with its present topics."""
        by_topic = {}
        linked_at = link.subscription.linked_at or 0
        for topic, added_at in selected_since(link.event_filter, view).items():
            since = max(linked_at, added_at) // 1_000 - self._skew
            by_topic[topic] = link.by_topic.get(topic) or LiveSubscription(
                link.subscription, link.event_filter, link.endpoint, since
            )
        return _Link(link.subscription, link.event_filter, link.endpoint, by_topic)


def unlinked_sockets(view: CatalogView, workspace: str, unfiltered: Collection[BodyFormat]) -> tuple[Endpoint, ...]:
    """A workspace's socket endpoints of some body formats that no event filter restricts."""
    return tuple(
        endpoint
        for endpoint in view.endpoints(workspace)
        if endpoint.type is EndpointType.WEB_SOCKET
        and endpoint.body in unfiltered
        and endpoint.enabled
        and not view.subscriptions_of(endpoint.id)
    )


def _all_events(endpoint: Endpoint) -> tuple[Subscription, EventFilter]:
    """A filter and a subscription in place of those that an unlinked endpoint does not have."""
    event_filter = EventFilter(
        id=ALL_EVENTS, workspace=endpoint.workspace, name=ALL_EVENTS, types=(), created_at=0, updated_at=0
    )
    subscription = Subscription(
        id=ALL_EVENTS,
        workspace=endpoint.workspace,
        event_filter=ALL_EVENTS,
        endpoint=endpoint.id,
        created_at=0,
        updated_at=0,
    )
    return subscription, event_filter


def selected_since(event_filter: EventFilter, view: CatalogView) -> dict[str, int]:
    """For each existing event type's topic, the time (microseconds) since which the filter selects it."""
    selected: dict[str, int] = {}
    for selection in event_filter.types:
        added_at = selection.added_at or 0
        for topic in selected_topics(view, event_filter.workspace, selection):
            selected[topic] = min(added_at, selected.get(topic, added_at))
    return selected
