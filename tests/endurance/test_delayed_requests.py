"""A slow network between router and Kafka, for a minute a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.component.stream_processors.slow_network import assert_routed_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.usefixtures("jars")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(1, 11))
async def test_every_event_is_routed_once(
    tmp_path: Path, seed: int, record_testsuite_property: Callable[[str, object], None]
) -> None:
    events, requests, strikes = await assert_routed_once(tmp_path, seed=seed, seconds=60.0, share=0.1, delay=2.0)
    record_testsuite_property(f"seed {seed}", f"{events} events, {requests} requests, struck: {dict(strikes)}")
