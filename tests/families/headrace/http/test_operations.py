"""Figures of topics and groups: who sees which, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.operations.records import figures_record, tombstone
from schemas.model import timestamps
from schemas.model.cluster_figures import (
    Cause,
    ClusterProblem,
    GroupFigures,
    GroupPartition,
    KeyCounts,
    Overview,
    PartitionFigures,
    TopicFigures,
    TopicKeys,
)
from schemas.model.errors import CorruptRecord
from schemas.model.topics import event_topic
from tests.support.consumed_messages import ConsumedMessage
from tests.support.local_gateway import LocalGateway, local_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from backbone.kafka.records import Record

SECOND = 1_000_000
OPERATIONS = "/headrace/v1/operations"


class Figures:
    """A gateway with an event type in each of two workspaces, which a team's group and the router read."""

    def __init__(self, local: LocalGateway, own: str, foreign: str) -> None:
        self.local = local
        self.workspace = own
        self.own, self.foreign = (event_topic(each, "events", "paid") for each in (own, foreign))
        self.now = timestamps.now()

    def write(self, figures: TopicFigures | GroupFigures | KeyCounts | Overview) -> None:
        self.apply(figures_record(figures))

    def apply(self, record: Record) -> None:
        self.local.gateway.clients.operations.apply(ConsumedMessage(record.topic, record.value, key=record.key))  # type: ignore[arg-type]  # as much of one as is read

    def reads(self, topic: str, age: float, **members: Any) -> GroupPartition:
        since = self.now - int(age * SECOND)
        return GroupPartition(
            topic=topic, partition=0, committed=40, end_offset=100, unread_since=since, member="reader-1", **members
        )

    async def get(self, key: str, path: str = "", status: int = 200, **query: Any) -> Any:
        async with self.local.client(key) as http:
            answer = await http.get(f"{OPERATIONS}{path}", params=query)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
async def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Figures:
    local = await local_gateway(tmp_path, monkeypatch).begin()
    made = Figures(local, await local.workspace(), await local.workspace())
    async with local.client(params={"workspace": made.workspace}) as admin:
        (await admin.post("/headrace/v1/event-types", json={"code": "paid"})).raise_for_status()
    for topic in (made.own, made.foreign, "deliveries.webhook"):
        partitions = tuple(
            PartitionFigures(
                partition=number,
                first_offset=0,
                end_offset=100,
                events_per_second=rate,
                bytes=5_000,
                leader=1,
                replicas=1,
                in_sync=1,
            )
            for number, rate in enumerate((6.0, 3.0, 0.0))
        )
        made.write(TopicFigures(topic=topic, partition_list=partitions, retention_seconds=1_000.0, append_time=True))
    both = (made.reads(made.own, 100), made.reads(made.foreign, 900))
    made.write(GroupFigures(group="headrace-router", state="STABLE", members=1, ours=True, partition_list=both))
    uncommitted = GroupPartition(topic=made.own, partition=1, end_offset=100)
    made.write(GroupFigures(group="team", state="STABLE", protocol="classic", members=1, partition_list=(uncommitted,)))
    made.write(GroupFigures(group="theirs", members=0, partition_list=(made.reads(made.foreign, 50),)))
    problems = tuple(
        ClusterProblem(kind=Cause.SKEW, what="w", cause="c", cure="u", topic=topic)
        for topic in (made.own, made.foreign)
    )
    made.write(Overview(taken_at=made.now, brokers=3, problems=problems, missing=("consumer group x: not allowed",)))
    return made


async def key_of(figures: Figures, role: str) -> str:
    _, key = await figures.local.new_client(figures.workspace, role)
    return key


async def test_a_viewer_sees_the_topics_of_its_workspace_and_what_of_groups_reads_them(figures: Figures) -> None:
    key = await key_of(figures, "viewer")
    assert [each["topic"] for each in (await figures.get(key, "/topics"))["items"]] == [figures.own]
    groups = (await figures.get(key, "/groups"))["items"]
    assert [(each["group"], each["topics"], each["lag"]) for each in groups] == [
        ("headrace-router", [figures.own], 60),
        ("team", [figures.own], None),
    ]
    router = await figures.get(key, "/groups/headrace-router")
    assert [each["topic"] for each in router["partition_list"]] == [figures.own]
    assert router["lag_seconds"] == pytest.approx(100)
    for path in (f"/topics/{figures.foreign}", "/topics/deliveries.webhook", "/groups/theirs"):
        await figures.get(key, path, status=404)
    overview = await figures.get(key)
    assert [each["topic"] for each in overview["problems"]] == [figures.own]
    assert (overview["totals"]["lag"], overview["totals"]["topics"], overview["missing"]) == (60, 1, [])


async def test_an_administrator_sees_everything_or_one_workspace(figures: Figures) -> None:
    key = await key_of(figures, "admin")
    names = [each["topic"] for each in (await figures.get(key, "/topics"))["items"]]
    assert names == sorted([figures.own, figures.foreign, "deliveries.webhook"])
    groups = (await figures.get(key, "/groups"))["items"]
    assert [each["group"] for each in groups] == ["headrace-router", "team", "theirs"]
    overview = await figures.get(key)
    assert (overview["totals"]["lag"], overview["brokers"], len(overview["problems"])) == (180, 3, 2)
    assert overview["missing"] == ["consumer group x: not allowed"]
    listed = await figures.get(key, "/topics", workspace=figures.workspace)
    assert [each["topic"] for each in listed["items"]] == [figures.own]
    await figures.get(key, workspace="there-is-none", status=404)


