"""The one publish path of all families: validate, encode, produce, and answer with where each event is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.evolution import has_identity
from backbone.event_keys import distinct_keys, draft_id, event_key, named_mismatch, older_event_id
from backbone.event_writes import EventWrites
from backbone.idempotency import IdempotencyKey
from backbone.kafka.producer import MAX_HEADER_BYTES, MAX_RECORD_BYTES
from backbone.kafka.records import ANY_PARTITION, Record, partition_for
from backbone.known_answers import Answer
from schemas import timestamps
from schemas.access import Role
from schemas.errors import IdempotencyMismatch, InvalidEvent, InvalidRequest, PayloadTooLarge, PermissionDenied, Problem
from schemas.event import Receipt
from schemas.event_headers import EventHeaders
from schemas.event_type import RegistrationKind
from schemas.ids import keyed_event_id, new_ids
from schemas.topics import event_topic
from schemas.validation import EventWriter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from backbone.catalog.reader import Catalog
    from backbone.catalog.view import CatalogView
    from backbone.event_keys import Place
    from backbone.idempotency import IdempotencyLog
    from backbone.kafka.producer import Producer
    from backbone.kafka.records import Partition
    from schemas.delivery import Headers
    from schemas.event import EventDraft
    from schemas.event_type import EventType, Registration

    Renew = Callable[[EventType], Awaitable[EventType]]

__all__ = ["IdempotencyKey", "Publisher"]

_MAY_PUBLISH_ANYTHING = {Role.OPERATOR, Role.ADMIN}
_MOST_WRITERS = 10_000

_WITHOUT_PAUSE = 100
"""Events of a batch that are handled before other requests have their turn."""

_SMALL = 100_000
"""Bytes of what a record is made of, below which no limit can be passed: then its parts need not be added up."""

_LONGEST_TRACEPARENT = 256
"""Characters: those of today have 55. What is longer is no trace context, and one that is none is passed over (W3C)."""


class _Route(msgspec.Struct, frozen=True):
    """What is prepared once for all events of one type that one client publishes."""

    topic: str
    partitions: int
    writer: EventWriter
    headers: EventHeaders


_RouteKey = tuple[str, str, str, str]
"""Workspace, namespace, code, client."""


class Publisher:
    """Publishes for every family and client of a process.

    Args:
        catalog: event types, clients and their registrations.
        producer: started by its owner.
        idempotency: likewise.
        renew: gives a type that was last changed by an earlier release the schema of this one. Without it, events of
            such a type are written as that release wrote them.
    """

    def __init__(
        self, catalog: Catalog, producer: Producer, idempotency: IdempotencyLog, *, renew: Renew | None = None
    ) -> None:
        self._renew = renew
        self._catalog = catalog
        self._idempotency = idempotency
        self._writes = EventWrites(producer, idempotency.settings)
        self._version = -1
        self._routes: dict[_RouteKey, _Route] = {}
        self._writers: dict[tuple[EventType, Registration | None], EventWriter] = {}

    async def publish(
        self, drafts: Sequence[EventDraft], *, key: IdempotencyKey | None = None, final: bool = False
    ) -> list[Receipt]:
        """Write the events, all of them or none; returns when every in-sync replica has them.

        With a key, or for drafts with a ``producer_id``, a repeat within the window gets the first answer and writes
        nothing. The drafts of one call are of one client. With ``final`` it waits for the outcome as long as it takes.

        Raises:
            InvalidEvent: events break their types or have none; every problem names its JSON path (``$.data…`` for a
                single event, ``$[i].data…`` in a batch).
            PayloadTooLarge: an event is larger than a record may be.
            PermissionDenied: the client has not registered a type for publishing.
            IdempotencyMismatch: a key was used with another body.
            NotAcknowledged: the outcome is open; a repeat with the same key carries the same event ids.
            Unavailable: Kafka cannot take it now.
        """
        place = "$".format if len(drafts) == 1 else "$[{}]".format
        if key is None and all(draft.producer_id is None for draft in drafts):
            return await self._write(drafts, new_ids(len(drafts)), place, final=final)
        work = self._publish_each(drafts, place) if key is None else self._publish_once(drafts, key, place)
        # A caller that gives up must not leave events behind that a repeat would not recognise.
        task = asyncio.ensure_future(work)
        task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    async def check(self, drafts: Sequence[EventDraft], place: Place) -> None:
        """Validate events without writing any; ``place`` is the JSON path of an event.

        Raises:
            InvalidEvent, PayloadTooLarge, PermissionDenied: as ``publish`` does.
        """
        await self._records(drafts, new_ids(len(drafts)), place, timestamps.now())

    async def _publish_once(self, drafts: Sequence[EventDraft], key: IdempotencyKey, place: Place) -> list[Receipt]:
        """The whole request under one key."""
        ids = [keyed_event_id(key.client, key.key, index) for index in range(len(drafts))]
        (answer,) = self._idempotency.answered([key])
        if answer is not None:
            return _repeated(answer, ids)
        received_at = timestamps.now()
        records = await self._checked([key], self._records(drafts, ids, place, received_at, fixed=True))
        if records is None:
            return await self._publish_once(drafts, key, place)
        async with self._idempotency.claim([key], [_places(records)]) as claimed:
            (answer,) = claimed.answers
            if answer is not None:
                return _repeated(answer, ids)
            receipts = await self._writes.write(
                list(zip(ids, records, strict=True)),
                received_at,
                lost=dict.fromkeys(ids, claimed.taken_over.get(0)),
                seconds=claimed.seconds,
            )
            await self._idempotency.record([key], [_answer(key, receipts)])
            return receipts

    async def _publish_each(self, drafts: Sequence[EventDraft], place: Place) -> list[Receipt]:
        """Every event under its producer's own id; those without one are simply written."""
        keys = []
        for index, draft in enumerate(drafts):
            keys.append(event_key(draft))
            if index % _WITHOUT_PAUSE == _WITHOUT_PAUSE - 1:
                await asyncio.sleep(0)
        distinct = distinct_keys(keys, drafts, place)
        ids = [draft_id(draft) for draft in drafts]
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
        known = _known(distinct, self._idempotency.answered(list(distinct.values())))
        unknown = {name: key for name, key in distinct.items() if name not in known}
        fresh = _first_of_each(keys, known)
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
        written: dict[int, Receipt] = {}
        if unknown:
            events = {index: (keys[index], ids[index], record) for index, record in zip(fresh, made, strict=True)}
            written = await self._write_each(events, unknown, known, received_at)
        elif fresh:
            receipts = await self._writes.send([ids[index] for index in fresh], made, received_at, final=True)
            written = dict(zip(fresh, receipts, strict=True))
        for index, key in enumerate(keys):
            if key is not None and key.key in known and known[key.key].body_hash != key.body_hash:
                ids[index] = older_event_id(drafts[index])
        for index, receipt in written.items():
            if (key := keys[index]) is not None:
                known[key.key] = _answer(key, [receipt])
        return [
            written[index] if key is None or index in written else _repeated(known[key.key], [ids[index]])[0]
            for index, key in enumerate(keys)
        ]

    async def _write_each(
        self,
        events: Mapping[int, tuple[IdempotencyKey | None, str, Record]],
        unknown: Mapping[str, IdempotencyKey],
        known: dict[str, Answer],
        received_at: int,
    ) -> dict[int, Receipt]:
        """Write what has no answer yet, by index; ``known`` gets the answers that other requests had meanwhile."""
        of_key = {key.key: (event_id, record) for key, event_id, record in events.values() if key is not None}
        places = [_places([of_key[name][1]]) for name in unknown]
        async with self._idempotency.claim(list(unknown.values()), places) as claimed:
            known.update(_known(unknown, claimed.answers))
            left = {
                index: (key, event_id, record)
                for index, (key, event_id, record) in events.items()
                if key is None or key.key not in known
            }
            receipts = await self._writes.write(
                [(event_id, record) for _, event_id, record in left.values()],
                received_at,
                lost={of_key[name][0]: claimed.taken_over.get(index) for index, name in enumerate(unknown)},
                seconds=claimed.seconds,
            )
            answers = [
                (key, _answer(key, [receipt]))
                for (key, *_), receipt in zip(left.values(), receipts, strict=True)
                if key is not None
            ]
            if answers:
                await self._idempotency.record([key for key, _ in answers], [answer for _, answer in answers])
        return dict(zip(left, receipts, strict=True))

    async def _checked(self, keys: Sequence[IdempotencyKey], making: Awaitable[list[Record]]) -> list[Record] | None:
        """The records; None if events that are not valid now were answered before, so that this is a repeat."""
        try:
            return await making
        except (InvalidRequest, PermissionDenied):
            if not keys:
                raise
            await self._idempotency.caught_up(keys)
            if all(answer is None for answer in self._idempotency.answered(keys)):
                raise
            return None

    async def _write(
        self, drafts: Sequence[EventDraft], ids: Sequence[str], place: Place, *, final: bool = False
    ) -> list[Receipt]:
        received_at = timestamps.now()
        records = await self._records(drafts, ids, place, received_at)
        return await self._writes.send(ids, records, received_at, final=final)

    async def _records(
        self,
        drafts: Sequence[EventDraft],
        ids: Sequence[str],
        place: Place,
        received_at: int,
        *,
        fixed: bool = False,
    ) -> list[Record]:
        """The records of events. ``fixed`` ones have a partition, so that a later try can look for them there."""
        records: list[Record] = []
        problems: list[Problem] = []
        for index, (draft, event_id) in enumerate(zip(drafts, ids, strict=True)):
            if index % _WITHOUT_PAUSE == _WITHOUT_PAUSE - 1:
                await asyncio.sleep(0)
            try:
                route = self._route(draft) or await self._prepare(draft)
                value, key = route.writer.write(draft, event_id=event_id, received_at=received_at)
            except InvalidEvent as error:
                where = place(index)
                problems += [Problem(path=where + found.path[1:], message=found.message) for found in error.problems]
                continue
            headers = route.headers(draft, event_id, received_at)
            if draft.traceparent is not None and len(draft.traceparent) <= _LONGEST_TRACEPARENT:
                headers.append(("traceparent", draft.traceparent.encode()))
            if draft.request is not None:
                headers.append(("hr_request", draft.request))
            if len(value) + len(draft.request or b"") + len(draft.producer_id or "") > _SMALL:
                _check_size(value, headers, key, place(index))
            if key is not None:
                partition = partition_for(key, route.partitions)
            else:
                partition = partition_for(ids[0].encode(), route.partitions) if fixed else ANY_PARTITION
            records.append(Record(route.topic, value, key, headers, partition))
        if problems:
            raise InvalidEvent("The events are not valid: nothing was published.", problems)
        return records

    def _route(self, draft: EventDraft) -> _Route | None:
        version = self._catalog.view.version
        if version != self._version:
            self._version = version
            self._routes.clear()
        return self._routes.get((draft.workspace, draft.namespace, draft.code, draft.client))

    async def _prepare(self, draft: EventDraft) -> _Route:
        topic = event_topic(draft.workspace, draft.namespace, draft.code)
        event_type = await self._catalog.lookup(lambda view: view.event_type(topic))
        if event_type is None:
            message = f"there is no event type {draft.code} in namespace {draft.namespace}"
            raise InvalidEvent(message, [Problem(path="$.type", message=message)])
        registration = await self._registration(draft.client, topic)
        if registration is None and not self._may_publish_anything(draft.client):
            raise PermissionDenied(f"This client has not registered {draft.namespace}/{draft.code} for publishing.")
        if self._renew is not None and not has_identity(self._catalog.view, event_type):
            event_type = await self._renew(event_type)
        route = _Route(
            topic=topic,
            partitions=event_type.effective_partitions,
            writer=self._writer(event_type, registration),
            headers=EventHeaders(draft.client, draft.code),
        )
        self._routes[draft.workspace, draft.namespace, draft.code, draft.client] = route
        return route

    async def _registration(self, client: str, topic: str) -> Registration | None:
        def find(view: CatalogView) -> Registration | None:
            return view.registration(client, topic, RegistrationKind.PUBLISH)

        # Who may publish anything needs no registration, and so no look for one that is not there yet.
        if self._may_publish_anything(client):
            return find(self._catalog.view)
        return await self._catalog.lookup(find)

    def _may_publish_anything(self, client_id: str) -> bool:
        client = self._catalog.view.client(client_id)
        return client is not None and not _MAY_PUBLISH_ANYTHING.isdisjoint(client.roles)

    def _writer(self, event_type: EventType, registration: Registration | None) -> EventWriter:
        """Compiled once for what it depends on: the catalog may change elsewhere without a compilation here."""
        found = self._writers.get((event_type, registration))
        if found is None:
            if len(self._writers) >= _MOST_WRITERS:
                self._writers.clear()
            identity = has_identity(self._catalog.view, event_type)
            found = self._writers[event_type, registration] = EventWriter(event_type, registration, identity=identity)
        return found


