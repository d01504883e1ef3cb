from __future__ import annotations

import pytest

from ingest_api.brake import BURST, LONGEST, PER_SECOND, Brake


def test_refusals_are_answered_at_once_until_there_are_many() -> None:
    now = 1_000.0
    brake = Brake(lambda: now)
    assert [brake.delay() for _ in range(BURST)] == [0.0] * BURST
    assert brake.delay() == pytest.approx(1 / PER_SECOND)
    for _ in range(1_000):
        brake.delay()
    assert brake.delay() == LONGEST


def test_the_brake_lets_go_when_refusals_become_fewer() -> None:
    now = 1_000.0
    brake = Brake(lambda: now)
    for _ in range(BURST + 10):
        brake.delay()
    now += (BURST + 10) / PER_SECOND + 1
    assert [brake.delay() for _ in range(BURST)] == [0.0] * BURST
