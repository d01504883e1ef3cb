"""Finds the endpoints that get an event, with an index over the catalog's live subscriptions.

The cost of a record does not grow with the subscriptions that do not match. Candidates are found by topic, then by one
equality term of their filter (the most selective one); only the whole conditions of candidates are evaluated. A record
is decoded at most once, and not at all if the candidates need only its headers. Of typed data, only the attributes in
the topic's conditions are read.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from schemas.filters.conditions import Condition, compile_filter
from schemas.model.endpoint import Endpoint, EventFilter
from schemas.model.errors import InvalidFilter
from schemas.model.operational_event import is_operational
from stream_processors.routing.evaluation import EXCEEDED, Evaluation, share_of
from stream_processors.routing.operational import readable_by_owner
from stream_processors.routing.record_view import RecordView
from stream_processors.routing.routes import LiveSubscription, WorkspaceRoutes
from stream_processors.routing.socket_presence import OpenSocket
from stream_processors.routing.term_index import TermIndex

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping, Sequence

    from backbone.catalog.view import CatalogView
    from schemas.filters.conditions import EqualityTerm
    from schemas.model.endpoint import BodyFormat
    from stream_processors.routing.record_view import Decoding, RawRecord
    from stream_processors.routing.routes import Live

    Compiled = dict[str, tuple[EventFilter, Condition | None]]
    Steps = Generator[Sequence["Match"] | None]

log = logging.getLogger(__name__)

_MOST_KEYS = 256
"""Most keys of one term in an index."""

_MOST_COMPILED = 1_000
"""Compiled conditions that are kept, including unused ones."""

_LARGE, _MANY = 65_536, 500
"""Bytes of a value, and subscriptions of a topic, past which it may take more than a few milliseconds to match."""

_AT_ONCE = 50
"""Conditions that a small event is compared with in one step."""


class Match(NamedTuple):
    """One endpoint that gets the event, and the sorted ids of its subscriptions that matched.

    An ordered subscription (a contract) is a separate match. So is a subscription whose condition exceeded its budget:
    ``failure`` gives the reason, and the delivery becomes a dead letter. ``projection`` is the version of the
    endpoint's projection that makes the body.
    """

    endpoint: Endpoint
    subscriptions: tuple[str, ...]
    order: int | None = None
    failure: str | None = None
    projection: int | None = None


class MatchIndex:
    """An immutable snapshot of the live subscriptions; usable from any thread.

    Args:
        view: the catalog.
        previous: an index of an earlier version of the same catalog; its unchanged parts are used again.
        skew: milliseconds by which the brokers' clocks may differ; subscriptions start that much earlier.
        sockets: for each endpoint id, the time (milliseconds) since which it has open sockets, and the sockets. While
            they are open, endpoints of the ``unfiltered`` formats without a subscription get all events of their
            workspace.
        unfiltered: body formats.

    Attributes:
        topics: those with at least one live subscription. A wildcard stands for the workspace's present event types.
        workspaces: names of the workspaces with live subscriptions.
        has_unlinked: whether some endpoints get all events while they have open sockets.
    """

    def __init__(
        self,
        view: CatalogView,
        previous: MatchIndex | None = None,
        *,
        skew: int = 0,
        sockets: Mapping[str, tuple[int, OpenSocket]] = MappingProxyType({}),
        unfiltered: Collection[BodyFormat] = frozenset(),
    ) -> None:
        self._view = view
        self._routes: dict[str, WorkspaceRoutes] = {}
        self._live: Live = {}
        self.workspaces: set[str] = set()
        known = {} if previous is None else previous._routes  # noqa: SLF001  # of its own class
        for workspace, version in view.routing_versions().items():
            routes = known.get(workspace)
            if routes is None or routes.version != version:
                routes = WorkspaceRoutes(view, workspace, version, routes, skew=skew, unfiltered=unfiltered)
            self._routes[workspace] = routes
            live = routes.with_sockets(sockets)
            if live:
                self._live.update(live)
                self.workspaces.add(workspace)
        self.topics = frozenset(self._live)
        self.has_unlinked = any(routes.unlinked for routes in self._routes.values())
        self._matchers: dict[str, TopicMatcher] = {}
        self._outdated: dict[str, TopicMatcher] = {}
        self._compiled: Compiled = {}
        if previous is not None:
            self._take_over(previous)

    @functools.cached_property
    def since(self) -> dict[str, int]:
        """Topic to the earliest append time (milliseconds since the epoch) that any subscription matches from."""
        return {topic: min(entry.since for entry in live) for topic, live in self._live.items()}

    def _take_over(self, previous: MatchIndex) -> None:
        """Use the valid parts of an earlier index."""
        # Copied first: another thread may be matching, and adds to it.
        outdated, matchers = list(previous._outdated.items()), list(previous._matchers.items())
        self._matchers = {name: found for name, found in matchers if found.live == self._live.get(name)}
        # Parts of an outdated matcher are still valid; of two, the later one is kept.
        self._outdated = {
            name: found for name, found in [*outdated, *matchers] if name in self._live and name not in self._matchers
        }
        self._compiled = previous._compiled
        if len(self._compiled) > _MOST_COMPILED and len(self._compiled) > 2 * sum(map(len, self._routes.values())):
            filters = {each for routes in self._routes.values() for each in routes.filters}
            self._compiled = {name: found for name, found in list(self._compiled.items()) if name in filters}

    def match(self, message: RawRecord, decoding: Decoding) -> Sequence[Match]:
        """The endpoints that get this record's event; none for a tombstone.

        Raises:
            CorruptRecord: the event cannot be decoded.
        """
        topic = message.topic() or ""
        matcher = self._matchers.get(topic) or self._new_matcher(topic)
        value = message.value()
        matches = () if value is None or matcher is None else matcher.match(message, value, decoding)
        return self._readable(topic, message, matches)

    def _readable(self, topic: str, message: RawRecord, matches: Sequence[Match]) -> Sequence[Match]:
        """The matches that get the event: of operational ones those whose owner may read it."""
        return readable_by_owner(self._view, matches, message) if matches and is_operational(topic) else matches

    def _new_matcher(self, topic: str) -> TopicMatcher | None:
        """That of a topic, at its first event; None where nobody subscribes."""
        live = self._live.get(topic)
        if live is None:
            return None
        matcher = self._matchers[topic] = TopicMatcher(live, self._compiled, self._outdated.pop(topic, None))
        return matcher

    def takes_long(self, message: RawRecord) -> bool:
        """Whether ``steps`` should be taken in the place of ``match``, where others wait."""
        live = self._live.get(message.topic() or "")
        return live is not None and (len(live) > _MANY or len(message.value() or b"") > _LARGE)

    def steps(self, message: RawRecord, decoding: Decoding) -> Steps:
        """``match`` in steps of some milliseconds: after each None, and what it returns at last.

        Raises:
            CorruptRecord: from ``decoding``.
        """
        topic = message.topic() or ""
        value = message.value()
        matcher = self._matchers.get(topic)
        if matcher is None:
            for entry in self._live.get(topic, ()):
                with contextlib.suppress(InvalidFilter):  # the matcher warns of it
                    _compile(entry.event_filter, self._compiled)
                yield None
            matcher = self._new_matcher(topic)
            yield None
        if matcher is None or value is None:
            yield ()
        else:
            for step in matcher.steps(message, value, decoding):
                yield None if step is None else self._readable(topic, message, step)


class _Candidate(msgspec.Struct, frozen=True, gc=False):
    """A subscription with its compiled filter; a condition of None matches everything.

    ``owner`` is the client that owns the filter.
    """

    subscription: str
    owner: str
    endpoint: Endpoint
    since: int
    condition: Condition | None
    order: int | None
    socket: OpenSocket | None

    def counts(self, appended_at: int) -> bool:
        """Whether the subscription covers records of this append time (milliseconds)."""
        return appended_at >= self.since and (self.socket is None or self.socket.covers(appended_at))


class TopicMatcher:
    """The subscriptions of one topic."""

    def __init__(self, live: list[LiveSubscription], compiled: Compiled, previous: TopicMatcher | None = None) -> None:
        self.live = live
        self._made: dict[str, tuple[LiveSubscription, _Candidate, Sequence[EqualityTerm]]] = {}
        before = {} if previous is None else previous._made  # noqa: SLF001  # of the same class
        indexed: list[tuple[_Candidate, Sequence[EqualityTerm]]] = []
        self._always: list[_Candidate] = []
        for entry in sorted(live, key=lambda entry: entry.subscription.id):
            subscription = entry.subscription
            made = before.get(subscription.id)
            if made is None or made[0] is not entry:
                try:
                    condition = _compile(entry.event_filter, compiled)
                except InvalidFilter as error:
                    # The API refuses such a filter; one that was imported in another way must not stop the others.
                    place = {"event_filter": entry.event_filter.id, "error": str(error)}
                    log.warning("event filter ignored", extra=place)
                    continue
                candidate = _Candidate(
                    subscription.id,
                    entry.event_filter.client or "",
                    entry.endpoint,
                    entry.since,
                    condition,
                    subscription.order,
                    entry.socket,
                )
                made = entry, candidate, () if condition is None else _index_terms(condition)
            self._made[subscription.id] = made
            _, candidate, terms = made
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
        """The matches of every record appended at ``_fixed_since`` or later, if no subscription has a condition."""
        self._fixed_since = max((candidate.since for candidate in self._always), default=0)

    def match(self, message: RawRecord, value: bytes, decoding: Decoding) -> Sequence[Match]:
        """The endpoints that get this record's event."""
        appended_at = message.timestamp()[1]
        if self._fixed is not None and appended_at >= self._fixed_since:
            return self._fixed
        event = RecordView(message, value, decoding, self._attributes)
        comparison = _Comparison(Evaluation(event, self._share), appended_at)
        if self._always:
            comparison.add(self._always)
        if self._index is not None:
            comparison.add(self._index.find(event))
        return comparison.matches()

    def steps(self, message: RawRecord, value: bytes, decoding: Decoding) -> Steps:
        """``match`` in steps; see ``MatchIndex.steps``."""
        appended_at = message.timestamp()[1]
        if self._fixed is not None and appended_at >= self._fixed_since:
            yield self._fixed
            return
        event = RecordView(message, value, decoding, self._attributes)
        if self._attributes is None or self._attributes:
            event.data_value()
            yield None
        candidates = [*self._always, *(() if self._index is None else self._index.find(event))]
        comparison = _Comparison(Evaluation(event, self._share), appended_at)
        at_once = 1 if len(value) > _LARGE else _AT_ONCE
        for at in range(0, len(candidates), at_once):
            yield None
            comparison.add(candidates[at : at + at_once])
        yield None
        yield comparison.matches()


