"""The dashboard and the alert rules ask for metrics that there are, in expressions that can be read.

Not checked, for it takes Prometheus itself (``promtool check rules``): the types of operands, and whether labels match.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from backbone.process.build_info import show_build
from connectors.file.metrics import FileMetrics
from connectors.webhook.metrics import WebhookMetrics
from connectors.websocket.metrics import RealtimeMetrics
from ingest_api.metrics import Metrics
from schemas.model.cluster_figures import GroupFigures, GroupPartition, Overview, TopicFigures
from stream_processors.metrics import ProcessorMetrics
from stream_processors.monitoring.exposition import SnapshotCollector
from stream_processors.monitoring.snapshot import Snapshot

ROOT = Path(__file__).parents[3]
OBSERVABILITY = ROOT / "operations" / "observability"
RULES = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((OBSERVABILITY / "dashboard.json").read_text(encoding="utf-8"))
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS = [*QUERIES, *(rule["expr"] for rule in ALERTS)]

WORDS = {"by", "or", "and", "unless", "on", "ignoring", "without", "group_left"}
FUNCTIONS = {"count", "histogram_quantile", "increase", "max", "rate", "sum", "time", "topk"}
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
MATCHERS = re.compile(r"\{([^{}]*)\}")
GROUPING = re.compile(r"\b(by|without|on|ignoring)\s*\(([^()]*)\)")
NAME = re.compile(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*\b(?!\s*\()")
CALLED = re.compile(r"\b([a-zA-Z_]\w*)\s*(?=\()")


def exposed() -> set[str]:
    """The names of the series of every plane, as a scrape has them."""
    registry = CollectorRegistry()
    for metrics in (WebhookMetrics, RealtimeMetrics, FileMetrics, ProcessorMetrics):
        metrics(registry)
    monitor = SnapshotCollector()
    part = GroupPartition(topic="t", partition=0, committed=1, end_offset=2)
    group = GroupFigures(group="g", members=1, partition_list=(part,))
    monitor.snapshot = Snapshot(
        Overview(taken_at=0, brokers=1), {"t": TopicFigures(topic="t", partition_list=())}, {"g": group}
    )
    registry.register(monitor)
    text = generate_latest(registry).decode() + Metrics().exposition().decode()
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        names |= {name, f"{name}_bucket"} if kind == "histogram" else {name}
    return names


def asked_for(expression: str) -> set[str]:
    bare = GROUPING.sub("", MATCHERS.sub("", re.sub(r"\[\w+\]", "", STRING.sub("", expression))))
    return {name for name in NAME.findall(bare) if name not in WORDS}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_asks_for_metrics_that_a_scrape_has(expression: str) -> None:
    assert asked_for(expression) <= exposed()
    assert asked_for(expression)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_can_be_read(expression: str) -> None:
    bare = STRING.sub("", expression)
    opened: list[str] = []
    for each in bare:
        if each in "([{":
            opened.append(each)
        elif each in ")]}":
            assert opened
            assert opened.pop() + each in {"()", "[]", "{}"}
    assert opened == []
    assert set(CALLED.findall(GROUPING.sub("", bare))) <= FUNCTIONS | {"or", "and"}
    assert all(re.fullmatch(r"\d+[smhd]", span) for span in re.findall(r"\[([^\]]*)\]", bare))


def test_a_name_that_nobody_exposes_is_found() -> None:
    assert asked_for('sum by (a) (rate(headrace_nothing_total{b="c"}[5m])) > 1') == {"headrace_nothing_total"}
    assert "headrace_nothing_total" not in exposed()


def test_each_alert_has_its_place_in_the_guide() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(Headrace\w+)` \|", guide, re.MULTILINE) == [rule["alert"] for rule in ALERTS]


def test_every_rule_has_a_severity_and_a_sentence() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"].endswith(".")


def test_every_process_shows_its_build() -> None:
    registry = CollectorRegistry()
    show_build("webhook", registry)
    assert "headrace_build_info{" in generate_latest(registry).decode()
