"""Who consumes whose events: which publishers stand behind a subscription, and who is subscribed to a publisher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.model import operational_event
from schemas.model.event_type import RegistrationKind
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbone.catalog.view import CatalogView
    from schemas.model.access import Client
    from schemas.model.endpoint import EventFilter, Subscription, TypeSelection
    from schemas.model.event_type import Registration

ANY = "*"
"""In a filter's selection of event types."""


def selected_topics(view: CatalogView, workspace: str, selection: TypeSelection) -> Iterator[str]:
    """The topics of the event types that one selection of a filter stands for, of those that there are.

    Operational events are selected by their namespace only: who subscribed to everything did not ask for them.
    """
    if ANY not in (selection.namespace, selection.code):
        topic = event_topic(workspace, selection.namespace, selection.code)
        if view.event_type(topic) is not None:
            yield topic
        return
    for kind in view.event_types(workspace):
        if kind.namespace == operational_event.NAMESPACE and selection.namespace == ANY:
            continue
        if selection.namespace in (ANY, kind.namespace) and selection.code in (ANY, kind.code):
            yield kind.topic


def publications(view: CatalogView, event_filter: EventFilter) -> Iterator[Registration]:
    """What publishers have registered of the event types and sources that a filter selects."""
    topics = dict.fromkeys(
        topic for each in event_filter.types for topic in selected_topics(view, event_filter.workspace, each)
    )
    for topic in topics:
        for registration in view.registrations_for(topic):
            if registration.registration is not RegistrationKind.PUBLISH:
                continue
            if _may_come_from(view, event_filter, registration.client):
                yield registration


def _may_come_from(view: CatalogView, event_filter: EventFilter, client: str) -> bool:
    """Whether events that the client publishes may have one of the filter's sources.

    Without a source of its own an event has the client's id as source. Any client may send an event of another source;
    in version 1 of the filter language all sources are clients.
    """
    sources = event_filter.sources
    if not sources or client in sources:
        return True
    return event_filter.version > 1 and any(view.client(event_filter.workspace, source) is None for source in sources)


def consumed_from(view: CatalogView, publisher: Client) -> list[Registration]:
    """What of a client's publications another endpoint receives now, the oldest first."""
    found: dict[str, Registration] = {}
    for subscription in view.subscriptions(publisher.workspace):
        if subscription.endpoint != publisher.endpoint and is_live(view, subscription):
            for registration in _behind(view, subscription):
                if registration.client == publisher.id:
                    found[registration.key] = registration
    return sorted(found.values(), key=lambda each: each.created_at)


def consumed_by(view: CatalogView, endpoint: str) -> list[Registration]:
    """What an endpoint receives now, publisher by publisher, the oldest first."""
    found: dict[str, Registration] = {}
    for subscription in view.subscriptions_of(endpoint):
        if is_live(view, subscription):
            found |= {each.key: each for each in _behind(view, subscription)}
    return sorted(found.values(), key=lambda each: each.created_at)


def is_live(view: CatalogView, subscription: Subscription) -> bool:
    """Whether the subscription and its endpoint are enabled."""
    endpoint = view.endpoint(subscription.endpoint)
    return subscription.enabled and endpoint is not None and endpoint.enabled


def _behind(view: CatalogView, subscription: Subscription) -> Iterator[Registration]:
    event_filter = view.event_filter(subscription.event_filter)
    return iter(()) if event_filter is None else publications(view, event_filter)
