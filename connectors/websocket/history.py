"""Limits the publications that are kept for recovery, for each channel and for all channels together."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.websocket.channel import Channel, Publication

_SLACK = 1_000


class Retention:
    """Drops publications over the bounds: the oldest of a channel, and the one read first of all channels.

    Args:
        per_channel: most publications of one channel.
        max_bytes: most bytes of all.

    Attributes:
        bytes: of the publications that are kept now.
    """

    def __init__(self, per_channel: int, max_bytes: int) -> None:
        self._per_channel = per_channel
        self._max_bytes = max_bytes
        self._order: deque[tuple[Channel, Publication]] = deque()
        self._kept = 0
        self.bytes = 0

    def add(self, channel: Channel, publication: Publication) -> None:
        """Count a publication that was appended to a channel's history, and drop others."""
        self._order.append((channel, publication))
        self._kept += 1
        self.bytes += publication.size
        if len(channel.history) > self._per_channel:
            self._drop(channel)
        while self.bytes > self._max_bytes and self._order:
            oldest, first = self._order.popleft()
            if _is_oldest(oldest, first):
                self._drop(oldest)
        if len(self._order) > 2 * self._kept + _SLACK:
            # Most entries were already dropped because of the bound of their channel.
            self._order = deque(entry for entry in self._order if not _is_dropped(*entry))

    def _drop(self, channel: Channel) -> None:
        gone = channel.history.popleft()
        self._kept -= 1
        self.bytes -= gone.size


def _is_oldest(channel: Channel, publication: Publication) -> bool:
    return bool(channel.history) and channel.history[0] is publication


def _is_dropped(channel: Channel, publication: Publication) -> bool:
    return not channel.history or publication.log_offset < channel.history[0].log_offset
