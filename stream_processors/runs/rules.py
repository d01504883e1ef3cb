"""What each kind of run makes of the records that it looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.projections import current_version
from backbone.kafka.records import headers_of
from schemas.model.delivery import Delivery, SourceOffset, event_headers
from schemas.model.errors import CorruptRecord
from schemas.model.ids import LIVE, delivery_id
from schemas.model.run import LETTER_KINDS, Matched, Run, RunKind
from stream_processors.routing.deliveries import event_id
from stream_processors.routing.endpoint_matching import EndpointMatching
from stream_processors.runs.decisions import DISABLED, NO_ENDPOINT, UNREADABLE, Decision, replayed, why_not
from stream_processors.runs.letters import LetterRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.catalog.view import CatalogView
    from backbone.endpoint_states import EndpointStateView
    from backbone.kafka.records import ConsumedRecord
    from schemas.model.endpoint import Endpoint
    from stream_processors.routing.record_view import Decoding
    from stream_processors.runs.decisions import Rule
    from stream_processors.runs.letters import Letters


def rule_for(
    run: Run,
    view: CatalogView,
    decoding: Decoding,
    letters: Letters,
    states: EndpointStateView,
    *,
    skew: int = 0,
) -> Rule | str:
    """The rule of a run by the catalog as it is now, or why the run cannot go on.

    Args:
        run: what was asked for.
        view: the catalog, caught up.
        decoding: reads events.
        letters: what became of dead letters.
        states: which endpoints connectors have disabled; caught up for runs over dead letters.
        skew: of the router, see ``MatchIndex``.
    """
    if run.kind in LETTER_KINDS:
        return LetterRule(run, view, letters, states)
    endpoint = view.endpoint(run.endpoint or "")
    trouble = why_not(endpoint)
    if trouble is None and endpoint is not None and (found := states.disabled_reason(endpoint)) is not None:
        # The connector would cancel whatever the run still wrote.
        trouble = f"{DISABLED}: {found}"
    if trouble is not None or endpoint is None:
        return trouble or NO_ENDPOINT
    if run.kind is RunKind.RESEND:
        return _Resend(run, endpoint, view, decoding)
    if run.kind is RunKind.BACKFILL:
        return _LeftOut(run, endpoint, view, decoding, skew)
    if run.matched is Matched.THEN:
        return _RoutedThen(run, endpoint, view)
    return _MatchedNow(run, endpoint, view, decoding)


class _OfEndpoint:
    """A rule over event records for one endpoint, which need remember nothing.

    Args:
        run: what was asked for.
        endpoint: takes deliveries.
        view: the catalog, caught up.
        decoding: reads events.
    """

    def __init__(self, run: Run, endpoint: Endpoint, view: CatalogView, decoding: Decoding) -> None:
        self._run = run
        self._view = view
        self._endpoint = endpoint
        self._decoding = decoding

    def committed(self, messages: Iterable[ConsumedRecord]) -> None:
        """Nothing is remembered."""

    def _sent(self, message: ConsumedRecord, subscriptions: tuple[str, ...], now: int) -> Decision:
        """The event as a delivery of the run."""
        try:
            event = event_id(message, self._decoding)
        except CorruptRecord:
            return Decision(skipped=UNREADABLE)
        delivery = Delivery(
            id=delivery_id(event, self._endpoint.id),
            event=event,
            endpoint=self._endpoint.id,
            workspace=self._endpoint.workspace,
            source=SourceOffset(message.topic(), message.partition(), message.offset()),
            subscriptions=tuple(subscriptions),
            run=self._run.id,
            routed_at=now,
            projection=current_version(self._view, self._endpoint, message.topic()),
        )
        return replayed(message.value(), event_headers(headers_of(message)), delivery)


class _Resend(_OfEndpoint):
    """The event of one delivery, whatever the endpoint's subscriptions match now."""

    def decide(self, message: ConsumedRecord, now: int) -> Decision | None:
        """See ``Rule``."""
        if message.value() is None:
            return Decision(skipped=UNREADABLE)
        return self._sent(message, self._run.subscriptions, now)


class _MatchedNow(_OfEndpoint):
    """The events that the endpoint's subscriptions match now."""

    def __init__(self, run: Run, endpoint: Endpoint, view: CatalogView, decoding: Decoding) -> None:
        super().__init__(run, endpoint, view, decoding)
        self._matching = EndpointMatching(view, endpoint)

    def decide(self, message: ConsumedRecord, now: int) -> Decision | None:
        """See ``Rule``."""
        try:
            match = self._matching.match(message, self._decoding)
        except CorruptRecord:
            return Decision(skipped=UNREADABLE)
        if match is None:
            return None
        if match.failure is not None:
            return Decision(skipped=match.failure)
        return self._sent(message, match.subscriptions, now)


class _LeftOut(_MatchedNow):
    """The events that live routing has left out: of a pause, or of before a subscription."""

    def __init__(self, run: Run, endpoint: Endpoint, view: CatalogView, decoding: Decoding, skew: int) -> None:
        super().__init__(run, endpoint, view, decoding)
        only = next(iter(run.subscriptions), None)
        self._ends_with_live = only is not None
        self._matching = EndpointMatching(view, endpoint, only=only, skew=None if only else skew)
        self._live_since = EndpointMatching(view, endpoint, only=only, skew=skew).since

    def decide(self, message: ConsumedRecord, now: int) -> Decision | None:
        """See ``Rule``."""
        if self._ends_with_live and message.timestamp()[1] >= self._live_since.get(message.topic(), 0):
            return None  # it is matched live
        return super().decide(message, now)


class _RoutedThen:
    """The endpoint's own deliveries on ``deliveries.webhook``, as the router wrote them."""

    def __init__(self, run: Run, endpoint: Endpoint, view: CatalogView) -> None:
        self._run = run
        self._endpoint = endpoint
        self._view = view

    def committed(self, messages: Iterable[ConsumedRecord]) -> None:
        """Nothing is remembered."""

    def decide(self, message: ConsumedRecord, now: int) -> Decision | None:
        """See ``Rule``."""
        if message.key() != self._endpoint.id.encode():
            return None
        headers = headers_of(message)
        try:
            then = Delivery.from_headers(headers)
        except CorruptRecord:
            return None
        if then.endpoint != self._endpoint.id or then.run != LIVE or then.attempts or then.returned:
            return None
        projection = current_version(self._view, self._endpoint, then.source.topic)
        delivery = msgspec.structs.replace(then, run=self._run.id, routed_at=now, projection=projection)
        return replayed(message.value(), event_headers(headers), delivery)
