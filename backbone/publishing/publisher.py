"""The publish path of all families: validates, encodes and writes events, and returns where each event is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from backbone.kafka.records import ANY_PARTITION, Record, partition_for
from backbone.keyed_answers import answer_of, first_of_each, known_by_name, places_of, repeated
from backbone.publishing.event_keys import distinct_keys, draft_id, event_key, named_mismatch, older_event_id
from backbone.publishing.event_writes import EventWrites
from backbone.publishing.hot_keys import HotKeys
from backbone.publishing.idempotency import IdempotencyKey
from backbone.publishing.prepared_event import PreparedEvent
from backbone.publishing.publish_routes import PublishRoutes
from backbone.publishing.record_sizes import SMALL, check_size
from backbone.publishing.type_lease import TypeLease
from backbone.slices import Slices
from schemas.model import timestamps
from schemas.model.errors import (
    MOST_PROBLEMS,
    IdempotencyMismatch,
    InvalidEvent,
    InvalidRequest,
    Moved,
    PermissionDenied,
    Problem,
)
from schemas.model.ids import keyed_event_id, new_ids

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from backbone.catalog.reader import Catalog
    from backbone.kafka.producer import Producer
    from backbone.kafka.records import Ack
    from backbone.publishing.event_keys import Place
    from backbone.publishing.idempotency import IdempotencyLog
    from backbone.publishing.known_answers import Answer
    from backbone.publishing.publish_routes import PublishRoute, Renew
    from backbone.publishing.type_lease import Permit
    from backbone.tracing.spans import Tracing
    from schemas.model.delivery import Headers
    from schemas.model.event import EventDraft, Receipt

__all__ = ["IdempotencyKey", "Publisher"]

T = TypeVar("T")
R = TypeVar("R")

_LONGEST_TRACEPARENT = 256
"""Most characters of a ``traceparent`` (today's have 55). Longer ones are invalid, and ignored then (W3C)."""


class Publisher:
    """Publishes for every family and client of a process.

    Args:
        catalog: event types, clients and their registrations.
        producer: started and stopped by the caller.
        idempotency: likewise.
        renew: updates the schema of a type that an earlier release made. Without it, events of such a type are
            written as that release wrote them.
        slices: of the event loop, for large batches.
        operational: it publishes operational events and no others; they need no registration.
        tracing: makes the spans of what is written; None makes none.

    Attributes:
        hot_keys: the most frequent keys of what is published.
    """

    def __init__(
        self,
        catalog: Catalog,
        producer: Producer,
        idempotency: IdempotencyLog,
        *,
        renew: Renew | None = None,
        slices: Slices | None = None,
        operational: bool = False,
        tracing: Tracing | None = None,
    ) -> None:
        self.hot_keys = HotKeys()
        self._routes = PublishRoutes(catalog, renew=renew, operational=operational)
        self._slices = slices or Slices()
        self._idempotency = idempotency
        self._writes = EventWrites(producer, idempotency.settings, self._slices, tracing)
        self._lease = TypeLease(catalog, idempotency.settings)

    async def publish(
        self, drafts: Sequence[EventDraft], *, key: IdempotencyKey | None = None, final: bool = False
    ) -> list[Receipt]:
        """Write all events or none; return when every in-sync replica has them.

        With a key, or for drafts with a ``producer_id``, a repeat within the window gets the first answer and writes
        nothing. All drafts of one call belong to one client. With ``final`` it waits for the outcome without a limit.

        Raises:
            InvalidEvent: events do not fit their types or have none; each problem names its JSON path (``$.data…`` of
                a single event, ``$[i].data…`` in a batch).
            PayloadTooLarge: an event is larger than a record may be.
            PermissionDenied: the client has not registered a type for publishing.
            IdempotencyMismatch: a key was used with another body.
            NotAcknowledged: the outcome is unknown; a repeat with the same key has the same event ids.
            Unavailable: Kafka cannot take it now, or a type is ``Frozen``.
        """
        place = "$".format if len(drafts) == 1 else "$[{}]".format
        if key is None and all(draft.producer_id is None for draft in drafts):
            return await self._write(drafts, new_ids(len(drafts)), place, final=final)
        work = self._publish_each(drafts, place) if key is None else self._publish_once(drafts, key, place)
        # If the caller gives up, the work must still finish: a repeat must recognise the events.
        task = asyncio.ensure_future(work)
        task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    def prepare(self, draft: EventDraft) -> PreparedEvent | None:
        """Encode one event. None if only ``publish`` can: it has an id of its producer, a key, or much data.

        An event without a key has no place that a growth of its topic could change, and needs no lease.

        Raises:
            InvalidEvent: it does not fit its type.
        """
        route = self._routes.known(draft)
        if route is None or draft.producer_id is not None or draft.request is not None:
            return None
        (event_id,), received_at = new_ids(1), timestamps.now()
        value, key = route.writer.write(draft, event_id=event_id, received_at=received_at)
        if key is not None or len(value) > SMALL:
            return None
        record = Record(route.topic, value, None, _headers(route, draft, event_id, received_at))
        return PreparedEvent(event_id, record, received_at)

    def begin(self, event: PreparedEvent) -> asyncio.Future[list[Ack]]:
        """Write one event; the future has its place, or an error of ``publish``.

        Raises:
            Unavailable: Kafka cannot take it now.
        """
        return self._writes.begin(event.record)

    async def check(self, drafts: Sequence[EventDraft], place: Place) -> None:
        """Validate events without writing any; ``place`` is the JSON path of an event.

        Raises:
            InvalidEvent, PayloadTooLarge, PermissionDenied: as ``publish`` does.
        """
        await self._records(drafts, new_ids(len(drafts)), place, timestamps.now())

    async def _publish_once(self, drafts: Sequence[EventDraft], key: IdempotencyKey, place: Place) -> list[Receipt]:
        """Publish the whole request under one key."""
        ids = await self._each(range(len(drafts)), lambda index: keyed_event_id(key.client, key.key, index))
        (answer,) = self._idempotency.answered([key])
        if answer is not None:
            return repeated(answer, ids)
        permit = self._lease.permit()
        received_at = timestamps.now()
        records = await self._checked([key], self._records(drafts, ids, place, received_at, fixed=True))
        if records is None:
            return await self._publish_once(drafts, key, place)
        permit.check(records)
        async with self._idempotency.claim([key], [places_of(records)]) as claimed:
            (answer,) = claimed.answers
            if answer is not None:
                return repeated(answer, ids)
            receipts = await self._writes.write(
                list(zip(ids, records, strict=True)),
                received_at,
                permit,
                lost=dict.fromkeys(ids, claimed.taken_over.get(0)),
                seconds=claimed.seconds,
            )
            await self._idempotency.record([key], [answer_of(key, receipts)])
            return receipts

    async def _publish_each(self, drafts: Sequence[EventDraft], place: Place) -> list[Receipt]:
        """Publish each event under its producer's own id; write events without one unconditionally."""
        keys = await self._each(drafts, event_key)
        distinct = distinct_keys(keys, drafts, place)
        ids = await self._each(drafts, draft_id)
        try:
            return await self._claimed(drafts, keys, distinct, ids, place)
        except IdempotencyMismatch as error:
            raise named_mismatch(error, keys, drafts, place) from error

    async def _claimed(
        self,
        drafts: Sequence[EventDraft],
        keys: Sequence[IdempotencyKey | None],
        distinct: Mapping[str, IdempotencyKey],
        ids: list[str],
        place: Place,
    ) -> list[Receipt]:
        known = known_by_name(distinct, await self._idempotency.answered_all(list(distinct.values())))
        unknown = {name: key for name, key in distinct.items() if name not in known}
        fresh = first_of_each(keys, known)
        permit = self._lease.permit()
        received_at = timestamps.now()
        making = self._records(
            [drafts[index] for index in fresh],
            [ids[index] for index in fresh],
            lambda at: place(fresh[at]),
            received_at,
            fixed=True,
        )
        made = await self._checked(list(unknown.values()), making)
        if made is None:
            return await self._claimed(drafts, keys, distinct, ids, place)
        permit.check(made)
        written: dict[int, Receipt] = {}
        if unknown:
            events = {index: (keys[index], ids[index], record) for index, record in zip(fresh, made, strict=True)}
            written = await self._write_each(events, unknown, known, received_at, permit)
        elif fresh:
            receipts = await self._writes.send([ids[index] for index in fresh], made, received_at, permit, final=True)
            written = dict(zip(fresh, receipts, strict=True))
        for index, key in enumerate(keys):
            if key is not None and key.key in known and known[key.key].body_hash != key.body_hash:
                ids[index] = older_event_id(drafts[index])
        work = self._slices.begin()
        for index, receipt in written.items():
            await work.pause()
            if (key := keys[index]) is not None:
                known[key.key] = answer_of(key, [receipt])

        def receipt_of(index: int) -> Receipt:
            key = keys[index]
            return written[index] if key is None or index in written else repeated(known[key.key], [ids[index]])[0]

        return await self._each(range(len(keys)), receipt_of)

    async def _write_each(
        self,
        events: Mapping[int, tuple[IdempotencyKey | None, str, Record]],
        unknown: Mapping[str, IdempotencyKey],
        known: dict[str, Answer],
        received_at: int,
        permit: Permit,
    ) -> dict[int, Receipt]:
        """Write the events without an answer, by index; add answers that other requests got meanwhile to ``known``."""
        of_key = {key.key: (event_id, record) for key, event_id, record in events.values() if key is not None}
        places = [places_of([of_key[name][1]]) for name in unknown]
        async with self._idempotency.claim(list(unknown.values()), places) as claimed:
            known.update(known_by_name(unknown, claimed.answers))
            left = {
                index: (key, event_id, record)
                for index, (key, event_id, record) in events.items()
                if key is None or key.key not in known
            }
            receipts = await self._writes.write(
                [(event_id, record) for _, event_id, record in left.values()],
                received_at,
                permit,
                lost={of_key[name][0]: claimed.taken_over.get(index) for index, name in enumerate(unknown)},
                seconds=claimed.seconds,
            )
            of_keys = [
                (key, receipt) for (key, *_), receipt in zip(left.values(), receipts, strict=True) if key is not None
            ]
            if of_keys:
                answers = await self._each(of_keys, lambda each: answer_of(each[0], [each[1]]))
                await self._idempotency.record([key for key, _ in of_keys], answers)
        return dict(zip(left, receipts, strict=True))

    async def _checked(self, keys: Sequence[IdempotencyKey], making: Awaitable[list[Record]]) -> list[Record] | None:
        """The records. None if the events are invalid now but were answered before: then this is a repeat."""
        try:
            return await making
        except (InvalidRequest, PermissionDenied):
            if not keys:
                raise
            await self._idempotency.caught_up(keys)
            if all(answer is None for answer in await self._idempotency.answered_all(keys)):
                raise
            return None

    async def _write(
        self, drafts: Sequence[EventDraft], ids: Sequence[str], place: Place, *, final: bool = False
    ) -> list[Receipt]:
        while True:
            permit, received_at = self._lease.permit(), timestamps.now()
            records = await self._records(drafts, ids, place, received_at)
            try:
                return await self._writes.send(ids, records, received_at, permit, final=final)
            except Moved:
                continue  # nothing was written: encoded again, they go where they belong now

    async def _records(
        self,
        drafts: Sequence[EventDraft],
        ids: Sequence[str],
        place: Place,
        received_at: int,
        *,
        fixed: bool = False,
    ) -> list[Record]:
        """The records of events. With ``fixed`` each has a partition, so that a later try can look for it there."""
        records: list[Record] = []
        problems: list[Problem] = []
        work = self._slices.begin()
        for index, (draft, event_id) in enumerate(zip(drafts, ids, strict=True)):
            if index:
                await work.pause()
            try:
                route = self._routes.known(draft) or await self._routes.prepare(draft)
                value, key = route.writer.write(draft, event_id=event_id, received_at=received_at)
            except InvalidEvent as error:
                where = place(index)
                problems += [Problem(path=where + found.path[1:], message=found.message) for found in error.problems]
                if len(problems) >= MOST_PROBLEMS:
                    break
                continue
            headers = _headers(route, draft, event_id, received_at)
            if len(value) + len(draft.request or b"") + len(draft.producer_id or "") > SMALL:
                check_size(value, headers, key, place(index))
            if key is not None:
                partition = partition_for(key, route.partitions)
                self.hot_keys.note(route.topic, key, route.writer.partition_key)
            else:
                partition = partition_for(ids[0].encode(), route.partitions) if fixed else ANY_PARTITION
            records.append(Record(route.topic, value, key, headers, partition))
        if problems:
            raise InvalidEvent("The events are not valid: nothing was published.", problems)
        return records

    async def _each(self, things: Iterable[T], make: Callable[[T], R]) -> list[R]:
        """Apply ``make`` to each, in slices of the event loop."""
        work = self._slices.begin()
        made = []
        for each in things:
            await work.pause()
            made.append(make(each))
        return made


def _headers(route: PublishRoute, draft: EventDraft, event_id: str, received_at: int) -> Headers:
    headers = route.headers(draft, event_id, received_at)
    if draft.traceparent is not None and len(draft.traceparent) <= _LONGEST_TRACEPARENT:
        headers.append(("traceparent", draft.traceparent.encode()))
    if draft.request is not None:
        headers.append(("hr_request", draft.request))
    return headers


def _retrieve(task: asyncio.Task[list[Receipt]]) -> None:
    """Take the outcome of a publish whose caller may have given up, so that asyncio does not warn about it."""
    if not task.cancelled():
        task.exception()
