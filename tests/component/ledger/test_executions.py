"""Received events and the contracts run for them, on real databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from backbone.ledger.contract_calls import ExecutionQueries, ReceivedQuery
from backbone.ledger.rows import DeadDelivery, LedgerRows, RequestRow
from schemas.model.contract_call import ReceivedRequest
from schemas.model.delivery import Contract, GroupedDelivery, Outcome, SourceOffset
from tests.component.ledger.test_ledger import SECOND, T0, attempt, event_row

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from backbone.ledger.writer import LedgerWriter

ALL = ReceivedQuery(workspace="acme", namespace="events")


def grouped(event: str) -> GroupedDelivery:
    """Two contracts of order 1 and one of order 2."""
    return GroupedDelivery(
        event=event,
        workspace="acme",
        source=SourceOffset.parse(event_row(event).source_offset),
        contracts=(Contract(1, "a", "hook"), Contract(1, "b", "hook"), Contract(2, "c", "other")),
        routed_at=T0 + 10,
    )


def request_row(event: str, request: ReceivedRequest) -> RequestRow:
    text = request.to_header().decode()
    return RequestRow(workspace="acme", event=event, request=text, retry_of=request.retry_of, received_at=T0)


@pytest.fixture
def queries(engine: Engine, writer: LedgerWriter) -> ExecutionQueries:
    """Three events: of e1 one contract failed and one has not been run, e2 went well, e3 has no contracts."""
    first, second, _ = grouped("e1").deliveries()
    batch = LedgerRows(
        events=[event_row(f"e{number}", received_at=T0 + number * SECOND) for number in (1, 2, 3)],
        deliveries=[*grouped("e1").deliveries(), *grouped("e2").deliveries()],
        contracts=[grouped("e1"), grouped("e2")],
        attempts=[
            attempt(first, 1, Outcome.DELIVERED, execution="sealed"),
            attempt(second, 1, Outcome.DEAD),
            *(attempt(each, 1, Outcome.DELIVERED) for each in grouped("e2").deliveries()),
        ],
        dead=[DeadDelivery(second, "it failed")],
        requests=[request_row("e1", ReceivedRequest(url="http://here/event/send", query={"a": "b"}))],
    )
    writer.write(batch)
    writer.write(batch)
    return ExecutionQueries(engine)


def test_received_events_are_paged_with_the_states_of_their_contracts(queries: ExecutionQueries) -> None:
    assert queries.count(ALL) == 3
    assert [each.id for each in queries.page(ALL, limit=2, offset=0, newest_first=True)] == ["e3", "e2"]
    first, *others = queries.page(ALL, limit=9, offset=0, newest_first=False)
    assert (first.id, first.code, first.received_at, bytes(first.data)) == (
        "e1",
        "Order",
        T0 + SECOND,
        b'{"total":125.50}',
    )
    assert first.request == ReceivedRequest(url="http://here/event/send", query={"a": "b"})
    assert first.states == ("processed", "error")
    assert [(each.id, each.states) for each in others] == [("e2", ("processed",) * 3), ("e3", ())]


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({"state": "error"}, ["e1"]),
        ({"state": "processed"}, ["e1", "e2"]),
        ({"state": "retried"}, []),
        ({"event": "e2"}, ["e2"]),
        ({"event": "none"}, []),
        ({"topics": (event_row().topic,)}, ["e1", "e2", "e3"]),
        ({"topics": ()}, []),
        ({"since": T0 + 2 * SECOND}, ["e2", "e3"]),
        ({"until": T0 + 2 * SECOND}, ["e1", "e2"]),
        ({"workspace": "other"}, []),
        ({"namespace": "other"}, []),
    ],
)
def test_received_events_are_found_by_conditions(
    queries: ExecutionQueries, conditions: dict[str, object], found: list[str]
) -> None:
    query = msgspec.structs.replace(ALL, **conditions)

    assert [each.id for each in queries.page(query, limit=9, offset=0, newest_first=False)] == found
    assert queries.count(query) == len(found)


def test_an_event_is_found_in_its_own_namespace_only(queries: ExecutionQueries) -> None:
    assert queries.event("acme", "events", "e1") is not None
    assert queries.event("acme", "eventhos", "e1") is None
    assert queries.event("other", "events", "e1") is None


def test_the_contracts_of_an_event_that_were_run(queries: ExecutionQueries) -> None:
    processed, failed = queries.contracts("acme", "e1")

    assert (processed.contract, processed.state, processed.attempts) == ("a", "processed", 1)
    assert (failed.contract, failed.state, failed.outcome, failed.error) == ("b", "error", Outcome.DEAD, "status 500")
    assert queries.contract("acme", failed.delivery) == failed
    assert queries.contract("other", failed.delivery) is None
    assert queries.execution(processed.delivery) == "sealed"
    assert queries.execution(failed.delivery) is None


def test_a_failed_contract_that_was_sent_again_is_retried(queries: ExecutionQueries, writer: LedgerWriter) -> None:
    failed = queries.contracts("acme", "e1")[1]
    again = event_row("e4", received_at=T0 + 4 * SECOND)
    writer.write(LedgerRows(events=[again], requests=[request_row("e4", ReceivedRequest(retry_of=failed.delivery))]))

    assert [each.state for each in queries.contracts("acme", "e1")] == ["processed", "retried"]
    assert queries.count(msgspec.structs.replace(ALL, state="retried")) == 1
    assert queries.count(msgspec.structs.replace(ALL, state="error")) == 0


def test_a_failed_contract_that_was_aborted_stays_so(queries: ExecutionQueries, writer: LedgerWriter) -> None:
    second = grouped("e1").deliveries()[1]
    writer.write(LedgerRows(attempts=[attempt(second, 2, Outcome.ABORTED)]))
    writer.write(LedgerRows(attempts=[attempt(second, 1, Outcome.DEAD)], dead=[DeadDelivery(second, "it failed")]))

    assert [each.state for each in queries.contracts("acme", "e1")] == ["processed", "aborted"]


def test_what_was_shown_of_executions_expires_with_the_rest(queries: ExecutionQueries, writer: LedgerWriter) -> None:
    writer.expire(T0 + 60 * SECOND)

    assert queries.count(ALL) == 0
    assert queries.contracts("acme", "e1") == []
    assert queries.execution(grouped("e1").deliveries()[0].id) is None
