"""Idempotency keys of events that carry an id of their producer.

A CloudEvent is identified by its source and id together (CloudEvents 1.0.2, "id"); events of other API families by the
client and the producer's id.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from backbone.publishing.idempotency import IdempotencyKey
from schemas.model.errors import IdempotencyMismatch, Problem
from schemas.model.ids import cloudevent_id, keyed_event_id, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.model.event import EventDraft, Identifier

    Place = Callable[[int], str]
    """The JSON path of the n-th draft in the request."""

_BODY = msgspec.msgpack.Encoder()
_TRACE = frozenset(("traceparent", "tracestate"))
_CLOUDEVENT = 2
"""Begins the hashed content of a CloudEvent, so that its hash differs from the one that older releases recorded."""


def event_key(draft: EventDraft) -> IdempotencyKey | None:
    """The key of an event with a producer's id; None for an event without one."""
    if draft.producer_id is None:
        return None
    # No key of a header can begin with NUL: an event id and a header key with one spelling stay two keys.
    if draft.source is None:
        return IdempotencyKey(draft.publisher, f"\0{draft.producer_id}", _hash(draft, draft.identifiers))
    # A repeat may be another span of another trace.
    extensions = {name: value for name, value in draft.extensions.items() if name not in _TRACE}
    attributes = (_CLOUDEVENT, draft.dataschema, draft.datacontenttype, extensions)
    body = _BODY.encode((*attributes, *_content(draft, draft.identifiers)))
    return IdempotencyKey(
        draft.publisher,
        f"\0{draft.source}\0{draft.producer_id}",
        hashlib.blake2b(body, digest_size=16).digest(),
        (_older(draft),),
    )


def draft_id(draft: EventDraft) -> str:
    """The id of a draft's event: derived from the producer's id if there is one, so equal on every repeat."""
    if draft.producer_id is None:
        return new_id()
    if draft.source is None:
        return older_event_id(draft)
    return cloudevent_id(draft.publisher, draft.source, draft.producer_id)


def older_event_id(draft: EventDraft) -> str:
    """The id that earlier releases gave the event: derived from the producer's id without the source."""
    return keyed_event_id(draft.publisher, f"\0{draft.producer_id}", 0)


def distinct_keys(
    keys: Sequence[IdempotencyKey | None], drafts: Sequence[EventDraft], place: Place
) -> dict[str, IdempotencyKey]:
    """The keys by name, each once.

    Raises:
        IdempotencyMismatch: two different events have one identity; the problems name every such event.
    """
    distinct: dict[str, IdempotencyKey] = {}
    conflicts = [
        index
        for index, key in enumerate(keys)
        if key is not None and distinct.setdefault(key.key, key).body_hash != key.body_hash
    ]
    if conflicts:
        message = "another event of this request has the same identity ({}) and other content"
        raise IdempotencyMismatch(
            f"Two different events of this request have the same identity ({_identity(drafts[conflicts[0]])}).",
            [
                Problem(path=f"{place(index)}.id", message=message.format(_identity(drafts[index])))
                for index in conflicts
            ],
        )
    return distinct


def named_mismatch(
    error: IdempotencyMismatch, keys: Sequence[IdempotencyKey | None], drafts: Sequence[EventDraft], place: Place
) -> IdempotencyMismatch:
    """The error of a claim in the request's own terms: which events were published before with other content."""
    conflicts = [index for index, key in enumerate(keys) if key is not None and key.key in error.keys]
    if not conflicts:
        return error
    message = "an event with the same identity ({}) and other content was published before"
    return IdempotencyMismatch(
        f"An event with the same identity ({_identity(drafts[conflicts[0]])}) and other content was published before.",
        [Problem(path=f"{place(index)}.id", message=message.format(_identity(drafts[index]))) for index in conflicts],
    )


def _identity(draft: EventDraft) -> str:
    return f"id {draft.producer_id}" if draft.source is None else f"source {draft.source}, id {draft.producer_id}"


def _older(draft: EventDraft) -> tuple[bytes, bytes]:
    """Digest and body hash that earlier releases recorded: the id alone, the source among the identifiers."""
    key = IdempotencyKey(draft.publisher, f"\0{draft.producer_id}", b"")
    return key.digest, _hash(draft, draft.known_identifiers)


def _hash(draft: EventDraft, identifiers: tuple[Identifier, ...]) -> bytes:
    return hashlib.blake2b(_BODY.encode(_content(draft, identifiers)), digest_size=16).digest()


def _content(draft: EventDraft, identifiers: tuple[Identifier, ...]) -> tuple[object, ...]:
    return (
        draft.workspace,
        draft.namespace,
        draft.code,
        draft.data,
        draft.text_values,
        draft.subject,
        draft.time,
        draft.time_text,
        draft.channel,
        identifiers,
    )
