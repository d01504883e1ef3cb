from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from operations.errors import TourFailed
from operations.settings import OperationsSettings
from operations.tour import tour

if TYPE_CHECKING:
    from operations.tour.reporter import Narrator


def test_a_tour_that_is_stopped_takes_down_what_it_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    taken_down = []

    async def wait_forever(_settings: OperationsSettings, _narrator: Narrator) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            taken_down.append("endpoint")

    monkeypatch.setattr(tour, "_run", wait_forever)
    with pytest.raises(TourFailed, match="stopped"):
        tour.run(OperationsSettings(), Console(quiet=True))
    assert taken_down == ["endpoint"]
