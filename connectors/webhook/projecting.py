"""Applies the projections of endpoints: the version that a delivery names, on every try the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backbone.catalog.projections import expression_of
from schemas.model.errors import InvalidProjection, ProjectionFailed, WorkExceeded
from schemas.projections.projection import Projection
from schemas.security.budget import Work

if TYPE_CHECKING:
    from backbone.catalog.reader import Catalog
    from schemas.model.delivery import Delivery
    from schemas.projections.projection import Projected

_REMEMBERED = 500
"""Compiled expressions."""

_QUICK_STEPS, _QUICK_BYTES = 2_000, 16_384
"""What is evaluated on the event loop, in a few milliseconds; what takes more begins anew on a thread."""


class Projector:
    """Compiles expressions once.

    Args:
        catalog: has the versions.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._compiled: dict[str, Projection] = {}

    async def project(self, document: bytes, delivery: Delivery, version: int) -> Projected:
        """What the projection of a delivery makes of its CloudEvent.

        Args:
            document: the event as CloudEvents JSON.
            delivery: says the endpoint and the event type.
            version: of the projection, as the delivery has it.

        Raises:
            ProjectionFailed: the version is not kept any more, or it cannot be evaluated for this event.
            Unavailable: Kafka does not tell whether there is such a version.
        """
        projection = await self._projection(delivery, version)
        if len(document) <= _QUICK_BYTES:
            try:
                return projection(document, Work(_QUICK_STEPS))
            except ProjectionFailed as error:
                if not isinstance(error.__cause__, WorkExceeded):
                    raise
        return await asyncio.to_thread(projection, document)

    async def _projection(self, delivery: Delivery, version: int) -> Projection:
        place = delivery.endpoint, delivery.source.topic, version
        expression = expression_of(self._catalog.view, *place)
        if expression is None:
            # The router may have read a newer catalog.
            await self._catalog.caught_up()
            expression = expression_of(self._catalog.view, *place)
        if expression is None:
            raise ProjectionFailed(f"version {version} of the projection is not kept any more", 0)
        compiled = self._compiled.get(expression)
        if compiled is None:
            try:
                compiled = Projection(expression)
            except InvalidProjection as error:  # of a release that could evaluate more
                raise ProjectionFailed(error.problems[0].message, error.position) from error
            if len(self._compiled) >= _REMEMBERED:
                self._compiled.clear()
            self._compiled[expression] = compiled
        return compiled
