"""A broker that stands still for longer than a request takes. ``tests/endurance/test_stalls.py`` is the long form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.broker_stalls import StalledBroker
from tests.stoppable_broker import stoppable_broker

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_is_answered_through_stalls_is_there_once(tmp_path: Path) -> None:
    with stoppable_broker(tmp_path / "kafka") as broker:
        load = StalledBroker(broker.bootstrap, broker.group, delivery_timeout=120, directory=tmp_path)
        verdict = await load.run([4.3], kill_every=1)
    assert verdict.acknowledged
    assert verdict.keyed_repeats
    assert verdict.kills == 1
    assert verdict.is_right, verdict
