"""Attempts as they are on ``attempts``: one in a record, or those of many deliveries that ended together."""

from __future__ import annotations

import msgspec

from schemas.model.delivery import Attempt, Outcome, SourceOffset
from schemas.model.errors import CorruptRecord
from schemas.model.ids import attempt_id
from schemas.model.timestamps import Micros

_LONGEST = 512
"""Characters of an id. The ledger takes no longer ones, and would refuse all deliveries that are named together."""

_MOST_ATTEMPTS = 2**31 - 2
"""The ledger's number of the attempt to come has 32 bits."""


class Settled(msgspec.Struct, frozen=True, array_like=True):
    """A delivery as ``Settlement`` names it; fields as in ``Delivery``, the source as text."""

    id: str
    event: str
    endpoint: str
    workspace: str
    source: str
    run: str
    attempts: int

    @classmethod
    def from_headers(cls, headers: dict[str, bytes]) -> Settled:
        """Of a delivery's record: as little of it as will do, for it is in the file sink's data path.

        Raises:
            CorruptRecord: a header is missing, cannot be read, or holds what no delivery of ours does.
        """
        try:
            found = cls(
                headers["hr_delivery"].decode(),
                headers["hr_event"].decode(),
                headers["hr_endpoint"].decode(),
                headers["hr_workspace"].decode(),
                headers["hr_source"].decode(),
                headers["hr_run"].decode(),
                int(headers["hr_attempts"]),
            )
            source = SourceOffset.parse(found.source)
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise CorruptRecord(f"not a delivery: {error!r}") from error
        for text in (found.id, found.event, found.endpoint, found.workspace, found.source, found.run):
            if len(text) > _LONGEST or "\0" in text:
                raise CorruptRecord(f"not a delivery: an id that no database takes, {text[:50]!r}")
        if not 0 <= found.attempts <= _MOST_ATTEMPTS or source.partition < 0 or source.offset < 0:
            raise CorruptRecord("not a delivery: a number that no database takes, or of no record")
        return found


class Settlement(msgspec.Struct, frozen=True, array_like=True):
    """The attempts of many deliveries that ended together, as a JSON array on ``attempts``: each without a request.

    ``ended_at`` is in microseconds since the epoch.
    """

    outcome: Outcome
    ended_at: Micros
    error: str | None
    deliveries: tuple[Settled, ...]

    def attempts(self) -> list[Attempt]:
        """One for each delivery.

        Raises:
            CorruptRecord: a source cannot be read.
        """
        try:
            return [self._attempt(each) for each in self.deliveries]
        except ValueError as error:
            raise CorruptRecord(f"not a settlement: {error!r}") from error

    def _attempt(self, of: Settled) -> Attempt:
        number = of.attempts + 1
        return Attempt(
            id=attempt_id(of.id, of.run, number),
            delivery=of.id,
            event=of.event,
            endpoint=of.endpoint,
            workspace=of.workspace,
            source=SourceOffset.parse(of.source),
            run=of.run,
            number=number,
            outcome=self.outcome,
            started_at=self.ended_at,
            duration=0.0,
            error=self.error,
        )


_ATTEMPT = msgspec.json.Decoder(Attempt)
_SETTLEMENT = msgspec.json.Decoder(Settlement)


def read_attempts(value: bytes) -> list[Attempt]:
    """What a record of ``attempts`` says.

    Raises:
        CorruptRecord: it cannot be read.
    """
    try:
        return _SETTLEMENT.decode(value).attempts() if value.startswith(b"[") else [_ATTEMPT.decode(value)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptRecord(f"not an attempt: {error}") from error
