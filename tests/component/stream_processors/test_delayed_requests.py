"""A slow network between router and Kafka; ``tests/endurance`` has the long form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.component.stream_processors.slow_network import assert_routed_once

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("jars")
async def test_every_event_is_routed_once_through_a_network_that_delays_and_repeats(tmp_path: Path) -> None:
    _, requests, strikes = await assert_routed_once(
        tmp_path, seed=7, seconds=6.0, enough=lambda found: found.total() >= 3
    )
    assert strikes.total() >= 3, requests


@pytest.mark.usefixtures("jars")
async def test_a_request_that_outlives_its_connection_ends_no_later_transaction(tmp_path: Path) -> None:
    """Without a new epoch after a connection broke, half of such runs route events twice or leave out receipts."""
    _, requests, strikes = await assert_routed_once(
        tmp_path, seed=1, seconds=6.0, share=0.15, kinds=("late",), enough=lambda found: found["late EndTxn"] >= 1
    )
    assert strikes["late EndTxn"] >= 1, requests
