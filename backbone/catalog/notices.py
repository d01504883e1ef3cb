"""Events that tell Exchange endpoints of changed subscriptions, as consequences of catalog writes.

An endpoint is told of subscriptions to what it publishes, and of those by which it receives. The event is written in
the transaction of the change: neither can be without the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from backbone.catalog.consumption import is_live, publications
from backbone.catalog.evolution import has_identity
from backbone.kafka.records import Record, partition_for
from schemas import timestamps
from schemas.event import EventDraft
from schemas.event_headers import EventHeaders
from schemas.event_type import Attribute
from schemas.ids import derived, new_id
from schemas.subscription import BodyFormat, Endpoint, EventFilter, Subscription
from schemas.topics import event_topic
from schemas.validation import EventWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import Changes
    from schemas.event_type import EventType, Registration
    from schemas.resources import Resource

NAMESPACE, CODE = "exchange-notifications", "subscription-changed"
"""The event type of all notifications of an account; no Exchange endpoint can register one in this namespace."""

NOTIFICATION_KEY = "notificationKey"
"""Endpoint option: the text that goes with every notification."""

ATTRIBUTES = (
    Attribute(name=NOTIFICATION_KEY, type="String"),
    Attribute(name="changeTime", type="Time"),
    Attribute(name="changeType", type="String"),
    Attribute(name="eventTypeCode", type="String"),
    Attribute(name="eventName", type="String"),
)
"""In the order in which a notification has them."""

_ENCODER = msgspec.json.Encoder()


def notified_at(client: str) -> str:
    """The id of the webhook endpoint where a client is told."""
    return derived("exchange notification", client)


def notification_filter(client: str) -> str:
    """The id of the event filter that selects what a client is told."""
    return derived("exchange notification filter", client)


def notification_keys(view: CatalogView, client: str) -> list[str]:
    """The catalog record keys of what makes a client's registration; none where there is none."""
    found = view.endpoint(notified_at(client))
    event_filter = view.event_filter(notification_filter(client))
    resources: list[Resource] = [] if found is None else [found, *view.subscriptions_of(found.id)]
    resources += [] if event_filter is None else [event_filter, *view.subscriptions_of(event_filter.id)]
    return list(dict.fromkeys(each.key for each in resources))


def subscription_notices(before: CatalogView, changes: Changes[Any]) -> Callable[[CatalogView], Sequence[Record]]:
    """The events that changes of the catalog make for those who want to be told; a ``Consequence`` of every write."""
    touched = _touched(before, changes)
    old = _states(before, touched)
    return lambda after: _events(after, old, _states(after, touched)) if touched else ()


class _State(NamedTuple):
    """How a subscription stands for one who is told, with regard to one publication."""

    enabled: bool
    publication: Registration


_States = dict[tuple[str, str, str], _State]
"""By who is told (client id), subscription id, and topic."""


class _Change(NamedTuple):
    """What is told: ``type`` is Add, Delete, Enable or Disable, the document's words.

    ``identity``: see ``has_identity``, of the event type of notifications.
    """

    type: str
    publication: Registration
    identity: bool


def _touched(view: CatalogView, changes: Changes[Any]) -> set[str]:
    """Ids of the subscriptions that changes have to do with, in workspaces where somebody wants to be told."""
    gone = (view.get(key) for key in changes.delete)
    found: set[str] = set()
    for each in (*changes.put, *gone):
        if isinstance(each, Subscription):
            ids = [each.id]
        elif isinstance(each, Endpoint | EventFilter):
            ids = [one.id for one in view.subscriptions_of(each.id)]
        else:
            continue
        if any(one.body is BodyFormat.EXCHANGE_NOTIFICATION for one in view.endpoints(each.workspace)):
            found.update(ids)
    return found


def _states(view: CatalogView, subscriptions: Iterable[str]) -> _States:
    found: _States = {}
    for each in sorted(subscriptions):
        subscription = view.subscription(each)
        event_filter = None if subscription is None else view.event_filter(subscription.event_filter)
        if subscription is None or event_filter is None or view.endpoint(subscription.endpoint) is None:
            continue
        enabled = is_live(view, subscription)
        for publication in publications(view, event_filter):
            # An Exchange endpoint that receives has the id of its client.
            for told in (publication.client, subscription.endpoint):
                if view.endpoint(notified_at(told)) is not None:
                    found.setdefault((told, each, publication.topic), _State(enabled, publication))
    return found


def _events(view: CatalogView, old: _States, new: _States) -> list[Record]:
    records = []
    for place in {**old, **new}:
        told, subscription, _ = place
        change = _change(old.get(place), new.get(place))
        registered = view.endpoint(notified_at(told))
        if change is None or registered is None:
            continue
        event_type = view.event_type(event_topic(registered.workspace, NAMESPACE, CODE))
        if event_type is not None:
            publication = (new.get(place) or old[place]).publication
            told_how = _Change(change, publication, has_identity(view, event_type))
            records.append(_event(event_type, registered, told, subscription, told_how))
    return records


def _change(old: _State | None, new: _State | None) -> str | None:
    """The type of a change; None when there is nothing to tell."""
    if old is None or new is None:
        return "Add" if old is None else "Delete"
    if old.enabled == new.enabled:
        return None
    return "Enable" if new.enabled else "Disable"


def _event(event_type: EventType, registered: Endpoint, told: str, subscription: str, change: _Change) -> Record:
    now = timestamps.now()
    text = timestamps.to_text(now)
    data = {
        NOTIFICATION_KEY: registered.options.get(NOTIFICATION_KEY),
        "changeTime": text,
        "changeType": change.type,
        "eventTypeCode": change.publication.code,
        "eventName": change.publication.name,
    }
    draft = EventDraft(
        workspace=event_type.workspace,
        namespace=NAMESPACE,
        code=CODE,
        client=told,
        data=_ENCODER.encode({name: value for name, value in data.items() if value is not None}),
        subject=subscription,
        time=now,
    )
    event = new_id()
    writer = EventWriter(event_type, None, identity=change.identity)
    value, key = writer.write(draft, event_id=event, received_at=now)
    headers = EventHeaders(told, CODE)(draft, event, now)
    partition = partition_for(key or b"", event_type.effective_partitions)
    return Record(event_type.topic, value, key, headers, partition)
