"""The end of a test for which no Kafka can be had."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def not_run(want: str, error: Exception) -> NoReturn:
    """Skip the test and have it listed at the end; under CI, which has a Kafka, fail it.

    Args:
        want: completes "for want of".
        error: why there is none.
    """
    reason = f"NOT RUN, FOR WANT OF {want.upper()}: {error}"
    if os.environ.get("CI", "").lower() in {"", "0", "false"}:
        pytest.skip(reason)
    pytest.fail(reason, pytrace=False)
