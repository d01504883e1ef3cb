"""An event as a condition on its data alone sees it."""

from __future__ import annotations

from typing import Any


class EventWithData:
    """An event with data and nothing else."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def data_value(self) -> Any:
        return self.data
