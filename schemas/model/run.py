"""Runs: work on deliveries that was asked for and takes its time, as records of the compacted topic ``runs``.

A run has up to three records, each with one kind of writer, so that no write undoes another: the run itself
(``<id>``, by the API, once), the latest command (``<id>/command``, by the API) and the progress (``<id>/progress``, by
the replayer that executes it, in the transaction that writes the deliveries).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import msgspec

from schemas.model.ids import derived
from schemas.model.timestamps import Micros

if TYPE_CHECKING:
    from schemas.model.delivery import SourceOffset


class RunKind(StrEnum):
    """What a run does."""

    RESEND = "RESEND"
    """Sends one delivery again, whatever became of it."""
    REPLAY = "REPLAY"
    """Sends an endpoint the events of a range again, those that it got too."""
    BACKFILL = "BACKFILL"
    """Sends an endpoint the events that live routing has left out for it."""
    REDRIVE = "REDRIVE"
    """Sends dead letters again, each once."""
    DISCARD = "DISCARD"
    """Marks dead letters as settled, each once."""


LETTER_KINDS = frozenset({RunKind.REDRIVE, RunKind.DISCARD})
"""Of runs over dead letters."""


class Matched(StrEnum):
    """Which events of its range a replay is for."""

    CURRENT = "current"
    """Those that the endpoint's subscriptions match now."""
    THEN = "then"
    """Those that were routed to the endpoint."""


class RunState(StrEnum):
    """How far a run is."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


ENDED = frozenset({RunState.DONE, RunState.CANCELLED, RunState.FAILED})
"""States that a run does not leave."""


class Wanted(StrEnum):
    """What the latest command asks for."""

    RUN = "RUN"
    PAUSE = "PAUSE"
    CANCEL = "CANCEL"


class OffsetRange(msgspec.Struct, frozen=True, array_like=True):
    """Offsets ``first`` ≤ o < ``end`` of one partition."""

    topic: str
    partition: int
    first: int
    end: int

    @classmethod
    def at(cls, place: SourceOffset) -> OffsetRange:
        """The range of one record."""
        return cls(place.topic, place.partition, place.offset, place.offset + 1)

    @property
    def count(self) -> int:
        """How many offsets it has."""
        return self.end - self.first


class LetterFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which dead letters a run is for: all of the conditions given.

    Attributes:
        endpoint: id.
        topic: of the event.
        reason: a part of the reason, in any case of letters.
        since, until: ``since`` ≤ when it was set aside < ``until``, microseconds since the epoch.
        endpoints: the only ones that whoever asked may send to; None: all of the workspace.
        poison: whether records count that are no deliveries; only a DISCARD has them.
        unowned: whether poison counts that belongs to no workspace.
    """

    endpoint: str | None = None
    topic: str | None = None
    reason: str | None = None
    since: Micros | None = None
    until: Micros | None = None
    endpoints: tuple[str, ...] | None = None
    poison: bool = False
    unowned: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked for.

    Attributes:
        workspace: name.
        endpoint: id; None for runs over dead letters.
        ranges: the offsets to look at, in this order. They are fixed when the run is made.
        matched: of a REPLAY.
        subscriptions: of the delivery that a RESEND repeats; the one that a BACKFILL is for.
        held_since: of a BACKFILL after a pause, which pause it was (``Endpoint.held_since``). Its ranges are found when
            the router has seen the end of the pause.
        letters: of a run over dead letters.
        rate: most deliveries per second; None: as fast as Kafka takes them.
        dry_run: only count.
        requested_by: id of the client.
        owner: the same for runs over dead letters, if it is a client of the workspace: an administrator who acts in
            another one may have the id of a client there.
        origin, until: what was asked for, as text, for people.
        digest: of the request, to tell a repeat with the same idempotency key from another request.
    """

    id: str
    kind: RunKind
    workspace: str
    endpoint: str | None = None
    ranges: tuple[OffsetRange, ...] = ()
    matched: Matched = Matched.CURRENT
    subscriptions: tuple[str, ...] = ()
    letters: LetterFilter | None = None
    held_since: Micros | None = None
    rate: Annotated[float, msgspec.Meta(gt=0)] | None = None
    dry_run: bool = False
    requested_by: str
    owner: str | None = None
    origin: str | None = None
    until: str | None = None
    digest: str = ""
    created_at: Micros

    @property
    def key(self) -> str:
        """Its name in lists."""
        return self.id

    @property
    def only_endpoint(self) -> str | None:
        """The endpoint that it is about; None for a run over the dead letters of any."""
        return self.endpoint if self.letters is None else self.letters.endpoint

    @property
    def lock(self) -> str:
        """Names what only one replayer may work on at a time.

        Runs over the dead letters of a workspace share a lock: so two of them take a letter once.
        """
        return derived("letters", self.workspace) if self.kind in LETTER_KINDS else self.id

    @property
    def total(self) -> int:
        """The number of offsets to look at."""
        return sum(each.count for each in self.ranges)


class RunCommand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person asked of a run last; ``at`` in microseconds since the epoch, ``by`` the client's id.

    ``retries`` counts how often a run that had ended before its time was asked to go on.
    """

    run: str
    wanted: Wanted
    by: str
    at: Micros
    retries: int = 0


class RunProgress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a run is; the record is written in the transaction that takes it there.

    Attributes:
        left: the ranges that are still to be looked at.
        looked_at: offsets that are behind it.
        total: offsets in all.
        deliveries: how many it has written, or would have as a dry run.
        skipped: reason to the number of records that a delivery was wanted of and could not be made.
        lost: offsets that retention took before the run came to them.
        reason: why it ended early.
        retries: of the command that it obeys. An end counts only if no later retry was asked for.
        started_at, changed_at: microseconds since the epoch.
    """

    run: str
    state: RunState
    left: tuple[OffsetRange, ...] = ()
    looked_at: int = 0
    total: int = 0
    deliveries: int = 0
    skipped: dict[str, int] = {}
    lost: int = 0
    reason: str | None = None
    retries: int = 0
    started_at: Micros
    changed_at: Micros


COMMAND, PROGRESS = "/command", "/progress"
"""Behind a run's id in the keys of its other records."""


class MarkKind(StrEnum):
    """What became of a dead letter."""

    REDRIVEN = "redriven"
    DISCARDED = "discarded"


class LetterMark(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about a dead letter, as JSON on ``dead-letter-marks``, in the transaction that did it.

    Attributes:
        partition, offset: the letter's on ``dead-letters``.
        kind: what became of it.
        run: that did it.
        by: id of the client that asked for the run.
        at: microseconds since the epoch.
    """

    partition: int
    offset: int
    kind: MarkKind
    run: str
    by: str
    at: Micros
