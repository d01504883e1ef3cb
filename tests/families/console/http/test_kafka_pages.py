"""Topics, groups and what needs attention, as the pages show the monitor's figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.operations.records import figures_record
from schemas.model import timestamps
from schemas.model.cluster_figures import (
    Cause,
    ClusterProblem,
    GroupFigures,
    GroupPartition,
    Overview,
    PartitionFigures,
    TopicFigures,
)
from schemas.model.growth import Growth, GrowthOrder, GrowthState
from schemas.model.topics import event_topic
from tests.support.console_login import logged_in, token
from tests.support.consumed_messages import ConsumedMessage
from tests.support.local_gateway import LocalGateway, local_gateway

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SECOND = 1_000_000
HOSTILE = "<b>team</b>"


async def watched(directory: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[LocalGateway, str, str]:
    """A gateway with the figures of a topic, which two groups read; the topic, and the key of a viewer."""
    local = await local_gateway(directory, monkeypatch).begin()
    workspace = await local.workspace()
    async with local.client(params={"workspace": workspace}) as admin:
        (await admin.post("/headrace/v1/event-types", json={"code": "paid"})).raise_for_status()
    topic = event_topic(workspace, "events", "paid")
    now = timestamps.now()
    rates = (600.0, 30.0, None)
    partitions = tuple(
        PartitionFigures(
            partition=number,
            first_offset=0,
            end_offset=12_345,
            events_per_second=rate,
            bytes=5_000_000,
            leader=None if rate is None else 1,
            replicas=3,
            in_sync=2,
        )
        for number, rate in enumerate(rates)
    )
    behind = GroupPartition(
        topic=topic, partition=0, committed=40, end_offset=12_345, unread_since=now - 100 * SECOND, member=HOSTILE
    )
    never = GroupPartition(topic=topic, partition=1, end_offset=100)
    problem = ClusterProblem(
        kind=Cause.HOT_KEY, what=f"Hot key {HOSTILE}", cause="one key", cure="choose another", topic=topic
    )
    for figures in (
        TopicFigures(topic=topic, partition_list=partitions, retention_seconds=86_400.0, append_time=True),
        GroupFigures(group="headrace-router", state="STABLE", members=1, ours=True, partition_list=(behind,)),
        GroupFigures(group=HOSTILE, missing="Kafka does not tell", partition_list=(never,)),
        Overview(taken_at=now, brokers=3, problems=(problem,), missing=()),
    ):
        record = figures_record(figures)
        message = ConsumedMessage(record.topic, record.value, key=record.key)
        local.gateway.clients.operations.apply(message)  # type: ignore[arg-type]  # as much of one as is read
    _, key = await local.new_client(workspace, "viewer")
    return local, topic, key


async def test_figures_are_shown_and_what_is_not_known_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local, topic, key = await watched(tmp_path, monkeypatch)
    async with logged_in(local, key) as http:
        pages = {
            path: (await http.get(f"/console{path}")).raise_for_status().text
            for path in ("/", "/topics", f"/topics/{topic}", "/groups", "/groups/headrace-router", f"/groups/{HOSTILE}")
        }
        assert (await http.get("/console/topics/deliveries.webhook")).status_code == 404
        assert (await http.get("/console/audit")).status_code == 403
    assert "Hot key &lt;b&gt;team&lt;/b&gt;" in pages["/"]
    assert "12,305" in pages["/"]
    assert topic in pages["/topics"]
    for each in ("600 events/s", "2 of 3", "none", "never committed", "1 min 40 s", "1 d"):
        assert each in pages[f"/topics/{topic}"], each
    assert "never committed" in pages["/groups"]
    assert "12,305" in pages["/groups/headrace-router"]
    for path, page in pages.items():
        assert "<b>team" not in page, path
        # Only who may change topics and groups sees how.
        assert "Preview…" not in page


async def test_a_growth_is_cancelled_from_its_topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local, topic, viewer = await watched(tmp_path, monkeypatch)
    catalog, now = local.gateway.catalog.view, timestamps.now()
    event_type = catalog.event_type(topic)
    assert event_type is not None
    growth = Growth(
        id="g",
        workspace=event_type.workspace,
        topic=topic,
        before=3,
        partitions=12,
        order=GrowthOrder.KEEP,
        state=GrowthState.DRAINING,
        requested_by="c",
        created_at=now,
        updated_at=now,
    )
    catalog.put(growth, 0)
    _, key = await local.new_client(event_type.workspace, "operator")
    path = f"/console/topics/{topic}/growth/cancel"
    async with logged_in(local, viewer) as http:
        assert path not in (await http.get(f"/console/topics/{topic}")).text
    async with logged_in(local, key) as http:
        page = await http.get(f"/console/topics/{topic}")
        assert path in page.text
        asked = await http.post(path, data={"csrf": token(page)})
        assert "go to the 3 partitions of before" in asked.text
        done = await http.post(path, data={"csrf": token(page), "confirmed": "yes"})
        assert (done.status_code, done.headers["location"]) == (303, f"/console/topics/{topic}?done=growth-cancelled")
        assert path not in (await http.get(f"/console/topics/{topic}")).text
    cancelled = catalog.growth(topic)
    assert cancelled is not None
    assert cancelled.state is GrowthState.ROLLED_BACK


async def test_without_a_monitor_the_overview_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = await local_gateway(tmp_path, monkeypatch).begin()
    _, key = await local.new_client(await local.workspace(), "operator")
    async with logged_in(local, key) as http:
        assert "has not looked at Kafka" in (await http.get("/console/")).text
        assert "No topics are known yet" in (await http.get("/console/topics")).text
        assert "No groups are known yet" in (await http.get("/console/groups")).text
