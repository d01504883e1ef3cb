"""``ledger.lists``: how long the delivery log's lists take, over deliveries that SQL generated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from backbone.ledger.delivery_counts import HOUR, CountQuery, DeliveryCounts
from backbone.ledger.delivery_log import DeliveryLog, DeliveryQuery
from backbone.ledger.tables import DELIVERIES, EVENTS, IDENTIFIERS, open_ledger
from backbone.ledger.writer import LedgerWriter
from operations.bench.measure import Figure, percentile
from operations.bench.postgresql import installed, postgresql
from schemas.model.standing import Reason, Standing
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from operations.bench.rig import Rig

# ruff: noqa: S608  # SQL of numbers that stand here
_GOAL = 100.0
"""Milliseconds, of the slowest list at the median, on PostgreSQL."""

_TIMES = 9
"""That each list is asked for."""

_ENDPOINTS, _TYPES, _DELIVERIES_OF_EVENT = 200, 20, 10
_OWN = 50
"""Endpoints of the client that asks for its deliveries."""

_BEGINNING = 1_700_000_000_000_000
_SPAN = 30 * 24 * HOUR

_WORKSPACE = ReadScope(workspace="acme")
_CLIENT = ReadScope(workspace="acme", client="crm", endpoints=frozenset(f"endpoint-{number}" for number in range(_OWN)))

_PAST_MEMORY = ("shared_buffers=512MB", "maintenance_work_mem=512MB", "max_wal_size=8GB", "synchronous_commit=off")


class _Dialect(NamedTuple):
    """What databases write differently: numbers ``n`` from 0, an id in no order, and an event's id."""

    series: str
    id: str
    event: str


_SQLITE = _Dialect(
    "(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {rows}) SELECT n FROM s)",
    "printf('%08x-%08x', (n * 2654435761) % 4294967296, n)",
    "printf('event-%08x', n / {share})",
)
_POSTGRESQL = _Dialect(
    "(SELECT g::bigint AS n FROM generate_series(0, {rows} - 1) AS g)",
    "lpad(to_hex((n * 2654435761) % 4294967296), 8, '0') || '-' || lpad(to_hex(n), 8, '0')",
    "'event-' || lpad(to_hex(n / {share}), 8, '0')",
)


def figures(rig: Rig) -> list[Figure]:
    """Lists of a ledger in SQLite, and in PostgreSQL where its programs are installed."""
    found = [_figure("ledger.lists.sqlite", f"sqlite:///{rig.home}/lists.sqlite3", rig.deliveries, goal=None)]
    programs = installed()
    if programs is None:
        print("No PostgreSQL is installed: ledger.lists is left out.")
        return found
    with postgresql(programs, _PAST_MEMORY) as url:
        shown = url.render_as_string(hide_password=False)
        found.append(_figure("ledger.lists", shown, rig.deliveries, goal=1.0))
    return found


def _figure(stage: str, url: str, deliveries: int, *, goal: float | None) -> Figure:
    engine = open_ledger(url)
    try:
        _generate(engine, deliveries)
        medians = {name: _median(ask) for name, ask in _lists(engine, deliveries).items()}
    finally:
        engine.dispose()
    for name, milliseconds in medians.items():
        print(f"  {stage} {name}: {milliseconds:,.1f} ms")
    lists = {name: each for name, each in medians.items() if not name.startswith("counts")}
    slowest = max(lists, key=lambda name: lists[name])
    counts = ", ".join(f"{name} {each:,.0f} ms" for name, each in medians.items() if name not in lists)
    return Figure(
        stage=stage,
        value=lists[slowest],
        unit="ms p50",
        yardstick=_GOAL,
        ratio=_GOAL / lists[slowest],
        goal=goal,
        against="goal",
        wall=f"{deliveries:,} deliveries; the slowest of {len(lists)} is {slowest}; {counts}",
    )


def _generate(engine: Engine, deliveries: int) -> None:
    """Fill an empty ledger: 1 of 50 deliveries is dead, 1 of 100 retrying, and the last 1 of 1,000 are pending."""
    LedgerWriter(engine).create()
    indexes = [index for table in (DELIVERIES, EVENTS, IDENTIFIERS) for index in table.indexes]
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        for index in indexes:
            index.drop(connection)
        for statement in _statements(_SQLITE if is_sqlite else _POSTGRESQL, deliveries):
            connection.execute(text(statement))
        for index in indexes:
            index.create(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if is_sqlite else "VACUUM ANALYZE"))


