"""Event files from deliveries on real Kafka: when they are cut, what they hold, what goes wrong."""

from __future__ import annotations

import resource
import signal
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.records import Record
from schemas.model import topics
from schemas.model.delivery import Outcome
from schemas.model.endpoint import BodyFormat
from tests.component.connectors.file.file_sinks import FileRoom
from tests.component.connectors.post_office import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.component.connectors.post_office import PostOffice


@pytest.fixture
def room(office: PostOffice, tmp_path: Path) -> FileRoom:
    consumer = BatchConsumer(office.settings, group=None)
    try:
        began = consumer.end_offsets(consumer.partitions_of([topics.FILE_DELIVERIES]))
    finally:
        consumer.close()
    return FileRoom(office, tmp_path, began)


async def test_a_file_is_cut_at_its_count_and_at_its_age(room: FileRoom) -> None:
    endpoint = await room.endpoint()
    with room.sink(HEADRACE_FILE_MAX_EVENTS="40") as sink:
        await sink.is_ready()
        await room.deliver(endpoint, 100)
        await until(lambda: len(room.lines(endpoint)) == 100, "everything is in files")
        sizes = []
        for name in room.files.names(endpoint.id, 100):
            with room.files.open(endpoint.id, name) as file:
                sizes.append(len(file.read().splitlines()))
        assert max(sizes) == 40
        assert sink.end(signal.SIGTERM) == 0
    offsets = [line["offset"] for line in room.lines(endpoint)]
    assert offsets == sorted(set(offsets))


async def test_a_file_is_cut_at_its_size(room: FileRoom) -> None:
    endpoint = await room.endpoint()
    with room.sink(HEADRACE_FILE_MAX_BYTES="2000", HEADRACE_FILE_MAX_AGE="600") as sink:
        await sink.is_ready()
        await room.deliver(endpoint, 100)
        await until(lambda: len(room.files.names(endpoint.id, 100)) > 3, "files of two thousand bytes")
    for name in room.files.names(endpoint.id, 100):
        with room.files.open(endpoint.id, name) as file:
            content = file.read()
        last_but_one = content.rstrip(b"\n").rindex(b"\n")
        assert last_but_one < 2_000 <= len(content)


async def test_a_line_is_the_body_of_the_family_with_the_offset_before_it(room: FileRoom) -> None:
    own, exchange = await room.endpoint(), await room.endpoint(BodyFormat("exchange"))
    with room.sink():
        await room.deliver(own, 1, data=b'{"orderId":"A-1",\n"total":125.50}')
        await room.deliver(exchange, 1, data=b'{"orderId":"A-1","total":125.50}')
        await until(lambda: room.lines(own) and room.lines(exchange), "both are in files")
    (line,) = room.lines(own)
    assert (line["specversion"], line["type"], line["source"], line["namespace"]) == (
        "1.0",
        "Order",
        "client-1",
        "shop",
    )
    (line,) = room.lines(exchange)
    assert list(line) == ["offset", "provider", "source", "identifiers", "events"]
    assert line["events"][0]["code"] == "Order"
    assert line["events"][0]["attributes"] == [
        {"name": "orderId", "value": "A-1", "type": "String"},
        {"name": "total", "value": "125.50", "type": "Number"},
    ]


async def test_publishers_have_files_of_their_own(room: FileRoom) -> None:
    endpoint = await room.endpoint(BodyFormat("exchange"))
    with room.sink():
        for _ in range(10):
            await room.deliver(endpoint, 1, "one/../publisher")
            await room.deliver(endpoint, 1, "the other")
        await until(lambda: len(room.lines(endpoint)) == 20, "everything is in files")
    for name in room.files.names(endpoint.id, 100):
        with room.files.open(endpoint.id, name) as file:
            sources = {msgspec.json.decode(line)["source"] for line in file.read().splitlines()}
        assert len(sources) == 1
    # No publisher's id leads out of its endpoint's directory.
    assert {path.parent.parent for path in room.directory.rglob("*.jsonl")} == {room.root}


