"""Reads what families that show their executions need (eventhos): received events, and the contracts run for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, case, exists, func, or_, select

from backbone.ledger.reading import read_rows, read_whole_page
from backbone.ledger.tables import CONTRACTS, DELIVERIES, EVENTS, EXECUTIONS, REQUESTS
from schemas.model.contract_call import ReceivedRequest, read_request
from schemas.model.delivery import Outcome, SourceOffset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Engine, Row, Select

_AGAIN = REQUESTS.alias("again")
"""The requests of events that are contracts sent again."""

_STATE = case(
    (exists().where(_AGAIN.c.retry_of == DELIVERIES.c.id), "retried"),
    (DELIVERIES.c.outcome == Outcome.ABORTED.value, "aborted"),
    (DELIVERIES.c.outcome == Outcome.DELIVERED.value, "processed"),
    else_="error",
)

_RUN = and_(
    DELIVERIES.c.id == CONTRACTS.c.delivery,
    or_(DELIVERIES.c.outcome.is_not(None), DELIVERIES.c.dead_reason.is_not(None)),
)
"""A contract is shown once it has been run, or given up because it cannot be."""


class ReceivedQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which events: all of the conditions given. ``since`` ≤ received time ≤ ``until``, in microseconds.

    Attributes:
        topics: of their event types; None for all of the namespace.
        state: of one of the contracts run for it: ``processed``, ``error``, ``aborted`` or ``retried``.
    """

    workspace: str
    namespace: str
    topics: tuple[str, ...] | None = None
    event: str | None = None
    since: int | None = None
    until: int | None = None
    state: str | None = None


class ReceivedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event with the request it came with; ``data`` is its JSON, ``states`` those of the contracts run for it."""

    id: str
    code: str
    received_at: int
    request: ReceivedRequest
    data: msgspec.Raw
    states: tuple[str, ...] = ()


class ExecutedContract(msgspec.Struct, frozen=True, kw_only=True):
    """One contract that was run for an event.

    Attributes:
        delivery: its id.
        contract: the subscription's id.
        attempts, run, outcome: where the delivery stands.
        changed_at: microseconds since the epoch.
    """

    delivery: str
    workspace: str
    event: str
    contract: str
    endpoint: str
    source: SourceOffset
    run: str
    state: str
    outcome: Outcome
    attempts: int
    error: str | None
    changed_at: int


class ExecutionQueries:
    """Blocking, and usable from any thread; every method raises ``Unavailable`` when the database cannot be read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, query: ReceivedQuery, *, limit: int, offset: int, newest_first: bool) -> list[ReceivedEvent]:
        """Some of the events, by the time they were received.

        Raises:
            InvalidRequest: they have too much data for one answer.
        """
        table = EVENTS.c
        by = (table.received_at.desc(), table.id.desc()) if newest_first else (table.received_at, table.id)
        page = _received().where(*_conditions(query)).order_by(*by).limit(limit).offset(offset)
        found = [_event(row) for row in read_whole_page(self._engine, page)]
        states = self._states(query.workspace, [event.id for event in found])
        return [msgspec.structs.replace(event, states=tuple(states.get(event.id, ()))) for event in found]

    def count(self, query: ReceivedQuery) -> int:
        """How many events there are."""
        rows = self._rows(select(func.count().label("events")).select_from(EVENTS).where(*_conditions(query)))
        return int(rows[0].events)

    def event(self, workspace: str, namespace: str, event_id: str) -> ReceivedEvent | None:
        """One event of a namespace, without states; None when the ledger does not have it (yet)."""
        of_family = (EVENTS.c.workspace == workspace, EVENTS.c.namespace == namespace)
        rows = self._rows(_received().where(EVENTS.c.id == event_id, *of_family))
        return _event(rows[0]) if rows else None

    def contracts(self, workspace: str, event_id: str) -> list[ExecutedContract]:
        """The contracts that were run for an event, in their order."""
        return self._contracts(CONTRACTS.c.workspace == workspace, CONTRACTS.c.event == event_id)

    def contract(self, workspace: str, delivery: str) -> ExecutedContract | None:
        """One contract that was run, by its delivery's id."""
        found = self._contracts(CONTRACTS.c.workspace == workspace, CONTRACTS.c.delivery == delivery)
        return found[0] if found else None

    def execution(self, delivery: str) -> str | None:
        """What was sent and answered last, sealed; None when nothing was."""
        latest = select(EXECUTIONS).where(EXECUTIONS.c.delivery == delivery)
        rows = self._rows(latest.order_by(EXECUTIONS.c.started_at.desc()).limit(1))
        return str(rows[0].execution) if rows else None

    def _contracts(self, *conditions: ColumnElement[bool]) -> list[ExecutedContract]:
        joined = select(CONTRACTS, DELIVERIES, _STATE.label("state")).join(DELIVERIES, _RUN)
        latest = joined.where(*conditions).order_by(CONTRACTS.c.place, CONTRACTS.c.contract, DELIVERIES.c.changed_at)
        # A delivery that was redriven has a row for each run: the last one counts.
        return list({row.delivery: _contract(row) for row in self._rows(latest)}.values())

    def _states(self, workspace: str, events: Sequence[str]) -> dict[str, list[str]]:
        joined = select(CONTRACTS.c.event, CONTRACTS.c.delivery, _STATE.label("state")).join(DELIVERIES, _RUN)
        chosen = joined.where(CONTRACTS.c.workspace == workspace, CONTRACTS.c.event.in_(events))
        found: dict[str, dict[str, str]] = {}
        for row in self._rows(chosen.order_by(CONTRACTS.c.place, CONTRACTS.c.contract, DELIVERIES.c.changed_at)):
            found.setdefault(row.event, {})[row.delivery] = row.state
        return {event: list(states.values()) for event, states in found.items()}

    def _rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        return read_rows(self._engine, statement)


