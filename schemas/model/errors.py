"""The error tree. No HTTP status here: each API family maps these to its own shape in one place.

An ``Unavailable`` has two texts: its message, with the cause, is for the log; ``told`` is for the caller.

HeadraceError
├── InvalidRequest            what the caller sent is wrong; carries a list of Problem(path, message)
│   ├── MalformedBody         not JSON, not the expected container
│   ├── InvalidEvent          an event breaks its registered event type
│   ├── InvalidFilter         a filter that cannot be compiled; the path is the position in the filter
│   ├── InvalidProjection     a projection that cannot be compiled; carries the position in the expression
│   ├── PayloadTooLarge       a body or record over its limit
│   └── UnsupportedMediaType  a body in a form (type, charset) that the operation does not take
│       └── UnsupportedCoding a body that is compressed, or coded in another way
├── Unauthenticated           no credential, an unknown one, or an expired one
├── PermissionDenied          a known credential that may not do this
├── NotFound                  no such resource in the caller's workspace
├── Conflict                  the request contradicts the present state
│   ├── AlreadyExists         the name is taken by something different
│   ├── Ambiguous             several things have the id that was asked for; lists them
│   ├── IncompatibleSchema    the change breaks the subject's compatibility level; says which field and why
│   └── IdempotencyMismatch   the same idempotency key with another body
├── QuotaExceeded             a bound of this client or workspace is reached
├── RateExceeded              more a second than a quota allows; carries retry_after seconds
├── WorkExceeded              an evaluation over its budget of steps or time
├── Unavailable               Kafka, or the storage, cannot take it now; carries retry_after seconds
│   ├── QueueFull             the bounded producer queue is full
│   ├── NotWritten            nothing of a write was sent
│   │   ├── Frozen            the partitions of the event type grow, and its order is kept
│   │   └── Moved             the partitions of the event type have changed while it was encoded
│   ├── NotAcknowledged       a write was not acknowledged in time: its outcome is open, it may still be there
│   ├── InProgress            another request with the same idempotency key has no outcome yet
│   ├── LedgerUnavailable     the ledger cannot be read or written now
│   ├── SearchTooLong         too much to read in the time of a request
│   ├── StorageUnavailable    event files cannot be written or read now: a full disk, a missing mount
│   └── TransactionAborted    a Kafka transaction did not commit; nothing of it is visible
│       └── Fenced            another producer took the transactional id: this one is done
├── NoAccessToken             what an endpoint's authorization asks for a token gave none: a try that failed
├── ProjectionFailed          a projection cannot be evaluated for an event; carries the position in the expression
├── CorruptRecord             a Kafka record that cannot be read: to be set aside, never to stop a worker
│   ├── UnknownSchema         its Avro schema is not in the catalog, or not yet in this process's copy of it
│   └── Forged                a catalog record that no holder of the secret keys wrote, or an old one repeated
└── Misconfigured             a setting is missing or contradicts another; says what to set
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


MOST_PROBLEMS = 1_000
"""That one request is told of: a body of eight megabytes can have half a million."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing wrong with a request: ``path`` is a JSON path (``$[3].data.orderTotal``), ``message`` a sentence."""

    path: str
    message: str


class HeadraceError(Exception):
    """Base of everything Headrace raises on purpose."""


class InvalidRequest(HeadraceError):
    """What the caller sent is wrong; ``problems`` names every place found, from one to ``MOST_PROBLEMS``."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = tuple(problems[:MOST_PROBLEMS]) or (Problem(path="$", message=message),)


class MalformedBody(InvalidRequest):
    """The body is not the JSON that the operation takes."""


class InvalidEvent(InvalidRequest):
    """An event breaks its registered event type."""


class InvalidFilter(InvalidRequest):
    """A filter cannot be compiled; the problem's path is the position in the filter."""


class InvalidProjection(InvalidRequest):
    """A projection cannot be compiled.

    Attributes:
        position: characters of the expression before the error.
    """

    def __init__(self, message: str, position: int) -> None:
        self.position = position
        place = Problem(path="$.expression", message=f"{message} (at position {position})")
        super().__init__("The expression is not one of JMESPath that can be evaluated here.", [place])


class PayloadTooLarge(InvalidRequest):
    """A body or a record is over its limit in bytes."""


class UnsupportedMediaType(InvalidRequest):
    """A body in a form (media type or charset) that the operation does not take."""


class UnsupportedCoding(UnsupportedMediaType):
    """A body in a content coding, such as gzip: only bodies as they are can be read."""


class Unauthenticated(HeadraceError):
    """No credential, an unknown one, a forged one or an expired one."""


class PermissionDenied(HeadraceError):
    """A known credential that may not do this."""


class NotFound(HeadraceError):
    """No such resource in the caller's workspace."""