async def test_what_cannot_be_a_line_is_set_aside_and_holds_nothing_up(room: FileRoom) -> None:
    endpoint, gone = await room.endpoint(), await room.endpoint()
    await room.office.delete(gone)
    good = room.delivery(endpoint)
    corrupt = Record(good.topic, b"\0\0\0\0\1no such schema", good.key, good.headers)
    foreign = Record(good.topic, b"anything", good.key, [("hr_endpoint", b"\xff")])
    # What another producer may have written beside an event that is sound.
    no_text = Record(good.topic, good.value, good.key, [*(good.headers or []), ("ce_id", b"\xff")])
    bare = room.delivery(endpoint)
    headers = [each for each in bare.headers or [] if not each[0].startswith("ce_")]
    # The attempts of what ended together share a record: neither may keep the others from being known.
    strange = []
    for name, text in (("hr_source", b"nowhere"), ("hr_run", b"r" * 1_200_000)):
        record = room.delivery(gone)
        changed = [(each, text if each == name else value) for each, value in record.headers or []]
        strange.append(msgspec.structs.replace(record, headers=changed))
    with room.sink() as sink:
        await room.office.producer.send(
            [
                *(corrupt, foreign, no_text, Record(good.topic, None, good.key), *strange, room.delivery(gone), good),
                msgspec.structs.replace(bare, headers=headers),
            ]
        )
        await until(lambda: len(room.lines(endpoint)) == 2, "the good ones are in a file")
        # Its own partition may be behind.
        await until(lambda: bool(room.office.attempts(gone)), "it is known what became of what is for an endpoint gone")
        await until(lambda: len(room.office.attempts(endpoint)) == 2, "it is known that the good ones are in a file")
        # As long as nothing of a partition is read there is nothing to commit.
        assert "offsets not committed" not in sink.log
    assert room.files.names(gone.id, 1) == []
    assert [each.outcome for each in room.office.attempts(gone)] == [Outcome.CANCELLED]
    assert {each.outcome for each in room.office.attempts(endpoint)} == {Outcome.DELIVERED}
    assert {line["source"] for line in room.lines(endpoint)} == {"client-1"}

    def reasons() -> list[str]:
        letters = [dict(message.headers() or ()) for message in room.office._read(topics.DEAD_LETTERS)]
        ours = [each for each in letters if each.get("hr_dead_topic") == topics.FILE_DELIVERIES.encode()]
        return [each["hr_dead_reason"].decode() for each in ours]

    await until(lambda: len(reasons()) == 6, "what was no line is set aside")
    assert any("schema" in reason for reason in reasons())


async def test_a_full_disk_stops_cutting_and_loses_nothing(room: FileRoom) -> None:
    endpoint = await room.endpoint()
    with room.sink(HEADRACE_FILE_MAX_EVENTS="40") as sink:
        await sink.is_ready()
        await room.deliver(endpoint, 60)
        await until(lambda: len(room.lines(endpoint)) == 60, "everything is in files")
        _, hard = resource.prlimit(sink.process.pid, resource.RLIMIT_FSIZE)
        # What the disk has room for of a file: its first hundred bytes.
        resource.prlimit(sink.process.pid, resource.RLIMIT_FSIZE, (100, hard))
        await room.deliver(endpoint, 200)
        await until(lambda: not sink.ready.exists(), "it says that it cannot do its work")
        await until(lambda: "NO EVENT FILES ARE WRITTEN" in sink.log, "its log says so too")
        assert len(room.lines(endpoint)) == 60
        await room.deliver(endpoint, 200)
        resource.prlimit(sink.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        await until(lambda: len(room.lines(endpoint)) == 460, "it goes on by itself")
        await until(sink.ready.exists, "it says so")
        await until(lambda: "written again" in sink.log, "its log says so too")
        began = [line for line in sink.log.splitlines() if "NO EVENT FILES ARE WRITTEN" in line]
        assert [".jsonl" in line for line in began] == [True]
        assert sink.log.count("written again") == 1
    offsets = [line["offset"] for line in room.lines(endpoint)]
    assert offsets == [offset for chain in room.routed({endpoint.id}).values() for offset in chain]


async def test_a_deleted_file_stays_deleted_when_its_records_are_read_again(room: FileRoom) -> None:
    endpoint = await room.endpoint()
    with room.sink() as sink:
        await sink.is_ready()
        await room.deliver(endpoint, 10)
        await until(lambda: len(room.lines(endpoint)) == 10, "everything is in files")
        for name in room.files.names(endpoint.id, 10):
            room.take(endpoint, name)
        sink.end(signal.SIGKILL)  # it may not have committed
    with room.sink() as sink:
        await sink.is_ready()
        await room.deliver(endpoint, 5)
        await until(lambda: len(room.lines(endpoint)) >= 5, "the next ones are in files")
        # Those in files which the first sink had published and not accounted for are known to be there as well.
        await until(lambda: len({each.delivery for each in room.office.attempts(endpoint)}) == 15, "all are known of")
    assert len(room.lines(endpoint)) == 5
    assert {each.outcome for each in room.office.attempts(endpoint)} == {Outcome.DELIVERED}


async def test_what_a_stopped_sink_held_is_cut_by_the_next_at_its_age(room: FileRoom) -> None:
    endpoint = await room.endpoint()
    with room.sink(HEADRACE_FILE_MAX_AGE="8") as sink:
        await sink.is_ready()
        appending = time.monotonic()
        await room.deliver(endpoint, 3)
        assert sink.end(signal.SIGTERM) == 0
    assert room.lines(endpoint) == []
    with room.sink(HEADRACE_FILE_MAX_AGE="8") as sink:
        await sink.is_ready()
        began = time.monotonic()
        await until(lambda: len(room.lines(endpoint)) == 3, "they are in a file")
        filed = time.monotonic()
    assert filed - appending >= 8
    # Counted from when they were appended, however long the sink took to start, and not from when it read them.
    assert filed - began < 8
