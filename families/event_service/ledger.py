"""Counts and pages of events by their times, and by members of their data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, cast, func, or_, select, type_coerce

from backbone.ledger.readable import ordered_page, readable_parts
from backbone.ledger.reading import read_rows, read_whole_page
from backbone.ledger.tables import EVENTS
from families.event_service.search import FoundEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Engine, Row, Select

    from families.event_service.search import EventSearch, Path
    from schemas.security.budget import AnswerBudget
    from schemas.security.reading import ReadScope


class EventSearches:
    """Blocking, and usable from any thread; all methods raise ``Unavailable`` when the database cannot be reached."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def count(self, scope: ReadScope, search: EventSearch) -> int:
        """How many events the reader may see."""
        conditions = self._conditions(search)
        counts = [
            select(func.count()).select_from(EVENTS).where(*part.conditions, *conditions).scalar_subquery()
            for part in readable_parts(self._engine, scope, apart=True)
        ]
        return sum(self._rows(select(*counts))[0])

    def page(
        self,
        scope: ReadScope,
        search: EventSearch,
        *,
        offset: int,
        limit: int,
        by_time: bool = False,
        newest_first: bool = True,
        budget: AnswerBudget | None = None,
    ) -> tuple[FoundEvent, ...]:
        """At most ``limit`` events that the reader may see, after the first ``offset``.

        They are ordered by when they were accepted, or happened.

        Events of one instant are ordered by id, so that pages neither repeat nor miss one.

        Raises:
            InvalidRequest: they have too much data for one answer, or for what is left of its budget.
        """
        table = EVENTS.c
        conditions = self._conditions(search)

        def order(of: Any) -> list[ColumnElement[Any]]:
            columns = (of.time if by_time else of.received_at, of.id)
            return [each.desc() if newest_first else each.asc() for each in columns]

        page = ordered_page(
            [table.id, table.code, table.time, table.received_at, table.data],
            [[*part.conditions, *conditions] for part in readable_parts(self._engine, scope)],
            order,
            limit=limit,
            offset=offset,
        )
        return tuple(map(FoundEvent._make, read_whole_page(self._engine, page, budget)))

    def _conditions(self, search: EventSearch) -> list[ColumnElement[bool]]:
        table = EVENTS.c
        conditions: list[ColumnElement[bool]] = []
        if search.id is not None:
            conditions.append(table.id == search.id)
        if search.code is not None:
            conditions.append(table.code == search.code)
        if search.earliest is not None:
            conditions.append(table.time >= search.earliest)
        if search.latest is not None:
            conditions.append(table.time <= search.latest)
        for places, text in search.members:
            conditions.append(or_(*(self._member(place) == text for place in places)))
        return conditions

    def _member(self, path: Path) -> ColumnElement[str]:
        if self._engine.dialect.name == "sqlite":
            # SQLite reads JSON in a text column; a cast would make a number of it.
            data: ColumnElement[Any] = type_coerce(EVENTS.c.data, JSON)
        else:
            # One event with this character would have PostgreSQL refuse to look into any of them.
            data = cast(func.replace(EVENTS.c.data, r"\u0000", r"\ufffd"), JSON)
        member: ColumnElement[str] = data[path].as_string()
        return member

    def _rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        return read_rows(self._engine, statement)
