"""Which agents the processes of the stream processors run, with which slots and ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backbone.kafka.settings import KafkaSettings
from backbone.process.instance_slots import claimed_slot
from backbone.process.settings import BackboneSettings
from processes import agents, ledger, processors, router
from schemas.model.errors import Misconfigured
from stream_processors.main import Slots
from stream_processors.settings import ProcessorSettings

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

ROUTER_PORT = agents.MetricsPort(9101, "HEADRACE_PROCESSORS_WEB_PORT")
LEDGER_PORT = agents.MetricsPort(9102, "HEADRACE_PROCESSORS_LEDGER_WEB_PORT")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Slots, agents.MetricsPort]]:
    """What a process would serve, without serving it."""
    found: list[tuple[Slots, agents.MetricsPort]] = []

    async def serve(_name: str, _settings: ProcessorSettings, slots: Slots, port: agents.MetricsPort) -> None:
        found.append((slots, port))

    monkeypatch.setattr(agents, "serve_until_signal", serve)
    monkeypatch.setattr(agents.logs, "start", lambda *_: None)
    return found


def settings(directory: Path, *, slot: int | None = None, ledger: bool = True) -> ProcessorSettings:
    return ProcessorSettings(
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"),
        backbone=BackboneSettings(data_dir=directory),
        slot=slot,
        ledger=ledger,
        web_port=ROUTER_PORT.number,
        ledger_web_port=LEDGER_PORT.number,
    )


@pytest.mark.parametrize(
    ("process", "indexes", "serves"),
    [
        (router, True, (Slots(router=0), ROUTER_PORT)),
        (ledger, True, (Slots(ledger=0), LEDGER_PORT)),
        # The setting says what `headrace processors` does; whoever starts a ledger wants one.
        (ledger, False, (Slots(ledger=0), LEDGER_PORT)),
        (processors, True, (Slots(router=0, ledger=0), ROUTER_PORT)),
        (processors, False, (Slots(router=0), ROUTER_PORT)),
    ],
)
def test_what_a_process_runs(
    process: ModuleType,
    indexes: bool,  # noqa: FBT001  # a parameter of the test
    serves: tuple[Slots, agents.MetricsPort],
    served: list[tuple[Slots, agents.MetricsPort]],
    tmp_path: Path,
) -> None:
    process.run(settings(tmp_path, ledger=indexes))
    assert served == [serves]


def test_no_two_ledgers_share_a_transactional_id_however_they_are_started(
    served: list[tuple[Slots, agents.MetricsPort]], tmp_path: Path
) -> None:
    with claimed_slot(tmp_path, "ledger"):
        ledger.run(settings(tmp_path))
        processors.run(settings(tmp_path))
        with pytest.raises(Misconfigured, match="slot 0 of a ledger is held"):
            processors.run(settings(tmp_path, slot=0))
    assert [slots for slots, _ in served] == [Slots(ledger=1), Slots(router=0, ledger=1)]


def test_router_and_ledger_may_be_given_one_slot(
    served: list[tuple[Slots, agents.MetricsPort]], tmp_path: Path
) -> None:
    """A variable is often set for all processes of a machine."""
    with claimed_slot(tmp_path, "router", 3):
        ledger.run(settings(tmp_path, slot=3))
    assert [slots for slots, _ in served] == [Slots(ledger=3)]
