"""Contracts as people see and handle them (eventhos): what was received, what was run for it, and what came of that.

What a person decides about a contract that failed is decided once: to send it again as a new event, or to abort it.
Which of the two came first is settled by one idempotency key for each delivery; when that is forgotten, the ledger has
long known.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from backbone.kafka.records import Record
from backbone.ledger.contract_calls import ExecutedContract, ExecutionQueries, ReceivedEvent, ReceivedQuery
from backbone.publishing.idempotency import IdempotencyKey
from backbone.publishing.known_answers import Answer
from schemas.model import timestamps, topics
from schemas.model.contract_call import Execution
from schemas.model.delivery import Attempt, Outcome
from schemas.model.errors import IdempotencyMismatch, Misconfigured
from schemas.model.ids import attempt_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Engine

    from backbone.catalog.secrets import SecretBox
    from backbone.kafka.producer import Producer
    from backbone.publishing.idempotency import IdempotencyLog
    from backbone.publishing.publisher import Publisher
    from schemas.model.event import EventDraft

__all__ = ["ExecutedContract", "Executions", "ReceivedEvent", "ReceivedQuery"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder()
_ABORTED = "aborted by hand"


class Ask(Protocol):
    """How the ledger is asked what blocks: on a thread, and for no longer than a request may wait."""

    def __call__(self, question: Callable[[], T], /) -> Awaitable[T]:
        """What the ledger answers."""


class Executions:
    """Reads the ledger, and writes decisions; every method raises ``Unavailable`` when it cannot.

    Args:
        ledger: the SQL view.
        secrets: opens the accounts of calls.
        publisher, idempotency, producer: of this process.
        ask: puts a question to the ledger.
    """

    def __init__(
        self,
        *,
        ledger: Engine,
        secrets: SecretBox,
        publisher: Publisher,
        idempotency: IdempotencyLog,
        producer: Producer,
        ask: Ask = asyncio.to_thread,
    ) -> None:
        self._queries = ExecutionQueries(ledger)
        self._secrets = secrets
        self._publisher = publisher
        self._idempotency = idempotency
        self._producer = producer
        self._ask = ask

    async def page(
        self, query: ReceivedQuery, *, limit: int, offset: int, newest_first: bool
    ) -> tuple[list[ReceivedEvent], int]:
        """Some of the events that were received, and how many there are in all."""

        def read() -> tuple[list[ReceivedEvent], int]:
            page = self._queries.page(query, limit=limit, offset=offset, newest_first=newest_first)
            return page, self._queries.count(query)

        return await self._ask(read)

    async def event(self, workspace: str, namespace: str, event_id: str) -> ReceivedEvent | None:
        """One event of a namespace; None when the ledger does not have it (yet)."""
        return await self._ask(lambda: self._queries.event(workspace, namespace, event_id))

    async def contracts(self, workspace: str, event_id: str) -> list[ExecutedContract]:
        """The contracts that were run for an event, in their order."""
        return await self._ask(lambda: self._queries.contracts(workspace, event_id))

    async def contract(self, workspace: str, delivery: str) -> ExecutedContract | None:
        """One contract that was run, by its delivery's id."""
        return await self._ask(lambda: self._queries.contract(workspace, delivery))

    async def account(self, delivery: str) -> Execution | None:
        """What was sent and answered; None when nothing was sent, or when the secret key that sealed it is gone."""
        sealed = await self._ask(lambda: self._queries.execution(delivery))
        if sealed is None:
            return None
        try:
            return Execution.from_json(self._secrets.open(sealed))
        except Misconfigured:
            # What is in the ledger is not sealed anew when keys are rotated: the state of the delivery says enough.
            log.warning("an account of a call was sealed with a key that is gone", extra={"delivery": delivery})
            return None

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
            if self._idempotency.answered([key]) != [None]:
                return False
            # An attempt that is there twice has one id: nothing of an earlier try need be looked for.
            async with self._idempotency.claim([key], [()]) as claimed:
                if claimed.answers != [None]:
                    return False
                now = timestamps.now()
                (ack,) = await self._producer.send([_aborted(failed, now)])
                place = (0, ack.partition, ack.offset)
                await self._idempotency.record([key], [Answer(key.body_hash, (topics.ATTEMPTS,), (place,), now)])
        except IdempotencyMismatch:
            return False
        return True


def _key(failed: ExecutedContract, decision: str) -> IdempotencyKey:
    # No client has such an id.
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
