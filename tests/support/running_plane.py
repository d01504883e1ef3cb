"""A plane other than ingest as a process of its own, as ``headrace`` starts it, on the Kafka of a running gateway."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from backbone.process.readiness import READY_FILE
from tests.support.fork_server import Forked
from tests.support.running_gateway import SECRET_KEYS, stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_SECONDS = 120


@contextlib.contextmanager
def running_plane(bootstrap: str, directory: Path, *command: str, **environment: str) -> Iterator[Forked]:
    """Start ``headrace <command>`` with the gateway's secrets, wait until it is ready, and stop it again."""
    ready = directory / f"ready-{uuid4()}"
    log = directory / f"{'-'.join(command)}.log"
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")},
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "HEADRACE_DATA_DIR": str(directory),
        "HEADRACE_SECRET_KEYS": SECRET_KEYS,
        READY_FILE: str(ready),
        **environment,
    }
    with (
        log.open("ab") as output,
        Forked("-m", "operations", *command, env=variables, stderr=output) as process,
    ):
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not ready.exists():
                if time.monotonic() > deadline or process.poll() is not None:
                    pytest.fail(f"headrace {' '.join(command)} did not start:\n{log.read_text()[-4_000:]}")
                time.sleep(0.05)
            yield process
        finally:
            stop(process)
