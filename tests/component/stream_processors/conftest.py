from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.component.stream_processors.installation import Installation, installation_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def installation(kafka_bootstrap: str, tmp_path: Path) -> AsyncIterator[Installation]:
    """A catalog, its writer and a producer on the session's broker, in a workspace of the test's own."""
    async with installation_on(kafka_bootstrap, tmp_path) as made:
        yield made