class Conflict(HeadraceError):
    """The request contradicts the present state."""


class AlreadyExists(Conflict):
    """The name is taken by something different."""


class Ambiguous(Conflict):
    """Several things are called so; ``problems`` lists them."""

    def __init__(self, message: str, problems: Sequence[Problem]) -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = tuple(problems)


class IncompatibleSchema(Conflict):
    """The change breaks the subject's compatibility level; ``problems`` says which field and why."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = tuple(problems)


class IdempotencyMismatch(Conflict):
    """The same idempotency key came with another body.

    ``keys`` are the keys of the publish; ``problems`` names the events of the request, where events have keys.
    """

    def __init__(self, message: str, problems: Sequence[Problem] = (), *, keys: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.keys = frozenset(keys)


class QuotaExceeded(HeadraceError):
    """A bound of this client or workspace is reached."""


class RateExceeded(HeadraceError):
    """A client or workspace publishes more a second than its quota allows; try again after ``retry_after`` seconds."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WorkExceeded(HeadraceError):
    """An evaluation of what a tenant wrote (a condition, a document) needs more steps or time than its budget has."""


class Unavailable(HeadraceError):
    """Kafka cannot take it now; try again after ``retry_after`` seconds.

    Attributes:
        told: what happened and what to do, for the caller.
    """

    told = (
        "Kafka does not answer now, so the request could not be carried out. A change that it asked for may still take "
        "effect. Repeat it in a moment."
    )

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueFull(Unavailable):
    """The bounded producer queue is full."""

    told = "Too many events wait for Kafka. Nothing of this request was written. Repeat it in a moment."


class NotWritten(Unavailable):
    """Nothing of a write was sent to Kafka."""

    told = "Kafka does not answer now. Nothing of this request was written. Repeat it in a moment."


class Frozen(NotWritten):
    """The partitions of an event type grow and its order is kept: nothing is published to it meanwhile."""

    told = (
        "The topic of this event type gets more partitions, and the order of its events is kept: none is accepted "
        "until that is done. Nothing of this request was written. Repeat it after the seconds of Retry-After."
    )


class Moved(NotWritten):
    """The event type has another number of partitions than when the events were encoded."""


class NotAcknowledged(Unavailable):
    """A write was not acknowledged by all in-sync replicas in time: its outcome is open, and it may still be there."""

    told = (
        "Kafka has not confirmed the write in time; it may still take effect. Repeat the request with the same "
        "idempotency key or event id: it is then written once. Without either, a repeat may be written a second time."
    )


class InProgress(Unavailable):
    """Another request with the same idempotency key has no outcome yet."""

    told = (
        "An earlier request with the same idempotency key or event id has no outcome yet. Repeat this one in a moment: "
        "it is then answered like the earlier one, or written if that one was not."
    )


class StorageUnavailable(Unavailable):
    """Event files cannot be written or read now, for example because the disk is full."""

    told = "The event files cannot be written or read now. Repeat the request in a moment."


class LedgerUnavailable(Unavailable):
    """The ledger cannot be read or written now."""

    told = (
        "The event log cannot be read now; events are accepted and delivered all the same. Repeat the request in a "
        "moment."
    )


class SearchTooLong(Unavailable):
    """What was asked for is too much to read in the time of a request."""

    told = "The events could not be read in time. Select fewer event types, or repeat the request in a moment."


class TransactionAborted(Unavailable):
    """A Kafka transaction did not commit; nothing of it is visible to a read_committed reader."""

    told = "Kafka did not take the change. Nothing of this request was written. Repeat it in a moment."


class Fenced(TransactionAborted):
    """Another producer took over the transactional id; this one can only be closed."""


class NoAccessToken(HeadraceError):
    """The token URL of an endpoint's authorization did not answer with an access token; the message says how."""


class ProjectionFailed(HeadraceError):
    """A projection cannot be evaluated for an event.

    Attributes:
        reason: without values of the event.
        position: characters of the expression before the part that failed.
    """

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} (at position {position} of the projection)")
        self.reason = reason
        self.position = position


class CorruptRecord(HeadraceError):
    """A Kafka record that cannot be read: it is set aside in ``dead-letters``, and never stops a worker."""


class UnknownSchema(CorruptRecord):
    """The record's Avro schema is not in the catalog, as far as this process has read it."""


class Forged(CorruptRecord):
    """A catalog record that no holder of the secret keys wrote, or a copy of an older one.

    Attributes:
        unknown_key: a key signed it that this process lacks although the installation uses it.
    """

    def __init__(self, message: str, *, unknown_key: bool = False) -> None:
        super().__init__(message)
        self.unknown_key = unknown_key


class Misconfigured(HeadraceError):
    """A setting is missing or contradicts another; the message says what to set."""
