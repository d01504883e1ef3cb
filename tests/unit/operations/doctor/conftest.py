from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backbone.kafka.settings import KafkaSettings
from operations.doctor.installed import Installed
from operations.doctor.site import Site
from operations.settings import OperationsSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Site]:
    """Makes an installation whose Kafka and gateway are not there."""

    def made(*, installed: dict[str, Any] | None = None, kafka: dict[str, Any] | None = None, **other: Any) -> Site:
        return Site(
            installed=Installed(**{"data_dir": tmp_path, **(installed or {})}),
            operations=OperationsSettings(data_dir=tmp_path),
            kafka=KafkaSettings(**{"bootstrap_servers": "127.0.0.1:1", **(kafka or {})}),
            **other,
        )

    return made
