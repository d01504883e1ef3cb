"""Matching in steps: an event that takes long to match keeps no other workspace waiting."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stream_processors.routing.turns import SHARE_OF_TURN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.records import ConsumedRecord, Partition
    from stream_processors.routing.matching import Match, MatchIndex, Steps
    from stream_processors.routing.record_view import Decoding


class LongMatching:
    """Matches events, and keeps how far it got with those that are not finished: one of a partition at most.

    Args:
        decoding: reads events.
    """

    def __init__(self, decoding: Decoding) -> None:
        self._decoding = decoding
        self._begun: dict[Partition, Steps] = {}

    def clear(self) -> None:
        """Forget the events that are not finished: they will be read again."""
        self._begun.clear()

    def is_begun(self, partition: Partition) -> bool:
        """Whether the next event of a partition was begun in an earlier turn, by the index of then."""
        return partition in self._begun

    def matches(
        self, message: ConsumedRecord, partition: Partition, index: MatchIndex, ends: float | None
    ) -> Sequence[Match] | None:
        """The endpoints that get an event; None when its share of the turn is over, and it must be given again.

        Args:
            message: the event.
            partition: where it is.
            index: who gets what.
            ends: of the turn, on ``time.monotonic()``; None where there are no others, and all is done at once.

        Raises:
            CorruptRecord: the event cannot be read.
        """
        if ends is None or not (partition in self._begun or index.takes_long(message)):
            return index.match(message, self._decoding)
        ends = min(ends, time.monotonic() + SHARE_OF_TURN)
        steps = self._begun.pop(partition, None) or index.steps(message, self._decoding)
        for found in steps:
            if found is not None:
                return found
            if time.monotonic() > ends:
                break
        self._begun[partition] = steps
        return None
