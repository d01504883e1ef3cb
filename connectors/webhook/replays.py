"""Reads the deliveries of runs, behind live ones: by the worker that has the same partition of those.

So an endpoint has one queue, one window and one rate for both. Live deliveries go first in two ways: replays are read
only while this process has little to do, and an endpoint's queue sorts them behind (``Job.order``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.kafka.following_loop import FollowingLoop
from connectors.shared.worker import Worker
from schemas.model import topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.settings import KafkaSettings
    from connectors.shared.worker import Handler

GROUP = "headrace-webhook-replay"

_SHARE = 8
"""Replays are read while fewer than an eighth of ``max_pending`` deliveries wait or are in flight."""

_LEAVING = 5.0
"""Seconds, beyond those for deliveries in flight, to give partitions up."""


class ReplayWorker(Worker):
    """Reads ``deliveries.webhook.replay`` for the partitions that ``follow`` names.

    Args:
        settings: how to reach Kafka.
        handler: of the live deliveries too.
        max_pending, max_bytes, drain, on_stall: as in ``Worker``.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        handler: Handler,
        max_pending: int,
        max_bytes: int,
        drain: float,
        on_stall: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            settings,
            topic=topics.WEBHOOK_REPLAYS,
            group=GROUP,
            handler=handler,
            max_pending=max(1, max_pending // _SHARE),
            max_bytes=max(1, max_bytes // _SHARE),
            drain=drain,
            on_stall=on_stall,
        )
        self._following = FollowingLoop(
            settings,
            group=GROUP,
            topic=topics.WEBHOOK_REPLAYS,
            member=self,
            has_room=self.has_room,
            batch=self.BATCH,
            on_stall=on_stall,
        )
        self._consumer_loop = self._following

    def follow(self, numbers: list[int]) -> None:
        """Read these partitions from now on."""
        self._following.follow(numbers)

    def leave(self, numbers: list[int]) -> None:
        """Give these partitions up; returns once their next owner may read them."""
        self._following.leave(numbers, self._drain + _LEAVING)

    async def _wait_for_room(self) -> None:
        """The loop asks ``has_room`` instead: waiting here would hold up ``leave``."""
