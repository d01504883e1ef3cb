from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.component.ledger.conftest import postgresql_server
from tests.support.browser import Browser, browser

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["postgresql_server"]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless browser, for modules that are skipped where there is none."""
    with browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started