@pytest.mark.parametrize("role", ["producer", "subscriber"])
async def test_who_does_not_read_the_workspace_is_told_which_role_it_needs(figures: Figures, role: str) -> None:
    key = await key_of(figures, role)
    for path in ("", "/topics", f"/topics/{figures.own}", "/groups", "/groups/team"):
        assert "viewer" in (await figures.get(key, path, status=403))["detail"]


async def test_a_topic_has_its_type_its_rates_and_how_far_groups_are_behind(figures: Figures) -> None:
    topic = await figures.get(await key_of(figures, "operator"), f"/topics/{figures.own}")
    assert topic["event_type"] == {"workspace": figures.workspace, "namespace": "events", "code": "paid"}
    assert (topic["partitions"], topic["events_per_second"], topic["bytes_per_second"]) == (3, 9.0, 450.0)
    assert (topic["bytes"], topic["skew"], topic["lag"]) == (15_000, 2.0, 60)
    assert topic["lag_seconds"] == pytest.approx(100)
    assert topic["retention_left_seconds"] == pytest.approx(900)
    assert [each["share"] for each in topic["partition_list"]] == [pytest.approx(2 / 3), pytest.approx(1 / 3), 0]
    assert [(each["group"], each["lag"]) for each in topic["groups"]] == [("headrace-router", 60), ("team", None)]
    assert (topic["hot_keys"], topic["advice"]) == ([], None)


async def test_lists_have_pages_and_filters(figures: Figures) -> None:
    key = await key_of(figures, "admin")
    first = await figures.get(key, "/groups", limit=2)
    second = await figures.get(key, "/groups", limit=2, cursor=first["next_cursor"])
    assert [each["group"] for page in (first, second) for each in page["items"]] == [
        "headrace-router",
        "team",
        "theirs",
    ]
    assert second["next_cursor"] is None
    of_topic = await figures.get(key, "/groups", topic=figures.foreign)
    assert [each["group"] for each in of_topic["items"]] == ["headrace-router", "theirs"]
    assert [each["topic"] for each in (await figures.get(key, "/topics", prefix="del"))["items"]] == [
        "deliveries.webhook"
    ]
    await figures.get(key, "/topics", limit=0, status=400)
    await figures.get(key, "/topics", order="lag", status=400)


async def test_old_figures_say_so_and_stay(figures: Figures) -> None:
    key = await key_of(figures, "viewer")
    figures.write(Overview(taken_at=figures.now - 120 * SECOND, brokers=3))
    overview = await figures.get(key)
    assert overview["age_seconds"] >= 120
    assert [each["kind"] for each in overview["problems"]] == ["monitor"]
    assert overview["totals"]["topics"] == 1


async def test_before_the_monitor_has_looked_there_are_no_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = await local_gateway(tmp_path, monkeypatch).begin()
    _, key = await local.new_client(await local.workspace(), "viewer")
    async with local.client(key) as http:
        overview = (await http.get(OPERATIONS)).json()
        assert (await http.get(f"{OPERATIONS}/topics")).json() == {"items": [], "next_cursor": None}
    assert (overview["taken_at"], overview["age_seconds"], overview["brokers"]) == (None, None, None)
    assert overview["problems"][0]["what"] == "There are no figures yet."


async def test_what_is_gone_is_forgotten_and_what_cannot_be_read_is_passed_over(figures: Figures) -> None:
    key = await key_of(figures, "admin")
    figures.apply(tombstone("group/team"))
    figures.apply(tombstone(f"topic/{figures.foreign}"))
    with pytest.raises(CorruptRecord):
        figures.apply(msgspec.structs.replace(tombstone("group/headrace-router"), value=b"{"))
    figures.apply(msgspec.structs.replace(tombstone("of a later version"), value=b"{}"))
    assert [each["group"] for each in (await figures.get(key, "/groups"))["items"]] == ["headrace-router", "theirs"]
    topic = await figures.get(key, f"/topics/{figures.own}")
    assert [each["group"] for each in topic["groups"]] == ["headrace-router"]
    await figures.get(key, f"/topics/{figures.foreign}", status=404)


async def test_the_keys_that_several_processes_counted_are_added_up(figures: Figures) -> None:
    key = await key_of(figures, "viewer")

    def count(worker: str, age: float, **keys: float) -> None:
        found = TopicKeys(counted=100.0, keys=list(keys.items()))
        at = timestamps.now() - int(age * SECOND)
        figures.write(KeyCounts(worker=worker, at=at, topics={figures.own: found}))

    count("one", 1, a=60.0, b=5.0)
    count("two", 1, a=20.0, b=25.0)
    count("ended", 3_600, c=100.0)
    shown = await figures.get(key, f"/topics/{figures.own}")
    assert shown["hot_keys"] == [{"key": "a", "share": 0.4}, {"key": "b", "share": 0.15}]
    figures.apply(tombstone("keys/two"))
    shown = await figures.get(key, f"/topics/{figures.own}")
    assert shown["hot_keys"][0] == {"key": "a", "share": 0.6}
    assert figures.local.gateway.clients.operations.old_key_counts(timestamps.now()) == ["ended"]


async def test_more_partitions_are_advised_where_members_that_do_all_they_can_are_behind(figures: Figures) -> None:
    key = await key_of(figures, "viewer")
    found = (await figures.get(key, f"/topics/{figures.own}"))["advice"]
    assert found is None
    slow = GroupFigures(
        group="slow", members=3, partition_list=(figures.reads(figures.own, 100),), member_rates={figures.own: 2.0}
    )
    figures.write(slow)
    found = (await figures.get(key, f"/topics/{figures.own}"))["advice"]
    assert found["partitions"] > 3
    assert "9.0/s at 2.0/s a consumer" in found["because"]