def _known(keys: Mapping[str, IdempotencyKey], answers: Sequence[Answer | None]) -> dict[str, Answer]:
    return {name: answer for name, answer in zip(keys, answers, strict=True) if answer is not None}


def _places(records: Sequence[Record]) -> tuple[Partition, ...]:
    return tuple(dict.fromkeys((record.topic, record.partition) for record in records))


def _first_of_each(keys: Sequence[IdempotencyKey | None], known: Mapping[str, Answer]) -> list[int]:
    """The indexes of the events to write: not yet answered, and of several with one id only the first."""
    seen = set(known)
    fresh = []
    for index, key in enumerate(keys):
        if key is None or key.key not in seen:
            fresh.append(index)
        if key is not None:
            seen.add(key.key)
    return fresh


def _answer(key: IdempotencyKey, receipts: Sequence[Receipt]) -> Answer:
    names = tuple(dict.fromkeys(receipt.topic for receipt in receipts))
    indexes = {name: index for index, name in enumerate(names)}
    places = tuple((indexes[receipt.topic], receipt.partition, receipt.offset) for receipt in receipts)
    return Answer(key.body_hash, names, places, receipts[0].received_at if receipts else 0)


def _repeated(answer: Answer, ids: Sequence[str]) -> list[Receipt]:
    return [
        Receipt(
            id=event_id,
            topic=answer.topics[topic],
            partition=partition,
            offset=offset,
            received_at=answer.received_at,
            repeated=True,
        )
        for event_id, (topic, partition, offset) in zip(ids, answer.places, strict=True)
    ]


def _check_size(value: bytes, headers: Headers, key: bytes | None, place: str) -> None:
    besides = sum(len(content) for _, content in headers) + len(key or b"")
    if len(value) > MAX_RECORD_BYTES or besides > MAX_HEADER_BYTES:
        limits = f"at most {MAX_RECORD_BYTES} and {MAX_HEADER_BYTES} are taken"
        message = f"is encoded in {len(value)} bytes, with {besides} bytes of headers; {limits}"
        raise PayloadTooLarge("An event is too large.", [Problem(path=place, message=message)])


def _retrieve(task: asyncio.Task[list[Receipt]]) -> None:
    """The outcome of a publish whose caller has given up is nobody's: not worth a warning."""
    if not task.cancelled():
        task.exception()
