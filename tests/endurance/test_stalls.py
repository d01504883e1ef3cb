"""A hundred stalls of a broker, and twenty of about the delivery timeout: every answer is true, and every event once.

``pytest tests/endurance/test_stalls.py`` takes a quarter of an hour and prints what was sent, answered and found.
"""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.broker_stalls import StalledBroker
from tests.support.stoppable_broker import stoppable_broker

if TYPE_CHECKING:
    from pathlib import Path

_SHORT_TIMEOUT = 4.0


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    ("count", "shortest", "longest", "delivery_timeout"),
    [(100, 3.0, 6.0, 120.0), (20, 0.9 * _SHORT_TIMEOUT, 1.2 * _SHORT_TIMEOUT, _SHORT_TIMEOUT)],
    ids=["of 3 to 6 s", "of about the delivery timeout"],
)
async def test_what_is_answered_is_there_once(
    tmp_path: Path, count: int, shortest: float, longest: float, delivery_timeout: float
) -> None:
    chance = random.Random(count)
    with stoppable_broker(tmp_path / "kafka") as broker:
        load = StalledBroker(broker.bootstrap, broker.group, delivery_timeout=delivery_timeout, directory=tmp_path)
        stalls = [chance.uniform(shortest, longest) for _ in range(count)]
        verdict = await load.run(stalls, kill_every=5)
    sys.stdout.write(f"{verdict}\n")
    assert verdict.kills
    assert verdict.keyed_repeats
    assert verdict.is_right, verdict
