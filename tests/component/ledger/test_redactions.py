"""Redacted events: their payload is in none of the ledger's rows, whenever these are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from sqlalchemy import Text, select

from backbone.ledger.queries import LedgerQueries
from backbone.ledger.rows import EventRow, IdentifierRow, LedgerRows, RequestRow
from backbone.ledger.tables import METADATA
from schemas.model.delivery import Attempt, Delivery, Outcome, SourceOffset
from schemas.model.ids import attempt_id, delivery_id
from schemas.model.kept_request import KeptRequest
from schemas.model.redaction import Redaction
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from backbone.ledger.writer import LedgerWriter

T0 = 1_700_000_000_000_000
SECRET = "jane@example.com"
SOURCE = SourceOffset("events.acme.shop.Order", 0, 7)


def rows_of(event: str, workspace: str = "acme") -> list[LedgerRows]:
    """Everything that the ledger learns of an event and its only delivery, each in a batch of its own."""
    row = EventRow(
        workspace=workspace,
        id=event,
        topic=SOURCE.topic,
        source_offset=str(SOURCE),
        namespace="shop",
        code="Order",
        source="shop",
        subject=SECRET,
        time=T0,
        received_at=T0,
        channel=None,
        identifiers=f'[{{"name":"mail","value":"{SECRET}"}}]',
        data=f'"{SECRET}"',
        producer_id=None,
        extensions=f'{{"mail":"{SECRET}"}}',
    )
    sent = Delivery(
        id=delivery_id(event, workspace),
        event=event,
        endpoint="hook",
        workspace=workspace,
        source=SOURCE,
        subscriptions=("s",),
        routed_at=T0,
    )
    made = Attempt(
        id=attempt_id(sent.id, "live", 1),
        delivery=sent.id,
        event=event,
        endpoint="hook",
        workspace=workspace,
        source=SOURCE,
        run="live",
        number=1,
        outcome=Outcome.DELIVERED,
        started_at=T0,
        duration=0.1,
        status=200,
        request=KeptRequest(method="POST", url="https://example.com/", body=SECRET),
        response=SECRET,
        response_head={"X-Echo": SECRET},
        execution=SECRET,
    )
    request = RequestRow(workspace=workspace, event=event, request=SECRET, retry_of=None, received_at=T0)
    name = IdentifierRow(workspace=workspace, event=event, name="mail", value=SECRET, received_at=T0)
    return [
        LedgerRows(events=[row], identifiers=[name], requests=[request]),
        LedgerRows(deliveries=[sent]),
        LedgerRows(attempts=[made]),
    ]


def redaction(event: str, workspace: str = "acme") -> LedgerRows:
    return LedgerRows(redactions=[Redaction(workspace=workspace, event=event, client="c", redacted_at=T0 + 9)])


def cells_with_secret(engine: Engine) -> set[str]:
    found = set()
    with engine.connect() as connection:
        for table in METADATA.sorted_tables:
            for column in table.c:
                if isinstance(column.type, Text):
                    values = connection.execute(select(column)).scalars()
                    found |= {f"{table.name}.{column.name}" for value in values if value and SECRET in value}
    return found


@pytest.mark.parametrize("place", range(4))
def test_a_redacted_payload_is_nowhere_whenever_its_rows_come(engine: Engine, writer: LedgerWriter, place: int) -> None:
    batches = rows_of("e1")
    batches.insert(place, redaction("e1"))
    for batch in (*batches, *batches):
        writer.write(batch)

    assert cells_with_secret(engine) == set()
    event = LedgerQueries(engine).event(ReadScope(workspace="acme"), "e1")
    assert event is not None
    assert (bytes(event.data), event.subject, event.redacted_at) == (b"null", None, T0 + 9)
    (sent,) = event.deliveries
    assert (sent.outcome, sent.tries[0].status) == (Outcome.DELIVERED, 200)
    assert (sent.tries[0].request, sent.tries[0].response) == (None, None)


def test_rows_of_one_batch_are_redacted(engine: Engine, writer: LedgerWriter) -> None:
    event, delivery, attempt = rows_of("e1")
    writer.write(redaction("e1"))
    writer.write(structs.replace(event, deliveries=delivery.deliveries, attempts=attempt.attempts))
    assert cells_with_secret(engine) == set()


def test_other_events_keep_theirs(engine: Engine, writer: LedgerWriter) -> None:
    for batch in (*rows_of("e1"), *rows_of("e2"), *rows_of("e1", "umbrella")):
        writer.write(batch)
    before = cells_with_secret(engine)
    writer.write(redaction("e1"))

    assert cells_with_secret(engine) == before
    assert len(before) == 10
    queries = LedgerQueries(engine)
    for workspace, event in (("acme", "e2"), ("umbrella", "e1")):
        found = queries.event(ReadScope(workspace=workspace), event)
        assert found is not None
        assert (found.redacted_at, found.subject, found.deliveries[0].tries[0].response) == (None, SECRET, SECRET)


def test_a_rebuilt_ledger_is_redacted_again(engine: Engine, writer: LedgerWriter) -> None:
    for batch in (*rows_of("e1"), redaction("e1")):
        writer.write(batch)
    writer.drop()
    writer.create()
    for batch in (*rows_of("e1"), redaction("e1")):
        writer.write(batch)
    assert cells_with_secret(engine) == set()
