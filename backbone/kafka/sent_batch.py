"""The records of one call of the producer, until the outcome of each is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.kafka.records import Ack
from backbone.workspace_queue import WORKSPACE

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from backbone.kafka.records import Record
    from schemas.model.errors import HeadraceError

    Refusal = Callable[[Sequence[Record]], HeadraceError | None]

_NO_ACK = Ack(-1, -1)


class SentBatch:
    """The records of one ``send``."""

    __slots__ = (
        *("acks", "error", "final", "future", "is_settled", "refusal", "sent", "sent_at", "settled", "size"),
        "workspace",
    )

    def __init__(
        self,
        future: asyncio.Future[list[Ack]],
        count: int,
        size: int,
        sent_at: float,
        *,
        final: bool,
        refusal: Refusal | None,
    ) -> None:
        self.future = future
        self.refusal = refusal
        self.workspace = WORKSPACE.get()
        self.acks: list[Ack] = [_NO_ACK] * count
        self.sent = count
        self.settled = 0
        self.size = size
        self.sent_at = sent_at
        self.final = final
        self.is_settled = False
        self.error: HeadraceError | None = None