class _Comparison:
    """The candidates that one event is for, so far."""

    __slots__ = ("_appended_at", "_evaluation", "_exceeded", "_matched")

    def __init__(self, evaluation: Evaluation, appended_at: int) -> None:
        self._evaluation = evaluation
        self._appended_at = appended_at
        self._matched: list[_Candidate] = []
        self._exceeded: list[_Candidate] = []

    def add(self, candidates: Iterable[_Candidate]) -> None:
        """Compare the event with the conditions of further ones."""
        for candidate in candidates:
            condition = candidate.condition
            if candidate.counts(self._appended_at):
                if condition is None or (fits := self._evaluation.fits(condition, candidate.owner)):
                    self._matched.append(candidate)
                elif fits is None:
                    self._exceeded.append(candidate)

    def matches(self) -> Sequence[Match]:
        """The endpoints that get the event."""
        return _with_failures(self._matched, self._exceeded) if self._exceeded else _merge(self._matched)


def _index_terms(condition: Condition) -> list[EqualityTerm]:
    """The terms that the index may use; terms with very many keys would make it large and slow."""
    return [term for term in condition.equality_terms() if len(term.keys) <= _MOST_KEYS]


def _with_failures(matched: Sequence[_Candidate], exceeded: Sequence[_Candidate]) -> Sequence[Match]:
    """The matches, and a failure for each endpoint that gets the event by no other subscription."""
    matches = _merge(matched)
    reached = {match.endpoint.id for match in matches if match.order is None}
    failures = [each._replace(failure=EXCEEDED) for each in _merge(exceeded)]
    return [*matches, *(each for each in failures if each.order is not None or each.endpoint.id not in reached)]


def _attributes_of(candidates: Sequence[_Candidate]) -> frozenset[str] | None:
    """The attributes of the data that conditions read; None if one reads other parts of the value."""
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
    """One match for each endpoint, even if several of its unordered subscriptions matched."""
    if not candidates:
        return ()
    if len(candidates) == 1:
        return (Match(candidates[0].endpoint, (candidates[0].subscription,), candidates[0].order),)
    merged: dict[tuple[str, str | None], tuple[_Candidate, list[str]]] = {}
    for candidate in candidates:
        alone = None if candidate.order is None else candidate.subscription
        merged.setdefault((candidate.endpoint.id, alone), (candidate, []))[1].append(candidate.subscription)
    return [Match(first.endpoint, tuple(sorted(found)), first.order) for first, found in merged.values()]
