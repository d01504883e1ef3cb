"""The ASGI app of the routes that publish: a dictionary of paths, no framework, errors and metrics in one place."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from ingest_api import problems
from ingest_api.direct import DirectPublishing
from ingest_api.http import ClientGone, Request, send_response
from ingest_api.refusals import RefusalLog
from schemas.model.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest_api.family import Family, HotRoute
    from ingest_api.gateway import Gateway
    from ingest_api.http import Receive, Scope, Send


class HotApp:
    """Serves the families' hot routes; ``covers`` says whether a path is one of them.

    Attributes:
        direct: answers the usual requests of some of them without this app.
    """

    def __init__(self, families: Sequence[Family], gateway: Gateway) -> None:
        self._gateway = gateway
        self._refusals = RefusalLog()
        self.direct = DirectPublishing(families, gateway, self._refusals)
        self._routes: dict[str, dict[str, tuple[HotRoute, Family]]] = {}
        for family in families:
            for route in family.hot:
                self._routes.setdefault(route.path, {})[route.method] = (route, family)

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods of a path; empty if this app has no route for it."""
        return tuple(self._routes.get(path, ()))

    def covers(self, method: str, path: str) -> bool:
        """Whether this app answers that request."""
        methods = self._routes.get(path)
        return methods is not None and method in methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            KeyError: this app has no route for the request.
        """
        started = time.perf_counter()
        route, family = self._routes[scope["path"]][scope["method"]]
        gateway = self._gateway
        try:
            receive = gateway.unhurried(receive)
            request = Request(scope, receive, gateway.settings.max_body_bytes, gateway.slices)
            response = await gateway.in_time(route.handler(request, gateway))
        except HeadraceError as error:
            self._refusals.note(error)
            response = problems.rendered(error, family.render)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - a bug is logged, and answered with 500 in the family's form
            response = family.render(problems.internal(error))
        gateway.metrics.answered(route.path, response.status, time.perf_counter() - started)
        if response.status == HTTPStatus.UNAUTHORIZED:
            await gateway.brake.refused()
        await send_response(send, response)