def _statements(dialect: _Dialect, deliveries: int) -> list[str]:
    events = deliveries // _DELIVERIES_OF_EVENT
    code = f"'Type-' || ((n / {_DELIVERIES_OF_EVENT}) % {_TYPES})"
    apart = max(1, _SPAN // deliveries)
    return [
        f"""
        INSERT INTO deliveries (id, run, source_offset, workspace, event, endpoint, subscriptions, routed_at, attempts,
            outcome, status, changed_at, topic, standing, reason)
        SELECT {dialect.id}, 'live', topic || '/0/' || n, 'acme', event, 'endpoint-' || (n % {_ENDPOINTS}), 's', at,
            CASE standing WHEN 'pending' THEN 0 ELSE 1 END, CASE standing WHEN 'pending' THEN NULL ELSE standing END,
            CASE standing WHEN 'delivered' THEN 204 WHEN 'dead' THEN 500 WHEN 'retrying' THEN 503 END,
            at, topic, standing, CASE WHEN standing = 'dead' AND n % 1000 = 57 THEN 'timeout'
                WHEN standing IN ('dead', 'retrying') THEN 'server_error' END
        FROM (
            SELECT n, {dialect.event.format(share=_DELIVERIES_OF_EVENT)} AS event,
                'events.acme.shop.' || {code} AS topic, {_BEGINNING} + n * {apart} AS at,
                CASE WHEN n > {deliveries} * 0.999 THEN 'pending' WHEN n % 50 = 7 THEN 'dead'
                    WHEN n % 100 = 9 THEN 'retrying' ELSE 'delivered' END AS standing
            FROM {dialect.series.format(rows=deliveries)} AS numbers
        ) AS made""",
        f"""
        INSERT INTO events (workspace, id, topic, source_offset, namespace, code, source, time, received_at,
            identifiers, data, producer_id)
        SELECT 'acme', {dialect.event.format(share=1)}, 'events.acme.shop.Type-' || (n % {_TYPES}), 'x/0/' || n, 'shop',
            'Type-' || (n % {_TYPES}), 'client-' || (n % 10), {_BEGINNING} + n, {_BEGINNING} + n, '[]', '{{}}',
            'P-' || n
        FROM {dialect.series.format(rows=events)} AS numbers""",
        f"""
        INSERT INTO identifiers (workspace, event, name, value, received_at)
        SELECT 'acme', {dialect.event.format(share=1)}, 'order', 'A-' || n, {_BEGINNING} + n
        FROM {dialect.series.format(rows=events)} AS numbers""",
    ]


def _lists(engine: Engine, deliveries: int) -> dict[str, Callable[[], object]]:
    log, counts = DeliveryLog(engine), DeliveryCounts(engine)
    some = "endpoint-7"
    end = _BEGINNING + _SPAN
    deep = log.page(_WORKSPACE, DeliveryQuery(until=_BEGINNING + _SPAN // 2), limit=50).cursor
    of_id = log.page(_WORKSPACE, DeliveryQuery(), limit=1).deliveries[0].delivery.id
    number = deliveries // _DELIVERIES_OF_EVENT // 2

    def page(scope: ReadScope = _WORKSPACE, cursor: str | None = None, **conditions: object) -> Callable[[], object]:
        query = DeliveryQuery(**conditions)  # type: ignore[arg-type]  # a table of examples
        return lambda: log.page(scope, query, limit=50, cursor=cursor)

    def count(hours: int, **conditions: object) -> Callable[[], object]:
        query = CountQuery(since=end - hours * HOUR, until=end, **conditions)  # type: ignore[arg-type]
        return lambda: counts.counts(_WORKSPACE, query)

    dead = (Standing.DEAD,)
    return {
        "the newest": page(),
        "a page in the middle": page(cursor=deep),
        "of an endpoint": page(endpoint=some),
        "of a client's endpoints": page(_CLIENT),
        "dead": page(standings=dead),
        "dead of an endpoint": page(endpoint=some, standings=dead),
        "dead or retrying of a client's endpoints": page(_CLIENT, standings=(Standing.DEAD, Standing.RETRYING)),
        "aborted, of which there are none": page(standings=(Standing.ABORTED,)),
        "delivered of an endpoint": page(endpoint=some, standings=(Standing.DELIVERED,)),
        "of a type": page(topics=("events.acme.shop.Type-3",)),
        "dead of a type": page(topics=("events.acme.shop.Type-3",), standings=dead),
        "a rare reason": page(reasons=(Reason.TIMEOUT,), standings=dead),
        "a reason without a delivery": page(reasons=(Reason.FORBIDDEN,), standings=dead),
        "a class of statuses of an endpoint": page(endpoint=some, standings=dead, statuses=(500, 599)),
        "a span": page(since=_BEGINNING + _SPAN // 3, until=_BEGINNING + _SPAN // 3 + HOUR),
        "by its id": page(any_id=of_id),
        "by its event": page(any_id=f"event-{number:08x}"),
        "by its producer's id": page(any_id=f"P-{number}"),
        "by an identifier": page(identifier=f"A-{number}"),
        "by the beginning of many identifiers": page(identifier="A-1"),
        "one with its attempts": lambda: log.delivery(_WORKSPACE, of_id),
        "counts of an hour": count(1),
        "counts of a day": count(24),
        "counts of a week of an endpoint": count(168, endpoint=some),
    }


def _median(ask: Callable[[], object]) -> float:
    taken = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - started) * 1e3)
    return percentile(taken, 0.5)
