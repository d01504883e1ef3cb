from __future__ import annotations

from connectors.shared.offsets import PartitionProgress


def progress(*offsets: int) -> PartitionProgress:
    made = PartitionProgress()
    for offset in offsets:
        made.start(offset)
    return made


def test_nothing_handed_out_means_nothing_to_commit() -> None:
    assert PartitionProgress().committable() is None


def test_the_lowest_unfinished_offset_is_committed() -> None:
    partition = progress(10, 11, 12)
    partition.finish(11)
    partition.finish(12)
    assert partition.committable() == 10
    partition.finish(10)
    assert partition.committable() == 13


def test_gaps_in_the_log_do_not_hold_it_back() -> None:
    partition = progress(10, 14)
    partition.finish(10)
    assert partition.committable() == 14
    partition.finish(14)
    assert partition.committable() == 15


def test_the_same_offset_is_not_committed_twice() -> None:
    partition = progress(10, 11)
    partition.finish(10)
    partition.committed(11)
    assert partition.committable() is None
    partition.finish(11)
    assert partition.committable() == 12


def test_what_is_no_record_is_passed_once_all_before_it_is_finished() -> None:
    partition = progress(10)
    partition.passed(12)
    assert partition.committable() == 10
    partition.finish(10)
    assert partition.committable() == 12
    partition.start(12)
    partition.passed(12)
    partition.finish(12)
    assert partition.committable() == 13


def test_bytes_are_those_of_what_is_not_finished() -> None:
    partition = PartitionProgress()
    partition.start(1, 100)
    partition.start(2, 30)
    partition.finish(1)
    partition.finish(1)
    assert partition.bytes == 30
