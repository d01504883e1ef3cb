"""Redriving and discarding dead letters: each is settled once, whoever asks, and however often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.projections import current_version
from backbone.kafka.records import headers_of
from backbone.kafka.tail import TopicTail
from backbone.runs.letters import read_letter
from backbone.runs.records import mark_record
from schemas.model import topics
from schemas.model.delivery import event_headers
from schemas.model.errors import CorruptRecord
from schemas.model.run import LetterFilter, LetterMark, MarkKind, RunKind
from stream_processors.runs.decisions import DISABLED, Decision, replayed, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backbone.catalog.view import CatalogView
    from backbone.endpoint_states import EndpointStateView
    from backbone.kafka.records import ConsumedRecord, Record
    from backbone.kafka.settings import KafkaSettings
    from backbone.runs.letters import Letter
    from schemas.model.run import Run

EXPIRED = "the dead letter is older than HEADRACE_DELIVERY_RETENTION"
NO_EVENT = "the dead letter has no room for the event: resend the delivery instead"
ORDERED = "the delivery is one of an ordered subscription, which has one try"
POISON = "the dead letter is no delivery: it can only be discarded"

_DECODER = msgspec.json.Decoder(LetterMark)

Place = tuple[int, int]
"""Partition and offset of a dead letter."""


class Letters:
    """Which dead letters are settled: a view of ``dead-letter-marks``, read from its beginning once it is needed.

    A mark is written after its letter, so it is kept for as long; letters past the retention are not looked up.

    Args:
        settings: how to reach Kafka.
        on_stall: see ``BatchConsumer``; for counting.
    """

    def __init__(self, settings: KafkaSettings, on_stall: Callable[[], None] | None = None) -> None:
        self.retention = settings.delivery_retention
        self._settled: set[Place] = set()
        self._tail = TopicTail(
            settings, [topics.DEAD_LETTER_MARKS], self.apply, name="dead-letter-marks", on_stall=on_stall
        )
        self._started = False

    def catch_up(self) -> None:
        """Know of every letter that was settled before this call, also behind open transactions. Blocks.

        Raises:
            Unavailable: Kafka does not answer, or a transaction stays open.
        """
        if not self._started:
            self._tail.start()
            self._started = True
        self._tail.catch_up(written=True)

    def stop(self) -> None:
        """Stop reading."""
        self._tail.stop()

    def is_settled(self, place: Place) -> bool:
        """Whether it was redriven or discarded."""
        return place in self._settled

    def settle(self, places: set[Place]) -> None:
        """Take note of letters that a transaction of this process has settled."""
        self._settled |= places

    def apply(self, message: ConsumedRecord) -> None:
        """Take in one mark.

        Raises:
            CorruptRecord: it is none.
        """
        try:
            mark = _DECODER.decode(message.value() or b"")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptRecord(f"no mark of a dead letter: {error}") from error
        self._settled.add((mark.partition, mark.offset))


class LetterRule:
    """The dead letters that a filter names and that nobody has settled.

    Args:
        run: a REDRIVE or DISCARD.
        view: the catalog, caught up.
        letters: caught up since this process has the run's lock.
        states: which endpoints connectors have disabled, caught up.
    """

    def __init__(self, run: Run, view: CatalogView, letters: Letters, states: EndpointStateView) -> None:
        self._run = run
        self._filter = run.letters or LetterFilter()
        self._view = view
        self._letters = letters
        self._states = states
        self._taken: set[Place] = set()

    def decide(self, message: ConsumedRecord, now: int) -> Decision | None:
        """See ``Rule``."""
        letter = read_letter(message)
        place = (message.partition(), message.offset())
        if not letter.fits(self._filter, self._run.workspace) or place in self._taken:
            return None
        if self._letters.is_settled(place):
            return None
        if now - letter.set_aside_at > self._letters.retention * 1_000_000:
            return Decision(skipped=EXPIRED)
        if self._run.kind is RunKind.DISCARD:
            self._taken.add(place)
            return Decision(mark=self._mark(place, MarkKind.DISCARDED, now))
        decision = self._redriven(message, letter, place, now)
        if decision.mark is not None:
            self._taken.add(place)
        return decision

    def committed(self, messages: Iterable[ConsumedRecord]) -> None:
        """See ``Rule``. A delivery that Kafka did not take has no mark either, so its letter stays open."""
        written = {(each.partition(), each.offset()) for each in messages}
        self._letters.settle(self._taken & written)
        self._taken = set()

    def _redriven(self, message: ConsumedRecord, letter: Letter, place: Place, now: int) -> Decision:
        then = letter.delivery
        if then is None:
            return Decision(skipped=POISON)
        if letter.is_ordered:
            return Decision(skipped=ORDERED)
        endpoint = self._view.endpoint(then.endpoint)
        trouble = why_not(endpoint)
        if trouble is not None or endpoint is None:
            return Decision(skipped=trouble)
        if self._states.disabled_reason(endpoint) is not None:
            # The connector would cancel it, and the letter would be settled.
            return Decision(skipped=DISABLED)
        if message.value() is None:
            return Decision(skipped=NO_EVENT)
        projection = current_version(self._view, endpoint, then.source.topic)
        delivery = msgspec.structs.replace(
            then, run=self._run.id, attempts=0, routed_at=now, due=None, returned=False, projection=projection
        )
        own = event_headers([(name, value or b"") for name, value in headers_of(message)])
        return replayed(message.value(), own, delivery, self._mark(place, MarkKind.REDRIVEN, now))

    def _mark(self, place: Place, kind: MarkKind, now: int) -> Record:
        mark = LetterMark(
            partition=place[0], offset=place[1], kind=kind, run=self._run.id, by=self._run.requested_by, at=now
        )
        return mark_record(mark)
