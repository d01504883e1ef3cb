"""What runs with this data directory: commands take its ports and its Kafka, unless the environment names others."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from operations.broker.selection import BOOTSTRAP_VARIABLE
from operations.settings import OperationsSettings

if TYPE_CHECKING:
    from pathlib import Path


def join_running() -> None:
    """Take the ports that ``headrace up`` decided on for this data directory, unless the environment names others."""
    from operations.supervisor.installation import running_file  # noqa: PLC0415  # not every command needs it

    _take_environment(running_file(OperationsSettings().data_dir))
    join_broker()


def join_broker() -> None:
    """Connect to the ``headrace broker`` of this data directory, unless the environment names another Kafka."""
    from operations.supervisor.installation import broker_file  # noqa: PLC0415  # likewise

    if BOOTSTRAP_VARIABLE not in os.environ:
        _take_environment(broker_file(OperationsSettings().data_dir))


def consumer_servers() -> str | None:
    """Where consumers of teams connect to Kafka, as far as this data directory tells."""
    from operations.supervisor.installation import CONSUMER_SERVERS, running_file  # noqa: PLC0415  # likewise

    told = _read(running_file(OperationsSettings().data_dir)).get(CONSUMER_SERVERS)
    return told or os.environ.get(BOOTSTRAP_VARIABLE)


def _take_environment(path: Path) -> None:
    for name, value in _read(path).items():
        if name.isupper():
            os.environ.setdefault(name, value)


def _read(path: Path) -> dict[str, str]:
    told: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return told
