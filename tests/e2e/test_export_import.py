"""Export → a fresh installation → import → export, over HTTP and by the commands, on real Kafka."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient

from backbone.catalog.transfer.exporting import exported
from tests.e2e.test_stored_records import CLOUDEVENT, ORDER, STORED
from tests.support.commands import Commands
from tests.support.running_gateway import ADMIN_KEY, running_gateway
from tests.unit.backbone.catalog.transfer.conftest import KEY_IDS, stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backbone.catalog.view import CatalogView
    from tests.support.running_gateway import RunningGateway

__all__ = ["stored"]


@pytest.fixture(scope="module")
def fresh(own_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(own_broker, tmp_path_factory.mktemp("fresh"), start_seconds=400) as running:
        yield running


@pytest.fixture
def administrator(fresh: RunningGateway) -> Commands:
    commands = Commands(fresh)
    commands.environment["HEADRACE_KEY"] = ADMIN_KEY
    return commands


def test_a_catalog_of_every_kind_and_family_comes_back_as_the_same_file(
    fresh: RunningGateway, administrator: Commands, stored: CatalogView, tmp_path: Path
) -> None:
    first, file = exported(stored, None, sealed_with=KEY_IDS), tmp_path / "catalog.yaml"
    file.write_text(first)
    shown = administrator("import", str(file), "--all", "--prune", "--dry-run")
    assert "event_type" in shown
    assert administrator("export", "--all", "--sealed") != first
    told = administrator("import", str(file), "--all", "--prune", "--yes")
    assert "0 unchanged" in told or "unchanged." in told
    assert administrator("export", "--all", "--sealed") == first
    assert administrator("export", "--all") == exported(stored, None, sealed_with=None)
    again = administrator.json("import", str(file), "--all", "--prune", "--yes")
    assert (again["changes"], again["must_be_set"]) == ([], [])

    there = AdminClient({"bootstrap.servers": fresh.bootstrap}).list_topics(timeout=30).topics
    assert {each.topic for name in stored.workspaces() for each in stored.event_types(name.name)} <= there.keys()
    facts: dict[str, Any] = json.loads(gzip.decompress(STORED.read_bytes()))["facts"]
    with fresh.client(facts["own"]) as http:
        http.post("/headrace/v1/events", json=ORDER, headers=CLOUDEVENT).raise_for_status()
        endpoints = http.get("/headrace/v1/endpoints").raise_for_status().json()["items"]
    assert facts["hook"] in [each["id"] for each in endpoints]
    audited = administrator("audit", "--kind", "endpoint", "--since", "1h", "--limit", "1000", "--workspace", "default")
    assert "admin" in audited or audited == ""


def test_a_workspace_goes_to_another_name_nowhere_and_changes_are_shown(
    fresh: RunningGateway, administrator: Commands, tmp_path: Path
) -> None:
    workspace = fresh.create_workspace()
    client, _ = fresh.create_client(workspace, "producer")
    file = tmp_path / "one.yaml"
    administrator("export", "--workspace", workspace, "--to", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    file.write_text(text.replace("- producer", "- viewer"))
    shown = administrator("import", str(file), "--workspace", workspace, "--dry-run")
    assert client in shown
    assert 'roles: ["producer"] → ["viewer"]' in shown
    assert administrator("export", "--workspace", workspace) == text
    administrator("import", str(file), "--workspace", workspace, answer="n\n", status=1)
    assert administrator("export", "--workspace", workspace) == text
    administrator("import", str(file), "--workspace", workspace, answer="y\n")
    assert administrator("export", "--workspace", workspace) == file.read_text()
    assert "another workspace" in administrator("import", str(file), "--yes", status=1)
    file.write_text("headrace: 1\nclients: []\n")
    administrator("import", str(file), "--workspace", workspace, "--prune", "--yes")
    assert client not in administrator("export", "--workspace", workspace)
    changes = administrator.json("audit", "--workspace", workspace, "--kind", "client", "--actor", "nobody")
    assert changes == []
    changes = administrator.json("audit", "--workspace", workspace, "--kind", "client")
    assert [each["action"] for each in changes] == ["deleted", "changed", "created"]
    assert changes[1]["fields"] == [{"name": "roles", "before": ["producer"], "after": ["viewer"]}]


@pytest.mark.parametrize(
    ("text", "told"),
    [("headrace: [", "line 2, column 1"), ("headrace: 1\ngizmos: []", "$.gizmos"), ("[]", "$: must be a mapping")],
)
def test_what_is_no_catalog_is_refused_with_the_place(
    administrator: Commands, tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    assert told in administrator("import", str(file), "--yes", status=1)
    assert "cannot be read" in administrator("import", str(tmp_path / "none"), "--yes", status=2)


def test_an_operator_neither_exports_nor_imports(fresh: RunningGateway, tmp_path: Path) -> None:
    operator, file = Commands(fresh), tmp_path / "none.yaml"
    file.write_text("headrace: 1")
    assert "role admin" in operator("export", status=1)
    assert "role admin" in operator("import", str(file), "--yes", status=1)
