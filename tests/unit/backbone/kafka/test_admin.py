"""What the admin client does while nobody answers."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from backbone.kafka.admin import Admin
from backbone.kafka.settings import KafkaSettings


async def test_who_gives_up_waiting_for_an_end_leaves_nothing_to_complain_of() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    admin = Admin(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await admin.end_offsets([("t", 0)])
    gc.collect()
    assert complaints == []
