"""The file that workers share, with real processes that are ended and stopped at the worst moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ingest_api.quotas import shared_buckets
from ingest_api.quotas.bucket import CLIENT, LEASE_SECONDS, Bucket, Owner
from ingest_api.quotas.shared_buckets import SharedBuckets, bucket_key
from schemas.model.quota import QuotaKind

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    import pytest

PROCESSES = multiprocessing.get_context("spawn")
RATE, BURST = 2_000, 0.4
WORKERS = 4


def worker(path: Path, told: Connection) -> None:
    """Take what can be had until the other side says that it is enough; then say how much that was."""
    buckets = SharedBuckets(path)
    bucket = Bucket(buckets, Owner(CLIENT, "one"), QuotaKind.EVENTS, RATE, BURST)
    told.send("ready")
    told.recv()
    taken = 0
    while not told.poll():
        with buckets.locked():
            now = time.monotonic()
            if bucket.shortfall(1, now) == 0:
                bucket.take(1, now)
                taken += 1
    told.send(taken)


def holder(path: Path, told: Connection) -> None:
    """Take the lock and keep it."""
    with SharedBuckets(path).locked():
        told.send("holds")
        time.sleep(600)


def test_workers_take_no_more_together_than_one_may(tmp_path: Path) -> None:
    ends = [PROCESSES.Pipe() for _ in range(WORKERS)]
    workers = [PROCESSES.Process(target=worker, args=(tmp_path / "quotas", theirs)) for _, theirs in ends]
    for each in workers:
        each.start()
    try:
        assert [ours.recv() for ours, _ in ends] == ["ready"] * WORKERS
        began = time.monotonic()
        for ours, _ in ends:
            ours.send("go")
        time.sleep(1)
        for ours, _ in ends:
            ours.send("enough")
        taken = [ours.recv() for ours, _ in ends]
        elapsed = time.monotonic() - began
    finally:
        for each in workers:
            each.kill()
            each.join()
    assert sum(taken) <= RATE * (elapsed + BURST + WORKERS * LEASE_SECONDS)
    assert sum(taken) >= RATE * BURST
    assert all(taken)


def test_a_worker_that_is_ended_or_stopped_with_the_lock_does_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "quotas"
    ours, theirs = PROCESSES.Pipe()
    other = PROCESSES.Process(target=holder, args=(path, theirs))
    other.start()
    try:
        assert ours.recv() == "holds"
        os.kill(other.pid or 0, signal.SIGSTOP)
        buckets = SharedBuckets(path)
        bucket = Bucket(buckets, Owner(CLIENT, "one"), QuotaKind.EVENTS, RATE, BURST)
        with buckets.locked():
            bucket.take(1, time.monotonic())
        assert not buckets._lock()  # it went on without
        os.kill(other.pid or 0, signal.SIGKILL)
        other.join()
        assert buckets._lock()
    finally:
        with suppress(ProcessLookupError):
            other.kill()
        other.join()


def test_buckets_that_are_full_make_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_buckets, "SLOTS", 256)
    buckets = SharedBuckets(tmp_path / "quotas")
    first = bucket_key("client", "first", "events")
    buckets.fill(first, full_at=2_000_000.0, now=1.0)
    for turn in range(10):
        now = 10.0 * (turn + 1)
        for number in range(100):
            buckets.fill(bucket_key("client", f"{turn}-{number}", "events"), now + 1, now)
    assert buckets.level(first).full_at == 2_000_000.0
    assert buckets.level(bucket_key("client", "9-7", "events")).full_at == 101.0