def _received() -> Select[Any]:
    of_event = and_(REQUESTS.c.workspace == EVENTS.c.workspace, REQUESTS.c.event == EVENTS.c.id)
    columns = (EVENTS.c.id, EVENTS.c.code, EVENTS.c.received_at, EVENTS.c.data, REQUESTS.c.request)
    return select(*columns).select_from(EVENTS.outerjoin(REQUESTS, of_event))


def _conditions(query: ReceivedQuery) -> list[ColumnElement[bool]]:
    table = EVENTS.c
    conditions = [table.workspace == query.workspace, table.namespace == query.namespace]
    if query.topics is not None:
        conditions.append(table.topic.in_(query.topics))
    if query.event is not None:
        conditions.append(table.id == query.event)
    if query.since is not None:
        conditions.append(table.received_at >= query.since)
    if query.until is not None:
        conditions.append(table.received_at <= query.until)
    if query.state is not None:
        run = select(CONTRACTS.c.delivery).join(DELIVERIES, _RUN)
        of_event = and_(CONTRACTS.c.workspace == table.workspace, CONTRACTS.c.event == table.id)
        conditions.append(run.where(of_event, _STATE.in_([query.state])).correlate(EVENTS).exists())
    return conditions


def _event(row: Row[Any]) -> ReceivedEvent:
    return ReceivedEvent(
        id=row.id,
        code=row.code,
        received_at=row.received_at,
        request=(read_request(row.request) if row.request else None) or ReceivedRequest(),
        data=msgspec.Raw(row.data.encode()),
    )


def _contract(row: Row[Any]) -> ExecutedContract:
    return ExecutedContract(
        delivery=row.delivery,
        workspace=row.workspace,
        event=row.event,
        contract=row.contract,
        endpoint=row.endpoint,
        source=SourceOffset.parse(row.source_offset),
        run=row.run,
        state=row.state,
        outcome=Outcome(row.outcome or Outcome.DEAD),
        attempts=row.attempts,
        error=row.error if row.outcome else row.dead_reason,
        changed_at=row.changed_at,
    )
