"""Quotas of several workers of one machine, on a clock of the test's own."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from backbone.catalog.view import CatalogView
from ingest_api.quotas.quotas import Quotas
from ingest_api.quotas.settings import QuotaSettings
from schemas.model.access import Client, Workspace
from schemas.model.errors import PayloadTooLarge, RateExceeded
from schemas.model.event import EventDraft
from schemas.model.quota import UNLIMITED, Quota, QuotaKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WORKERS = 4
TWELVE_A_SECOND = 12


class Machine:
    """Workers that share a file and a clock."""

    def __init__(self, directory: Path, *, workers: int = WORKERS, quota: Quota | None = None, **settings: Any) -> None:
        self.now = 1_000.0
        self.refused: list[tuple[str, str]] = []
        self.view = CatalogView()
        self.put(quota or Quota())
        self.workers = [
            Quotas(
                QuotaSettings(**settings),
                self.view,
                directory / "quotas",
                lambda scope, kind: self.refused.append((scope, kind)),
                lambda: self.now,
            )
            for _ in range(workers)
        ]

    def put(self, quota: Quota, of_workspace: Quota | None = None) -> None:
        for name in ("one", "two"):
            client = Client(
                id=name, workspace="w", identity=f"u-{name}", name=name, quota=quota, created_at=0, updated_at=0
            )
            self.view.put(client, 0)
        workspace = Workspace(id="w", name="w", quota=of_workspace or Quota(), created_at=0, updated_at=0)
        self.view.put(workspace, 0)

    def admits(self, worker: int = 0, events: int = 1, size: int = 1, client: str = "one") -> bool:
        draft = EventDraft(workspace="w", namespace="n", code="c", client=client, publisher=f"u-{client}")
        try:
            self.workers[worker].admit([draft] * events, size)
        except RateExceeded:
            return False
        return True


def most_in_ten_seconds(times: Sequence[tuple[float, int]]) -> int:
    most = total = first = 0
    for at, tokens in times:
        total += tokens
        while times[first][0] <= at - 10:
            total -= times[first][1]
            first += 1
        most = max(most, total)
    return most


@pytest.mark.parametrize("rate", [1, 10, 400])
def test_four_workers_admit_a_twentieth_more_than_the_quota_at_most_and_not_less(tmp_path: Path, rate: int) -> None:
    machine, chance = Machine(tmp_path, quota=Quota(events=rate)), random.Random(rate)
    admitted: list[tuple[float, int]] = []
    while machine.now < 1_025:
        if machine.admits(chance.randrange(WORKERS)):
            admitted.append((machine.now, 1))
        machine.now += chance.expovariate(max(40, 1.5 * rate))
    assert most_in_ten_seconds(admitted) <= 10 * rate * 1.05
    assert len(admitted) >= 25 * rate * 0.95


def test_batches_count_their_events(tmp_path: Path) -> None:
    machine, chance = Machine(tmp_path, quota=Quota(events=1_000)), random.Random(7)
    admitted: list[tuple[float, int]] = []
    while machine.now < 1_025:
        events = chance.choice((1, 10, 200, 400))
        if machine.admits(chance.randrange(WORKERS), events):
            admitted.append((machine.now, events))
        machine.now += chance.expovariate(30)
    assert most_in_ten_seconds(admitted) <= 10_500
    assert sum(events for _, events in admitted) >= 22_000


def test_after_a_pause_no_more_than_the_burst_is_saved_up(tmp_path: Path) -> None:
    machine = Machine(tmp_path, quota=Quota(requests=100))
    assert sum(machine.admits() for _ in range(1_000)) == 40
    machine.now += 3_600
    assert sum(machine.admits(each % WORKERS) for each in range(1_000)) <= 44


def test_a_quota_of_the_workspace_holds_for_its_clients_together(tmp_path: Path) -> None:
    machine = Machine(tmp_path, workers=1)
    machine.put(Quota(events=UNLIMITED), Quota(events=10))
    assert [machine.admits(client=name) for name in ("one", "two") * 3] == [True] * 4 + [False] * 2
    assert set(machine.refused) == {("workspace", "events")}


def test_what_one_quota_refuses_is_taken_from_no_other(tmp_path: Path) -> None:
    machine = Machine(tmp_path, workers=1, quota=Quota(requests=100, events=20))
    assert [machine.admits(events=8), machine.admits(events=8)] == [True, False]
    standing = machine.workers[0].standing(machine.workers[0].of_client("u-one"))
    requests, events = standing[QuotaKind.REQUESTS], standing[QuotaKind.EVENTS]
    assert (requests.refused, events.refused, events.refused_seconds_ago) == (0, 1, 0.0)
    assert not machine.admits(events=8)
    machine.now += 0.4
    assert machine.admits(events=8)


@pytest.mark.parametrize("kind", list(QuotaKind))
def test_the_defaults_hold_unless_another_quota_is_set(tmp_path: Path, kind: QuotaKind) -> None:
    machine = Machine(tmp_path, workers=1, **{f"client_{kind}": TWELVE_A_SECOND})
    assert sum(machine.admits() for _ in range(50)) == 4
    machine.put(Quota(**{kind: UNLIMITED}))
    assert sum(machine.admits() for _ in range(50)) == 50
    machine.put(Quota(**{kind: 25}))
    machine.now += 60
    assert sum(machine.admits() for _ in range(50)) == 10
    machine.put(Quota())
    machine.now += 60
    assert sum(machine.admits() for _ in range(50)) == 4


def test_a_request_that_is_larger_than_the_burst_is_refused_for_ever(tmp_path: Path) -> None:
    machine = Machine(tmp_path, quota=Quota(events=10))
    with pytest.raises(PayloadTooLarge, match=r"client admits 4 events at once"):
        machine.admits(events=5)
    assert machine.admits(events=4)
    assert machine.refused == [("client", "events")]


def test_the_refusal_says_when_to_come_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path, burst_seconds=30, client_events=2)
    assert machine.admits(events=60)
    draft = EventDraft(workspace="w", namespace="n", code="c", client="one", publisher="u-one")
    with pytest.raises(RateExceeded, match="2 events a second") as refused:
        machine.workers[1].admit([draft] * 20, 1)
    assert refused.value.retry_after == 10
    machine.now += 10
    assert machine.admits(1, events=20)


def test_without_quotas_there_is_no_file(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert all(machine.admits(events=10_000, size=10**9) for _ in range(10))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_an_earlier_start_of_the_machine_left_does_not_refuse_for_long(tmp_path: Path) -> None:
    """The monotonic clock began anew: the times in the file are far in the future."""
    before = Machine(tmp_path, quota=Quota(events=100))
    before.now = 9_000_000.0
    while before.admits():
        pass
    after = Machine(tmp_path, quota=Quota(events=100))
    standing = after.workers[0].standing(after.workers[0].of_client("u-one"))[QuotaKind.EVENTS]
    assert (standing.refused, standing.refused_seconds_ago) == (0, None)
    assert not after.admits()
    after.now += 0.4
    assert after.admits(events=40)


def test_where_the_file_cannot_be_had_each_worker_counts_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(tmp_path / "missing", workers=2, quota=Quota(events=10))
    assert [sum(machine.admits(worker) for _ in range(10)) for worker in (0, 1)] == [4, 4]
    assert "quotas are counted by each worker alone" in caplog.text
