"""Which records of the catalog count, whatever a writer without the secret keys puts into the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.catalog import records
from backbone.catalog.authenticity import MARKER_KEY, Authenticity, marker
from backbone.catalog.macs import MAC_HEADER, MacKeys, parse_mac
from schemas.model import topics
from schemas.model.access import Client, Role
from schemas.model.errors import Forged, Misconfigured
from schemas.model.resources import decode_resource
from tests.unit.backbone.catalog.test_records import Consumed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backbone.kafka.records import Record
    from schemas.model.resources import Resource

OLD, NEW = "an old secret key of some length", "a new secret key of some length"


def client(name: str, *roles: Role) -> Client:
    return Client(id=name, workspace="acme", name=name, roles=roles, created_at=0, updated_at=0)


PRODUCER, ADMIN = client("mallory", Role.PRODUCER), client("mallory", Role.ADMIN)
KEY = PRODUCER.key


def put(resource: Resource) -> Record:
    return records.resource_record(resource, "write")


def gone(key: str) -> Record:
    return records.tombstone(topics.CATALOG, key.encode(), "write")


class Reader:
    """What a process that reads a log comes to."""

    def __init__(self, *keys: str, log: Iterable[Record] = ()) -> None:
        self.authenticity = Authenticity(MacKeys(keys))
        self.state: dict[str, Resource] = {}
        self.refused: list[str] = []
        self.read(*log)

    def read(self, *log: Record) -> None:
        for record in log:
            key = (record.key or b"").decode()
            try:
                self.authenticity.judge(Consumed(record))  # type: ignore[arg-type]
            except Forged as error:
                self.refused.append(str(error))
                continue
            if record.value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = decode_resource(record.value)
            if key == MARKER_KEY:
                self.authenticity.apply_marker(self.state.get(key))


class Log:
    """A log with one honest writer; ``records`` is what Kafka has, and others may add to it."""

    def __init__(self, *keys: str) -> None:
        self.records: list[Record] = []
        self.writer = Reader(*keys)

    def write(self, *unsigned: Record) -> list[Record]:
        self.writer.read(*self.records[len(self.records) :])
        signed = self.writer.authenticity.sign(unsigned)
        self.writer.read(*signed)
        self.records += signed
        return signed


def test_a_record_counts_that_a_holder_of_the_keys_wrote() -> None:
    log = Log(NEW)
    log.write(put(PRODUCER))
    reader = Reader(NEW, log=log.records)
    assert (reader.state, reader.refused) == ({KEY: PRODUCER}, [])


def changed(record: Record, **fields: Any) -> Record:
    return msgspec.structs.replace(record, **fields)


def with_mac(record: Record, **fields: Any) -> Record:
    """The same record with another field in its MAC header."""
    headers = dict(record.headers or ())
    mac = parse_mac(headers[MAC_HEADER])
    assert mac is not None
    headers[MAC_HEADER] = msgspec.structs.replace(mac, **fields).encode()
    return changed(record, headers=list(headers.items()))


FORGERIES: dict[str, Callable[[Any], Record]] = {
    "no MAC": lambda _genuine: put(ADMIN),
    "a tombstone without MAC": lambda _genuine: gone(KEY),
    "another value under a genuine MAC": lambda genuine: changed(genuine, value=put(ADMIN).value),
    "a tombstone under a genuine MAC": lambda genuine: changed(genuine, value=None),
    "another key under a genuine MAC": lambda genuine: changed(genuine, key=b"client/eve"),
    "another write's id": lambda genuine: changed(genuine, headers=[("write-id", b"x"), genuine.headers[-1]]),
    "a greater sequence": lambda genuine: with_mac(genuine, sequence=1_000),
    "another installation": lambda genuine: with_mac(genuine, installation="other"),
    "an unknown key": lambda genuine: with_mac(genuine, key_id="0" * 12),
    "an empty digest": lambda genuine: with_mac(genuine, digest=""),
    "a digest that is no ASCII": lambda genuine: changed(genuine, headers=[(MAC_HEADER, "v1.a.b.9.ü".encode())]),
    "two MACs": lambda genuine: changed(genuine, headers=[*genuine.headers, genuine.headers[-1]]),
    "the same record once more": lambda genuine: genuine,
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_record_changes_nothing(name: str) -> None:
    log = Log(NEW)
    (genuine,) = log.write(put(PRODUCER))
    reader = Reader(NEW, log=[*log.records, FORGERIES[name](genuine)])
    assert reader.state == {KEY: PRODUCER}
    assert len(reader.refused) == 1


def test_a_right_that_was_revoked_cannot_be_written_back() -> None:
    """The copy of an old record has a MAC that is genuine; its sequence is an old one."""
    log = Log(NEW)
    (granted,) = log.write(put(ADMIN))
    log.write(put(PRODUCER))
    assert Reader(NEW, log=[*log.records, granted]).state == {KEY: PRODUCER}


def test_a_deleted_client_cannot_be_written_back_even_when_its_tombstone_is_compacted_away() -> None:
    log = Log(NEW)
    (granted,) = log.write(put(ADMIN))
    log.write(gone(KEY))
    (other,) = log.write(put(client("alice")))
    assert KEY not in Reader(NEW, log=[other, granted]).state


def test_within_one_transaction_the_order_counts_too() -> None:
    log = Log(NEW)
    granted, _ = log.write(put(ADMIN), gone(KEY))
    assert Reader(NEW, log=[*log.records, granted]).state == {}


def test_records_of_another_installation_with_the_same_keys_do_not_count() -> None:
    here, there = Log(NEW), Log(NEW)
    here.write(put(PRODUCER))
    for _ in range(5):
        (admin,) = there.write(put(ADMIN))
    reader = Reader(NEW, log=[*here.records, admin])
    assert reader.state == {KEY: PRODUCER}
    assert reader.refused == ["it is signed for another installation"]


def test_unsigned_records_count_until_the_first_signed_one() -> None:
    before = put(PRODUCER)
    log = Log(NEW)
    log.records.append(before)
    log.writer.read(before)
    assert list(log.writer.authenticity.unsigned) == [KEY]
    log.write(put(marker([log.writer.authenticity.newest], complete=False, now=0)))
    reader = Reader(NEW, log=[*log.records, put(ADMIN), gone(KEY)])
    assert reader.state[KEY] == PRODUCER
    assert len(reader.refused) == 2
    assert list(reader.authenticity.unsigned) == [KEY]
    log.write(put(PRODUCER))
    reader.read(log.records[-1])
    assert not reader.authenticity.unsigned


def test_a_marker_without_mac_announces_nothing() -> None:
    reader = Reader(NEW, log=[put(PRODUCER)])
    reader.read(put(marker(["0" * 12], complete=True, now=0)))
    assert reader.authenticity.sequence == 0
    reader.authenticity.check_keys()


def test_the_newest_key_signs_once_it_is_announced_and_the_older_one_is_still_understood() -> None:
    log = Log(OLD)
    log.write(put(marker([log.writer.authenticity.newest], complete=True, now=0)), put(PRODUCER))
    both = Reader(NEW, OLD, log=log.records).authenticity
    assert both.signing != both.newest
    log.writer = Reader(NEW, OLD, log=log.records)
    announcement = marker([*both.announced, both.newest], complete=True, now=0)
    log.write(put(announcement))
    assert Reader(OLD, log=log.records).refused == []
    log.write(put(ADMIN))
    reader = Reader(NEW, OLD, log=log.records)
    assert (reader.state[KEY], reader.refused) == (ADMIN, [])
    mac = parse_mac(dict(log.records[-1].headers or ())[MAC_HEADER])
    assert mac is not None
    assert mac.key_id == both.newest


def test_a_process_that_lacks_an_announced_key_does_not_start_and_repairs_nothing() -> None:
    log = Log(OLD)
    keys = MacKeys([NEW, OLD]).ids
    log.write(put(marker(keys[1:], complete=True, now=0)))
    log.writer = Reader(NEW, OLD, log=log.records)
    log.write(put(marker(keys, complete=True, now=0)))
    log.write(put(PRODUCER))
    behind = Authenticity(MacKeys([OLD]))
    behind.judge(Consumed(log.records[0]))  # type: ignore[arg-type]
    behind.judge(Consumed(log.records[1]))  # type: ignore[arg-type]
    behind.apply_marker(marker(keys, complete=True, now=0))
    with pytest.raises(Forged) as raised:
        behind.judge(Consumed(log.records[2]))  # type: ignore[arg-type]
    assert raised.value.unknown_key
    with pytest.raises(Misconfigured, match="HEADRACE_SECRET_KEYS lacks the key"):
        behind.check_keys()


def test_a_process_with_other_keys_does_not_start() -> None:
    log = Log(OLD)
    log.write(put(PRODUCER))
    reader = Reader(NEW, log=log.records)
    assert reader.state == {}
    with pytest.raises(Misconfigured, match="HEADRACE_SECRET_KEYS lacks the key"):
        reader.authenticity.check_keys()


def test_a_forged_record_of_an_unknown_key_is_put_right_where_no_such_key_is_announced() -> None:
    log = Log(NEW)
    (genuine,) = log.write(put(PRODUCER))
    with pytest.raises(Forged) as raised:
        log.writer.authenticity.judge(Consumed(with_mac(genuine, key_id="0" * 12)))  # type: ignore[arg-type]
    assert not raised.value.unknown_key


@pytest.mark.parametrize("header", [b"", b"v1", b"v2.a.b.1.c", b"v1.a.b.-1.c", b"v1.a.b.01.c", b"v1.a.b.x.c", b"\xff"])
def test_what_is_no_mac_is_not_taken_for_one(header: bytes) -> None:
    assert parse_mac(header) is None
