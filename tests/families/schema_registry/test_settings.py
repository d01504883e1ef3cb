"""Who needs no credential."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from families.schema_registry.settings import RegistrySettings
from ingest_api.settings import IngestSettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("host", "said", "is_open"),
    [
        ("127.0.0.1", None, True),
        ("127.8.9.10", None, True),
        ("::1", None, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),  # noqa: S104 - nothing listens
        ("::", None, False),
        ("10.1.2.3", None, False),
        ("gateway.example", None, False),
        ("127.0.0.1", "false", False),
        ("0.0.0.0", "true", True),  # noqa: S104 - nothing listens
    ],
)
def test_the_registry_is_open_on_loopback_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, said: str | None, *, is_open: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HTTP_HOST", host)
    if said is None:
        monkeypatch.delenv("HEADRACE_INGEST_SCHEMA_REGISTRY_OPEN", raising=False)
    else:
        monkeypatch.setenv("HEADRACE_INGEST_SCHEMA_REGISTRY_OPEN", said)
    assert RegistrySettings().is_open(IngestSettings().host) is is_open
