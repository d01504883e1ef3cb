"""Publishing without a task: the usual request of a hot route, which came whole within one read.

A task, its coroutines, and the messages between the layers of an ASGI app cost as much as all else that is done for
one event. So such a request is translated, encoded and handed to the producer within the read itself, and answered in
one write by the callback of its acknowledgement. Whatever is not usual is declined before anything is counted or
written, and goes through the app: there alone is said how something is refused.
"""

from __future__ import annotations

import contextvars
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from backbone.process.request_id import HEADER, REQUEST_ID, taken_over
from ingest_api import problems
from ingest_api.http import Request
from schemas.model.errors import HeadraceError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from backbone.kafka.records import Ack
    from backbone.publishing.prepared_event import PreparedEvent
    from ingest_api.family import Family
    from ingest_api.gateway import Gateway
    from ingest_api.http import Response
    from ingest_api.refusals import RefusalLog
    from schemas.model.event import EventDraft, Receipt

_UNUSUAL = frozenset((b"origin", b"expect", b"idempotency-key", b"content-encoding"))
"""Headers of requests that are declined. So are those that have a header twice: which of the two counts differs."""


class WholeRequest(Protocol):
    """A request that has come whole, and takes its answer."""

    scope: Any
    body: bytearray

    async def receive(self) -> Any:
        """The body, as ASGI has it."""

    def answer(self, response: Response, header: tuple[bytes, bytes]) -> None:
        """Send the whole answer, with one more header."""


class _Route(NamedTuple):
    path: str
    draft: Callable[[Request, bytes, Gateway], EventDraft | None]
    answer: Callable[[Receipt], Response]
    family: Family


class DirectPublishing:
    """Answers the usual requests of hot routes.

    Args:
        families: whose hot routes may have a ``direct``.
        gateway: of this process. Its requests must have more time than its producer waits for an acknowledgement: there
            is no other deadline here.
        refusals: notes what is refused once it was taken.
    """

    def __init__(self, families: Sequence[Family], gateway: Gateway, refusals: RefusalLog) -> None:
        self._gateway = gateway
        self._refusals = refusals
        self._routes = {
            route.path: _Route(route.path, route.direct.draft, route.direct.answer, family)
            for family in families
            for route in family.hot
            if route.direct is not None
        }

    def covers(self, scope: Mapping[str, Any]) -> bool:
        """Whether a request that begins may be one of the usual kind."""
        return scope["path"] in self._routes and scope["method"] == "POST" and not scope["query_string"]

    def begin(self, cycle: WholeRequest) -> bool:
        """Publish what a whole request says, and answer it later; false: it is declined.

        What is set of context variables on the way ends with it: the next request of the connection is another one.
        """
        return contextvars.Context().run(self._begin, cycle)

    def _begin(self, cycle: WholeRequest) -> bool:
        started = time.perf_counter()
        gateway = self._gateway
        request = Request(cycle.scope, cycle.receive, gateway.settings.max_body_bytes, gateway.slices)
        headers = request.headers
        if not _UNUSUAL.isdisjoint(headers) or len(headers) < len(cycle.scope["headers"]):
            return False
        request_id = taken_over(headers.get(HEADER))
        REQUEST_ID.set(request_id)
        route, body = self._routes[cycle.scope["path"]], bytes(cycle.body)
        try:
            draft = route.draft(request, body, gateway)
            prepared = None if draft is None else gateway.publisher.prepare(draft)
        except Exception:  # noqa: BLE001 - the handler meets it again, and says what is wrong
            return False
        if draft is None or prepared is None:
            return False
        began = time.perf_counter()
        publishing = gateway.begin_publish(draft, prepared, size=len(body))

        def answer(acknowledged: asyncio.Future[list[Ack]]) -> None:
            response = self._response(acknowledged, prepared, route, began)
            gateway.metrics.answered(route.path, response.status, time.perf_counter() - started)
            cycle.answer(response, (HEADER, request_id.encode()))

        publishing.add_done_callback(answer)
        # The connection keeps its last request for as long as it is idle.
        cycle.body.clear()
        return True

    def _response(
        self, acknowledged: asyncio.Future[list[Ack]], prepared: PreparedEvent, route: _Route, began: float
    ) -> Response:
        render = route.family.render
        try:
            receipt = prepared.receipt(acknowledged.result()[0])
            self._gateway.count_published(route.family.name, [receipt], time.perf_counter() - began)
            return route.answer(receipt)
        except HeadraceError as error:
            self._refusals.note(error)
            return problems.rendered(error, render)
        except Exception as error:  # noqa: BLE001 - a bug is logged, and answered with 500 in the family's form
            return render(problems.internal(error))
