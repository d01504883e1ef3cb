"""Events that tell Exchange endpoints of changed subscriptions, as consequences of catalog writes.

An endpoint is told of subscriptions to what it publishes, and of those by which it receives. The event is written in
the transaction of the change: neither can be without the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backbone.catalog.consumption import is_live, publications
from backbone.catalog.type_changes import has_identity
from backbone.kafka.records import Record, partition_for
from families.exchange.catalog.records import NOTIFICATION_BODY
from schemas.avro.validation import EventWriter
from schemas.model import timestamps
from schemas.model.endpoint import Endpoint, EventFilter, Subscription
from schemas.model.errors import Frozen
from schemas.model.event import EventDraft
from schemas.model.event_headers import EventHeaders
from schemas.model.event_type import Attribute
from schemas.model.ids import derived, new_id
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from backbone.catalog.extension import Edits
    from backbone.catalog.view import CatalogView
    from schemas.model.access import Client
    from schemas.model.event_type import EventType, Registration
    from schemas.model.resources import Resource

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

_FROZEN = 10
"""Seconds after which a change may be tried again while the topic of the notifications grows."""

_ENCODER = msgspec.json.Encoder()


def notified_at(unique_id: str) -> str:
    """The id of the webhook endpoint where a client with this ``unique_id`` is told."""
    return derived("exchange notification", unique_id)


def notification_filter(unique_id: str) -> str:
    """The id of the event filter that selects what a client with this ``unique_id`` is told."""
    return derived("exchange notification filter", unique_id)


def notification_keys(view: CatalogView, client: Client) -> list[str]:
    """The catalog record keys of what makes a client's registration; none where there is none."""
    found = view.endpoint(notified_at(client.unique_id))
    event_filter = view.event_filter(notification_filter(client.unique_id))
    resources: list[Resource] = [] if found is None else [found, *view.subscriptions_of(found.id)]
    resources += [] if event_filter is None else [event_filter, *view.subscriptions_of(event_filter.id)]
    return list(dict.fromkeys(each.key for each in resources))


def subscription_notices(before: CatalogView, edits: Edits) -> Callable[[CatalogView], Sequence[Record]]:
    """Return a function that makes the events for those who want to be told; see ``CatalogExtension.events``."""
    touched = _touched(before, edits)
    if touched and before.is_growing:
        _check_not_frozen(before, edits)
    old = _states(before, touched)
    return lambda after: _events(after, old, _states(after, touched)) if touched else ()


def _check_not_frozen(view: CatalogView, edits: Edits) -> None:
    """Refuse a change whose events cannot be published now. Under the writer lock the view is the present one.

    Raises:
        Frozen: the topic of the notifications grows.
    """
    gone = (view.get(key) for key in edits.delete)
    for each in (*edits.put, *gone):
        workspace = each.workspace if isinstance(each, Subscription | Endpoint | EventFilter) else None
        growth = None if workspace is None else view.growth(event_topic(workspace, NAMESPACE, CODE))
        if growth is not None and not growth.is_ended:
            raise Frozen(f"{growth.topic} grows to {growth.partitions} partitions", retry_after=_FROZEN)


class _State(NamedTuple):
    """How a subscription stands for one who is told, with regard to one publication."""

    enabled: bool
    publication: Registration


_States = dict[tuple[str, str, str], _State]
"""By who is told (the ``unique_id`` of a client), subscription id, and topic."""


class _Change(NamedTuple):
    """What is told: ``type`` is Add, Delete, Enable or Disable, the document's words.

    ``identity``: see ``has_identity``, of the event type of notifications.
    """

    type: str
    publication: Registration
    identity: bool


def _touched(view: CatalogView, edits: Edits) -> set[str]:
    """Ids of the subscriptions that edits have to do with, in workspaces where somebody wants to be told."""
    gone = (view.get(key) for key in edits.delete)
    found: set[str] = set()
    for each in (*edits.put, *gone):
        if isinstance(each, Subscription):
            ids = [each.id]
        elif isinstance(each, Endpoint | EventFilter):
            ids = [one.id for one in view.subscriptions_of(each.id)]
        else:
            continue
        if any(one.body == NOTIFICATION_BODY for one in view.endpoints(each.workspace)):
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
            publisher = view.client(publication.workspace, publication.client)
            # The endpoint of an Exchange client that receives has its unique id.
            for told in (None if publisher is None else publisher.unique_id, subscription.endpoint):
                if told is not None and view.endpoint(notified_at(told)) is not None:
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
            records.append(_event(event_type, registered, subscription, told_how))
    return records


def _change(old: _State | None, new: _State | None) -> str | None:
    """The type of a change; None when there is nothing to tell."""
    if old is None or new is None:
        return "Add" if old is None else "Delete"
    if old.enabled == new.enabled:
        return None
    return "Enable" if new.enabled else "Disable"


def _event(event_type: EventType, registered: Endpoint, subscription: str, change: _Change) -> Record:
    now = timestamps.now()
    told = registered.client or ""
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
        publisher="",  # nothing is derived from it: the event has a new id
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
