"""The audit log on real Kafka: what writes leave in it, its pages, and records that nobody of ours wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.accounts import Accounts
from backbone.catalog.audit import ACTOR
from backbone.catalog.audit_log import AuditPage, AuditQuery, audit_page
from backbone.catalog.secrets import SecretBox
from backbone.catalog.writer import Changes
from backbone.kafka.records import Record
from backbone.thread_turns import ThreadTurns
from schemas.model import topics
from schemas.model.access import Client, Role
from schemas.model.audit import Actor, AuditAction, AuditEntry, FieldChange
from tests.component.catalog.test_poison import everything, produce
from tests.support.running_gateway import SECRET_KEYS

if TYPE_CHECKING:
    from backbone.kafka.settings import KafkaSettings
    from tests.component.catalog.conftest import Node

ALICE = Client(id="alice", workspace="elsewhere", name="Alice", created_at=1, updated_at=1)


def page(kafka: KafkaSettings, node: Node, query: AuditQuery, limit: int = 100, before: int | None = None) -> AuditPage:
    return audit_page(
        kafka, node.catalog.authenticity, query, limit=limit, before=before, seconds=20, turns=ThreadTurns()
    )


async def test_a_write_says_who_changed_what(kafka: KafkaSettings, node: Node, unique: str) -> None:
    accounts = Accounts(node.catalog, node.writer, SecretBox([SECRET_KEYS]))
    await accounts.create_workspace(unique)
    ACTOR.set(ALICE)
    client = await accounts.create_client(unique, "Shop", roles=(Role.PRODUCER,))
    key, plaintext = await accounts.issue_key(unique, client.id)
    await accounts.update_client(unique, client.id, disabled=True)
    await accounts.update_client(unique, client.id, disabled=True)
    await accounts.delete_client(unique, client.id)

    entries = page(kafka, node, AuditQuery(unique)).entries
    assert [(each.action.value, each.kind, each.id) for each in entries] == [
        ("deleted", "api_key", key.id),
        ("deleted", "client", client.id),
        ("changed", "client", client.id),
        ("created", "api_key", key.id),
        ("created", "client", client.id),
        ("created", "workspace", unique),
    ]
    assert entries[2].fields == (FieldChange(name="disabled", before=False, after=True),)
    assert entries[0].write == entries[1].write != entries[2].write
    assert [each.actor for each in entries] == [*5 * [Actor(client="alice", workspace="elsewhere", name="Alice")], None]
    values = b"".join(each.value() or b"" for each in everything(kafka, topics.AUDIT))
    assert plaintext.encode() not in values
    assert key.digest.encode() not in values

    by_alice = AuditQuery(unique, actor="alice", kind="client", since=entries[4].at, until=entries[1].at)
    assert page(kafka, node, by_alice).entries == [entries[2], entries[4]]
    assert page(kafka, node, AuditQuery(unique, id=key.id)).entries == [entries[0], entries[3]]
    assert page(kafka, node, AuditQuery(unique, since=entries[0].at + 60_000_000)).entries == []


async def test_pages_go_back_to_the_first_entry(kafka: KafkaSettings, node: Node, unique: str) -> None:
    names = [f"{unique}-{number}" for number in range(450)]
    clients = [Client(id=each, workspace=unique, name=each, created_at=1, updated_at=1) for each in names]
    await node.writer.write(lambda _view: Changes(put=clients, result=None))
    found: list[str] = []
    before = None
    while True:
        entries, before = page(kafka, node, AuditQuery(unique), limit=100, before=before)
        assert len(entries) <= 100
        found += [each.id for each in entries]
        if before is None:
            break
    assert found == names[::-1]


async def test_entries_that_nobody_of_ours_wrote_are_not_shown(kafka: KafkaSettings, node: Node, unique: str) -> None:
    accounts = Accounts(node.catalog, node.writer, SecretBox([SECRET_KEYS]))
    await accounts.create_workspace(unique)
    (genuine,) = page(kafka, node, AuditQuery(unique)).entries
    forged = AuditEntry(
        write="w", at=genuine.at, workspace=unique, actor=None, action=AuditAction.DELETED, kind="client", id="x"
    )
    (record,) = [each for each in everything(kafka, topics.AUDIT) if unique.encode() in (each.value() or b"")]
    changed = msgspec.json.encode(msgspec.structs.replace(genuine, id="another"))
    for value, headers in ((forged.to_json(), None), (b"{", None), (changed, record.headers())):
        await produce(kafka, Record(topics.AUDIT, value, unique.encode(), headers))
    assert page(kafka, node, AuditQuery(unique)).entries == [genuine]
