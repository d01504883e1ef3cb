"""The ASGI app of the routes that publish: a dictionary of paths, no framework, one place for errors and metrics."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from ingest_api import problems
from ingest_api.refusals import RefusalLog
from ingest_api.wire import ClientGone, Request, send_response
from schemas.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest_api.family import Family, HotRoute
    from ingest_api.state import Gateway
    from ingest_api.wire import Receive, Scope, Send


class HotApp:
    """Serves the families' hot routes; ``covers`` says whether a path is one of them."""

    def __init__(self, families: Sequence[Family], gateway: Gateway) -> None:
        self._gateway = gateway
        self._refusals = RefusalLog()
        self._routes: dict[str, dict[str, tuple[HotRoute, Family]]] = {}
        for family in families:
            for route in family.hot:
                self._routes.setdefault(route.path, {})[route.method] = (route, family)

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that it answers on a path; empty when the path is not one of its routes."""
        return tuple(self._routes.get(path, ()))

    def covers(self, method: str, path: str) -> bool:
        """Whether this app answers that request."""
        methods = self._routes.get(path)
        return methods is not None and method in methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            KeyError: a request that it does not cover.
        """
        started = time.perf_counter()
        route, family = self._routes[scope["path"]][scope["method"]]
        gateway = self._gateway
        try:
            request = Request(scope, gateway.unhurried(receive), gateway.settings.max_body_bytes)
            response = await gateway.in_time(route.handler(request, gateway))
        except HeadraceError as error:
            self._refusals.note(error)
            response = problems.rendered(error, family.render)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - a bug answers 500 in the family's shape, and is logged
            response = family.render(problems.internal(error))
        gateway.metrics.answered(route.path, response.status, time.perf_counter() - started)
        if response.status == HTTPStatus.UNAUTHORIZED:
            await gateway.brake.refused()
        await send_response(send, response)
