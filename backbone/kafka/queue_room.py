"""Room in a producer's queue: bounded in all, and for each workspace, so that one cannot take it all."""

from __future__ import annotations

from backbone.shared_room import SharedRoom
from schemas.model.errors import QueueFull


class QueueRoom:
    """Counts the records that are not acknowledged yet, and the bytes of their values.

    Workspaces share it (``SharedRoom``). A workspace that has nothing in the queue may put a larger batch there.

    Args:
        max_records: bound of records.
        max_bytes: bound of bytes.
    """

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._records = SharedRoom(max_records)
        self._bytes = SharedRoom(max_bytes)

    @property
    def records(self) -> int:
        """Records in the queue."""
        return self._records.used

    def take(self, workspace: str, records: int, size: int) -> None:
        """Take room for a batch.

        Args:
            workspace: of the request that sends it; empty for connectors, which send for all workspaces.
            records: how many it has.
            size: bytes of their values.

        Raises:
            QueueFull: it does not fit.
        """
        if self.records + records > self._records.most or self._bytes.used + size > self._bytes.most:
            raise QueueFull(f"{self.records} records of {self._bytes.used} bytes wait to be acknowledged")
        if workspace and not (self._records.has_for(workspace, records) and self._bytes.has_for(workspace, size)):
            mine, my_bytes = self._records.used_by(workspace), self._bytes.used_by(workspace)
            raise QueueFull(f"{mine} records of {my_bytes} bytes of one workspace wait to be acknowledged")
        self._records.take(workspace, records)
        self._bytes.take(workspace, size)

    def give_back(self, workspace: str, records: int, size: int) -> None:
        """Return the room of a batch whose outcome is known."""
        self._records.give_back(workspace, records)
        self._bytes.give_back(workspace, size)
