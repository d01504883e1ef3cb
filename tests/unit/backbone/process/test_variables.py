from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from backbone.process import logs
from backbone.process.variables import KNOWN, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("HEADRACE_INGEST_WORKRES", "HEADRACE_INGEST_WORKERS"),
        ("headrace_ingest_workres", "HEADRACE_INGEST_WORKERS"),
        ("HEADRACE_INGEST_PORT", "HEADRACE_HTTP_PORT"),
        ("HEADRACE_WEBHOOKS_ALLOW", "HEADRACE_WEBHOOK_ALLOW"),
        ("HEADRACE_PROCESSOR_BATCH_EVENTS", "HEADRACE_PROCESSORS_BATCH_EVENTS"),
        ("HEADRACE_KAFKA_OPTION", "HEADRACE_KAFKA_OPTIONS"),
        ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        ("HEADRACE_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_a_misspelt_variable_is_told_with_the_nearest(name: str, nearest: str) -> None:
    (sentence,) = unknown({name: "4"})
    assert name in sentence
    if nearest == "HEADRACE_HTTP_PORT":
        assert "Did you mean HEADRACE_" in sentence
    else:
        assert f"Did you mean {nearest}?" in sentence


def test_what_is_like_no_setting_is_told_too() -> None:
    (sentence,) = unknown({"HEADRACE_QQQQQQ": "1"})
    assert "docs/settings.md" in sentence


def names(of: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(of, "1")


@pytest.mark.parametrize(
    "environment",
    [
        names(KNOWN),
        names(name.lower() for name in KNOWN),
        names(["HEADRACE_SERVICE_HOST", "HEADRACE_SERVICE_PORT", "HEADRACE_INGEST_SERVICE_PORT_HTTP"]),
        names(["HEADRACE_PORT_8080_TCP", "HEADRACE_PORT_8080_TCP_ADDR", "HEADRACE_FAULT_BEFORE_COMMIT"]),
        {"HEADRACE_PORT": "tcp://10.0.0.1:8080"},
        names(["KAFKA_OPTS", "PATH", "MY_HEADRACE_URL"]),
    ],
)
def test_settings_of_any_plane_and_what_others_set_are_not_told(environment: dict[str, str]) -> None:
    assert unknown(environment) == []


@pytest.fixture
def own_logs() -> Iterator[None]:
    """A plane takes over the process's logs; the process is pytest's."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    logging.captureWarnings(capture=False)
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.mark.usefixtures("own_logs")
def test_a_plane_that_starts_logs_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HEADRACE_INGEST_WORKRES", "4")
    logs.start("processors")
    (line,) = [each for each in map(json.loads, capsys.readouterr().err.splitlines()) if "WORKRES" in each["message"]]
    assert (line["level"], line["plane"]) == ("warning", "processors")
