"""Growths of event types' topics: started by an operator, and carried on by every process of the HTTP plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.type_changes import MOST_PARTITIONS, existing_event_type
from backbone.catalog.writer import Changes
from schemas.model import timestamps
from schemas.model.errors import Conflict, InvalidRequest, NotFound, Problem, Unavailable
from schemas.model.growth import Growth, GrowthOrder, GrowthState
from schemas.model.ids import new_id
from schemas.model.operational_event import is_operational

if TYPE_CHECKING:
    from backbone.catalog.bounds import CatalogBounds
    from backbone.catalog.reader import Catalog
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from backbone.kafka.admin import Admin
    from schemas.model.event_type import EventType
    from schemas.model.resources import Resource


class Growths:
    """Starts growths and takes them from one state to the next, each time under the writer lock of the catalog.

    Args:
        catalog, writer, admin: of this process.
    """

    def __init__(self, catalog: Catalog, writer: CatalogWriter, admin: Admin) -> None:
        self._catalog = catalog
        self._writer = writer
        self._admin = admin

    async def begin(self, topic: str, partitions: int, order: GrowthOrder, by: str) -> Growth:
        """Begin a growth; of two requests for the same one, the first counts.

        The new partitions are there before the catalog speaks of them: nothing is published to them until then.

        Raises:
            InvalidRequest, Conflict, QuotaExceeded: as ``check_growth``.
            NotFound: there is no such event type.
            Unavailable: Kafka does not answer.
        """
        await self._catalog.caught_up()
        view = self._catalog.view
        event_type, bounds = existing_event_type(view, topic), self._writer.bounds
        if (running := check_growth(view, event_type, partitions, order, bounds)) is not None:
            return running
        await self._have_partitions(topic, partitions)

        def decide(view: CatalogView) -> Changes[Growth]:
            event_type = existing_event_type(view, topic)
            if (running := check_growth(view, event_type, partitions, order, bounds)) is not None:
                return Changes(result=running)
            now = timestamps.now()
            is_kept = order is GrowthOrder.KEEP
            growth = Growth(
                id=new_id(),
                workspace=event_type.workspace,
                topic=topic,
                before=event_type.effective_partitions,
                partitions=partitions,
                order=order,
                state=GrowthState.FREEZING if is_kept else GrowthState.DONE,
                requested_by=by,
                created_at=now,
                updated_at=now,
            )
            return Changes(put=[growth] if is_kept else [_grown(event_type, partitions), growth], result=growth)

        return await self._writer.write(decide)

    async def drain(self, growth: Growth) -> None:
        """Say that publishers have nothing in flight any more.

        Raises:
            Unavailable: Kafka does not answer.
        """
        await self._advance(growth, GrowthState.FREEZING, GrowthState.DRAINING)

    async def finish(self, growth: Growth) -> bool:
        """Let events go to all partitions: what was published before has been read.

        The partitions are made once more: a restored topic has those that events went to before.

        Returns:
            Whether this call ended the growth: another process may have done so, or somebody cancelled it.

        Raises:
            NotFound: there is no topic.
            Unavailable: Kafka does not answer.
        """
        if self._catalog.view.event_type(growth.topic) is not None:
            await self._have_partitions(growth.topic, growth.partitions)
        return await self._advance(growth, GrowthState.DRAINING, GrowthState.DONE)

    async def roll_back(self, growth: Growth, reason: str) -> bool:
        """Let events go to the former partitions again; return whether this call did it.

        Raises:
            Unavailable: Kafka does not answer.
        """
        return await self._advance(growth, growth.state, GrowthState.ROLLED_BACK, reason)

    async def cancel(self, topic: str, by: str) -> Growth:
        """End a growth that freezes or drains: events go to the former partitions again, at once.

        Until it is done no event has gone to a new partition, so order was never touched. Of this and a last step of
        the growth the first counts, since both are decided under the writer lock.

        Raises:
            NotFound: the topic never grew.
            Conflict: the growth has ended.
            Unavailable: Kafka does not answer.
        """

        def decide(view: CatalogView) -> Changes[Growth]:
            growth = view.growth(topic)
            if growth is None:
                raise NotFound(f"There is no growth of {topic}.")
            if growth.is_ended:
                raise Conflict(f"the growth has ended already: it is {growth.state}")
            cancelled = msgspec.structs.replace(
                growth, state=GrowthState.ROLLED_BACK, reason=f"{by} cancelled it.", updated_at=timestamps.now()
            )
            return Changes(put=[cancelled], result=cancelled)

        return await self._writer.write(decide)

    async def _advance(
        self, growth: Growth, origin: GrowthState, target: GrowthState, reason: str | None = None
    ) -> bool:
        """Change the state, unless another process has done so."""

        def decide(view: CatalogView) -> Changes[bool]:
            found = view.growth(growth.topic)
            if found is None or found.id != growth.id or found.state is not origin:
                return Changes(result=False)
            event_type = view.event_type(growth.topic)
            if event_type is None:
                return Changes(delete=[found.key], result=False)
            changed = msgspec.structs.replace(found, state=target, reason=reason, updated_at=timestamps.now())
            # A reader that sees the end of the growth must see the partitions too, so these come first.
            put: list[Resource] = [_grown(event_type, growth.partitions)] if target is GrowthState.DONE else []
            return Changes(put=[*put, changed], result=True)

        return await self._writer.write(decide)

    async def _have_partitions(self, topic: str, partitions: int) -> None:
        if await self._admin.partition_count(topic) >= partitions:
            return
        try:
            await self._admin.grow(topic, partitions)
        except Unavailable:
            # Another operator may have been a moment earlier.
            if await self._admin.partition_count(topic) < partitions:
                raise


def check_growth(
    view: CatalogView, event_type: EventType, partitions: int, order: GrowthOrder, bounds: CatalogBounds | None
) -> Growth | None:
    """The growth that is under way already, if it is the same one; None if this one may begin.

    Raises:
        InvalidRequest: so many partitions cannot be had.
        Conflict: another growth is under way, it is no growth, or there is no order to keep.
        QuotaExceeded: the workspace may not have so many partitions.
    """
    if not 1 <= partitions <= MOST_PARTITIONS:
        message = f"must be 1 to {MOST_PARTITIONS}"
        raise InvalidRequest("The topic cannot grow.", [Problem(path="$.partitions", message=message)])
    growth = view.growth(event_type.topic)
    if growth is not None and not growth.is_ended:
        if (growth.partitions, growth.order) == (partitions, order):
            return growth
        raise Conflict(f"the topic grows to {growth.partitions} partitions already: wait until that has ended")
    if partitions <= event_type.effective_partitions:
        raise Conflict(
            f"events go to {event_type.effective_partitions} partitions: there can only be more, never fewer"
        )
    if order is GrowthOrder.KEEP and event_type.partition_key is None:
        raise Conflict("the event type has no partition key, so there is no order to keep: grow it as_is")
    if order is GrowthOrder.KEEP and is_operational(event_type.topic):
        raise Conflict("operational events have no order to keep: grow it as_is")
    if bounds is not None:
        bounds.check_partitions(view, event_type.workspace, partitions - event_type.effective_partitions)
    return None


def _grown(event_type: EventType, partitions: int) -> EventType:
    return msgspec.structs.replace(event_type, effective_partitions=partitions, updated_at=timestamps.now())
