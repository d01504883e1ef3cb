"""What a person decides about a delivery that failed, once: to send it again as a new event, or to abort it.

Which of the two came first is settled by one idempotency key for each delivery; when that is forgotten, the ledger has
long known.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from backbone.idempotency import Answer, IdempotencyKey
from backbone.kafka.records import Record
from schemas import timestamps, topics
from schemas.delivery import Attempt, Outcome
from schemas.errors import IdempotencyMismatch
from schemas.ids import attempt_id

if TYPE_CHECKING:
    from backbone.idempotency import IdempotencyLog
    from backbone.kafka.producer import Producer
    from backbone.ledger.executions import ExecutedContract
    from backbone.publisher import Publisher
    from schemas.event import EventDraft

_ENCODER = msgspec.json.Encoder()
_ABORTED = "aborted by hand"


class Handling:
    """Used by the families whose users handle failures themselves (eventhos).

    Args:
        publisher, idempotency, producer: of this process.
    """

    def __init__(self, publisher: Publisher, idempotency: IdempotencyLog, producer: Producer) -> None:
        self._publisher = publisher
        self._idempotency = idempotency
        self._producer = producer

    async def send_again(self, failed: ExecutedContract, draft: EventDraft) -> bool:
        """Publish the event that stands for another try; False, and nothing written, when it was handled before.

        Raises:
            HeadraceError: whatever publishing raises; then it can be tried again.
        """
        try:
            receipts = await self._publisher.publish([draft], key=_key(failed, "retry"))
        except IdempotencyMismatch:
            return False
        return not receipts[0].repeated

    async def abort(self, failed: ExecutedContract) -> bool:
        """Have it count as aborted; False, and nothing written, when it was handled before.

        Raises:
            Unavailable: Kafka did not acknowledge it; it can be tried again.
        """
        key = _key(failed, "abort")
        try:
            async with self._idempotency.claim([key]) as (answer,):
                if answer is not None:
                    return False
                now = timestamps.now()
                (ack,) = await self._producer.send([_aborted(failed, now)])
                place = (0, ack.partition, ack.offset)
                await self._idempotency.record([key], [Answer(key.body_hash, (topics.ATTEMPTS,), (place,), now)])
        except IdempotencyMismatch:
            return False
        return True


def _key(failed: ExecutedContract, decision: str) -> IdempotencyKey:
    # No client's own keys are under the name of a workspace.
    return IdempotencyKey(
        f"handling/{failed.workspace}", failed.delivery, hashlib.blake2b(decision.encode(), digest_size=16).digest()
    )


def _aborted(failed: ExecutedContract, now: int) -> Record:
    number = failed.attempts + 1
    attempt = Attempt(
        id=attempt_id(failed.delivery, failed.run, number),
        delivery=failed.delivery,
        event=failed.event,
        endpoint=failed.endpoint,
        workspace=failed.workspace,
        source=failed.source,
        run=failed.run,
        number=number,
        outcome=Outcome.ABORTED,
        started_at=now,
        duration=0.0,
        error=_ABORTED,
    )
    return Record(topics.ATTEMPTS, _ENCODER.encode(attempt), failed.event.encode())
