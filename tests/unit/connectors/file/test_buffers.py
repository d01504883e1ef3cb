from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backbone.event_files import Chain, EventFiles
from connectors.file.buffers import ChainBuffer, PartitionBuffers
from schemas.model.batched_attempts import Settled

if TYPE_CHECKING:
    from pathlib import Path

DELIVERY = Settled("d", "e", "endpoint", "w", "t/0/1", "live", 0)


@pytest.fixture
def files(tmp_path: Path) -> EventFiles:
    return EventFiles(tmp_path)


@pytest.fixture
def part(files: EventFiles) -> PartitionBuffers:
    return PartitionBuffers(0, files)


def add(part: PartitionBuffers, publisher: str, offset: int) -> ChainBuffer:
    chain = part.chain("endpoint", publisher)
    part.add(chain, offset, b'{"offset":%d}\n' % offset, DELIVERY, appended_at=0, now=0.0)
    part.passed(offset)
    return chain


def test_nothing_is_committed_before_the_first_record(part: PartitionBuffers) -> None:
    assert part.committable() is None
    assert part.position == -1


def test_the_first_record_in_no_file_is_the_next_to_commit(part: PartitionBuffers) -> None:
    slow = add(part, "slow", 5)
    fast = add(part, "fast", 6)
    add(part, "fast", 7)
    assert part.committable() == 5
    part.settle(fast)
    assert part.committable() == 5
    part.committed(5)
    assert part.committable() is None
    part.settle(slow)
    assert part.committable() == 8


def test_a_chain_that_was_cut_opens_again_behind_the_others(part: PartitionBuffers) -> None:
    first = add(part, "first", 1)
    second = add(part, "second", 2)
    part.settle(first)
    add(part, "first", 3)
    assert list(part.open()) == [second, first]
    assert (first.published, first.first, first.last, len(first.lines)) == (1, 3, 3, 1)
    assert first.deliveries == [DELIVERY]
    assert part.committable() == 2


def test_what_needs_no_file_is_passed(part: PartitionBuffers) -> None:
    part.passed(41)
    assert part.committable() == 42


def test_a_chain_knows_how_far_it_was_published(part: PartitionBuffers, files: EventFiles) -> None:
    files.publish(Chain("endpoint", "client.1", 0), 3, [b'{"offset":3}\n', b'{"offset":9}\n'])
    files.publish(Chain("endpoint", "client.1", 1), 50, [b'{"offset":50}\n'])
    assert part.chain("endpoint", "client.1").published == 9
    assert part.chain("endpoint", "client.2").published == -1
    assert part.chain("endpoint", "client.1") is part.chain("endpoint", "client.1")
