"""Event types that come into being by being used, for families without a registration call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from schemas.model.errors import InvalidEvent, Problem, QuotaExceeded
from schemas.model.event_type import RegistrationKind
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from backbone.catalog.event_types import EventTypes
    from backbone.catalog.reader import Catalog
    from schemas.model.access import Client


class FirstUse:
    """Registers a client for a code when it first uses it; one that is no event type yet becomes an open one.

    Args:
        limit: codes that one client may register so.
        enabled: when false, an unregistered code is refused.
    """

    def __init__(self, catalog: Catalog, event_types: EventTypes, *, limit: int, enabled: bool) -> None:
        self._catalog = catalog
        self._event_types = event_types
        self._limit = limit
        self._enabled = enabled
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._under_way: set[tuple[str, str]] = set()

    async def ensure(self, client: Client, namespace: str, code: str, *, path: str) -> None:
        """Return once the client has a PUBLISH registration for the code; at once when it has.

        Args:
            client: who uses it; the code is one of its workspace.
            namespace: of the code.
            code: the event type's code.
            path: the JSON path of the code in the request, for the error.

        Raises:
            InvalidEvent: it has none, and first use does not register.
            QuotaExceeded: the client has registered as many as it may.
            Unavailable: Kafka cannot take it now.
        """
        topic = event_topic(client.workspace, namespace, code)
        if self._catalog.view.registration(client.id, topic, RegistrationKind.PUBLISH) is not None:
            return
        # Requests that use a new code at the same moment wait for the one that registers it, and for no other.
        turn = self._turns.setdefault((client.unique_id, topic), asyncio.Lock())
        async with turn:
            found = await self._catalog.lookup(
                lambda view: view.registration(client.id, topic, RegistrationKind.PUBLISH)
            )
            if found is None:
                await self._register(client, namespace, code, path, topic)

    async def _register(self, client: Client, namespace: str, code: str, path: str, topic: str) -> None:
        if not self._enabled:
            raise InvalidEvent(
                f"The event type {code} is not registered.", [Problem(path=path, message=f"{code} is not registered")]
            )
        view = self._catalog.view
        registered = {
            one.topic for one in view.registrations_of(client.workspace, client.id) if one.namespace == namespace
        }
        registered |= {other for unique_id, other in self._under_way if unique_id == client.unique_id}
        if len(registered) >= self._limit:
            raise QuotaExceeded(f"This account has registered {self._limit} event types by use: no more can be added.")
        self._under_way.add((client.unique_id, topic))
        try:
            # What an operator declared before stays as it is: the code may be a typed one.
            open_ = True if view.event_type(topic) is None else None
            await self._event_types.register(client, client.workspace, namespace, code, open=open_)
        finally:
            self._under_way.remove((client.unique_id, topic))
