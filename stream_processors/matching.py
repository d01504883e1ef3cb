"""Which endpoints get an event: an index over the catalog's live subscriptions.

The cost of a record does not grow with the subscriptions that do not match it. They are found by topic, then by one
equality term of their filter (the most selective it has); only what is left evaluates its whole condition. A record is
decoded at most once, and not at all when no candidate looks beyond its headers; of typed data only the attributes
are read that the topic's conditions look at.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backbone.catalog.consumption import selected_topics
from schemas.errors import InvalidFilter
from schemas.event_service import is_socket, unlinked_at
from schemas.filters import Condition, compile_filter
from schemas.subscription import Endpoint, EventFilter, Subscription
from stream_processors.evaluation import EXCEEDED, Evaluation, share_of
from stream_processors.open_sockets import OpenSocket
from stream_processors.record_view import RecordView
from stream_processors.term_index import TermIndex

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backbone.catalog.view import CatalogView
    from schemas.filters import EqualityTerm
    from stream_processors.record_view import Decoding, RawRecord

    Compiled = dict[str, tuple[EventFilter, Condition | None]]

log = logging.getLogger(__name__)

_MOST_KEYS = 256
"""Of one term in an index."""


class Match(NamedTuple):
    """One endpoint that gets the event, and the ids of its subscriptions that matched, sorted.

    An ordered subscription (an eventhos contract) is a match of its own. So is one whose condition could not be
    evaluated within its budget: ``failure`` says so, and the delivery is to be set aside.
    """

    endpoint: Endpoint
    subscriptions: tuple[str, ...]
    order: int | None = None
    failure: str | None = None


ALL_EVENTS = "all-events"
"""In place of a subscription's id, where an endpoint without any gets all events."""


class LiveSubscription(msgspec.Struct, frozen=True, gc=False):
    """A subscription as it concerns one topic; it matches records appended at ``since`` (milliseconds) or later.

    With a ``socket`` it matches only while that is open.

    Tens of thousands are built at once: kept from the garbage collector, whose passes would take longer than the rest.
    """

    subscription: Subscription
    event_filter: EventFilter
    endpoint: Endpoint
    since: int
    socket: OpenSocket | None = None


class MatchIndex:
    """An immutable snapshot of the live subscriptions; usable from any thread.

    Args:
        view: the catalog.
        previous: an index of an earlier version of the same catalog, whose unchanged parts are taken over.
        skew: milliseconds by which the clocks of the brokers may differ; subscriptions match that much earlier.
        sockets: endpoint id to since when (milliseconds) and how long it has sockets open; those of the event service
            that have no subscription get all events of their workspace.

    Attributes:
        topics: with at least one live subscription. Wildcards stand for the workspace's event types of the moment.
        workspaces: names of those that have live subscriptions.
        since: topic to the earliest append time (milliseconds since the epoch) that any subscription matches from.
    """

    def __init__(
        self,
        view: CatalogView,
        previous: MatchIndex | None = None,
        *,
        skew: int = 0,
        sockets: Mapping[str, tuple[int, OpenSocket]] = MappingProxyType({}),
    ) -> None:
        self._live = _by_topic(view, skew, sockets)
        self._matchers: dict[str, _TopicMatcher] = {}
        self._compiled: Compiled = {}
        if previous is not None:
            self._matchers, self._compiled = previous.still_valid(self._live)
        self.topics = frozenset(self._live)
        self.workspaces = frozenset(live[0].endpoint.workspace for live in self._live.values())
        self.since = {topic: min(entry.since for entry in live) for topic, live in self._live.items()}

    def match(self, message: RawRecord, decoding: Decoding) -> Sequence[Match]:
        """The endpoints that get this record's event; none for a tombstone.

        Raises:
            CorruptRecord: from ``decoding``.
        """
        topic = message.topic() or ""
        matcher = self._matchers.get(topic)
        if matcher is None:
            live = self._live.get(topic)
            if live is None:
                return ()
            matcher = self._matchers[topic] = _TopicMatcher(live, self._compiled)
        value = message.value()
        return () if value is None else matcher.match(message, value, decoding)

    def still_valid(self, live: dict[str, list[LiveSubscription]]) -> tuple[dict[str, _TopicMatcher], Compiled]:
        """What of this index can be taken over by one of the subscriptions in ``live``."""
        # Copied first: another thread may be matching, which adds to it.
        matchers = {name: found for name, found in list(self._matchers.items()) if found.live == live.get(name)}
        filters = {entry.event_filter.id for entries in live.values() for entry in entries}
        compiled = {name: found for name, found in list(self._compiled.items()) if name in filters}
        return matchers, compiled


class _Candidate(msgspec.Struct, frozen=True, gc=False):
    """A subscription with its filter compiled; a condition of None restricts nothing.

    ``owner`` is the client whose filter it is.
    """

    subscription: str
    owner: str
    endpoint: Endpoint
    since: int
    condition: Condition | None
    order: int | None
    socket: OpenSocket | None

    def counts(self, appended_at: int) -> bool:
        """Whether records of that append time (milliseconds) are for it, if they fulfil its condition."""
        return appended_at >= self.since and (self.socket is None or self.socket.covers(appended_at))


class _TopicMatcher:
    """The subscriptions of one topic."""

    def __init__(self, live: list[LiveSubscription], compiled: Compiled) -> None:
        self.live = live
        indexed: list[tuple[_Candidate, Sequence[EqualityTerm]]] = []
        self._always: list[_Candidate] = []
        for entry in sorted(live, key=lambda entry: entry.subscription.id):
            try:
                condition = _compile(entry.event_filter, compiled)
            except InvalidFilter as error:
                # Refused when it was created; a record imported from elsewhere must not stop the others.
                log.warning("event filter ignored", extra={"event_filter": entry.event_filter.id, "error": str(error)})
                continue
            subscription = entry.subscription
            candidate = _Candidate(
                subscription.id,
                entry.event_filter.client or "",
                entry.endpoint,
                entry.since,
                condition,
                subscription.order,
                entry.socket,
            )
            terms = () if condition is None else _index_terms(condition)
            if terms:
                indexed.append((candidate, terms))
            else:
                self._always.append(candidate)
        self._index = TermIndex(indexed) if indexed else None
        candidates = [*self._always, *(candidate for candidate, _ in indexed)]
        self._attributes = _attributes_of(candidates)
        self._share = share_of({candidate.owner for candidate in candidates})
        unconditional = not indexed and all(c.condition is None and c.socket is None for c in self._always)
        self._fixed = _merge(self._always) if unconditional else None
        """What every record appended at ``_fixed_since`` or later gets, when no condition has a say."""
        self._fixed_since = max((candidate.since for candidate in self._always), default=0)

    def match(self, message: RawRecord, value: bytes, decoding: Decoding) -> Sequence[Match]:
        """The endpoints that get this record's event."""
        appended_at = message.timestamp()[1]
        if self._fixed is not None and appended_at >= self._fixed_since:
            return self._fixed
        event = RecordView(message, value, decoding, self._attributes)
        evaluation = Evaluation(event, self._share)
        matched, exceeded = [], []
        for found in (self._always, () if self._index is None else self._index.find(event)):
            for candidate in found:
                condition = candidate.condition
                if candidate.counts(appended_at):
                    if condition is None or (fits := evaluation.fits(condition, candidate.owner)):
                        matched.append(candidate)
                    elif fits is None:
                        exceeded.append(candidate)
        return _with_failures(matched, exceeded) if exceeded else _merge(matched)


def _index_terms(condition: Condition) -> list[EqualityTerm]:
    """The terms that the index may go by; those of very many keys would make it large and slow."""
    return [term for term in condition.equality_terms() if len(term.keys) <= _MOST_KEYS]


def _with_failures(matched: Sequence[_Candidate], exceeded: Sequence[_Candidate]) -> Sequence[Match]:
    """The matches, and a failure for each endpoint that nothing else brings the event to."""
    matches = _merge(matched)
    reached = {match.endpoint.id for match in matches if match.order is None}
    failures = [each._replace(failure=EXCEEDED) for each in _merge(exceeded)]
    return [*matches, *(each for each in failures if each.order is not None or each.endpoint.id not in reached)]


def _attributes_of(candidates: Sequence[_Candidate]) -> frozenset[str] | None:
    """What their conditions look at in the data; None when one looks at something else that only the value holds."""
    found: set[str] = set()
    for candidate in candidates:
        if candidate.condition is not None:
            if candidate.condition.attributes is None:
                return None
            found |= candidate.condition.attributes
    return frozenset(found)


def _compile(event_filter: EventFilter, compiled: Compiled) -> Condition | None:
    known = compiled.get(event_filter.id)
    if known is not None and known[0] == event_filter:
        return known[1]
    condition = compile_filter(event_filter)
    compiled[event_filter.id] = (event_filter, condition)
    return condition


def _merge(candidates: Sequence[_Candidate]) -> Sequence[Match]:
    """One match for each endpoint, however many of its unordered subscriptions it was."""
    if not candidates:
        return ()
    if len(candidates) == 1:
        return (Match(candidates[0].endpoint, (candidates[0].subscription,), candidates[0].order),)
    merged: dict[tuple[str, str | None], tuple[_Candidate, list[str]]] = {}
    for candidate in candidates:
        alone = None if candidate.order is None else candidate.subscription
        merged.setdefault((candidate.endpoint.id, alone), (candidate, []))[1].append(candidate.subscription)
    return [Match(first.endpoint, tuple(sorted(found)), first.order) for first, found in merged.values()]


def unlinked_sockets(view: CatalogView) -> list[Endpoint]:
    """The event service's websocket endpoints that no event filter restricts."""
    return [
        endpoint
        for workspace in view.workspaces()
        for endpoint in view.endpoints(workspace.name)
        if is_socket(endpoint) and endpoint.enabled and not view.subscriptions_of(endpoint.id)
    ]


def _by_topic(
    view: CatalogView, skew: int, sockets: Mapping[str, tuple[int, OpenSocket]]
) -> dict[str, list[LiveSubscription]]:
    live: defaultdict[str, list[LiveSubscription]] = defaultdict(list)
    for subscription, event_filter, endpoint in view.live_subscriptions():
        for topic, added_at in _selected(event_filter, view).items():
            since = max(subscription.linked_at or 0, added_at) // 1_000 - skew
            live[topic].append(LiveSubscription(subscription, event_filter, endpoint, since))
    for endpoint in unlinked_sockets(view) if sockets else ():
        if endpoint.id in sockets:
            opened_at, socket = sockets[endpoint.id]
            subscription, event_filter = _all_events(endpoint)
            since = max(opened_at, unlinked_at(endpoint) // 1_000) - skew
            for kind in view.event_types(endpoint.workspace):
                live[kind.topic].append(LiveSubscription(subscription, event_filter, endpoint, since, socket))
    return dict(live)


def _all_events(endpoint: Endpoint) -> tuple[Subscription, EventFilter]:
    """What stands for the filter and the link that an endpoint without any does not have."""
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


def _selected(event_filter: EventFilter, view: CatalogView) -> dict[str, int]:
    """Topic to the time (microseconds) since when the filter selects it, for the event types that there are."""
    selected: dict[str, int] = {}
    for selection in event_filter.types:
        added_at = selection.added_at or 0
        for topic in selected_topics(view, event_filter.workspace, selection):
            selected[topic] = min(added_at, selected.get(topic, added_at))
    return selected
