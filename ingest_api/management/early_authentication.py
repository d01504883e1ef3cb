"""Authentication before the body is read: FastAPI reads and parses a body before it asks any dependency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.dependencies.utils import solve_dependencies
from fastapi.security.base import SecurityBase

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant

    from ingest_api.http import Scope


async def authenticate(scope: Scope) -> None:
    """Call the dependency of a request's route that finds its client; a route without one is open.

    It is the one that declares a security scheme. Afterwards the request has its place in its workspace's queues.

    Raises:
        HeadraceError: what the dependency raises, such as Unauthenticated or PermissionDenied.
    """
    route = scope.get("route")
    found = None if route is None else _authenticating(route.dependant)
    if found is None or found.call is None:
        return
    solved = await solve_dependencies(
        request=Request(scope),
        dependant=found,
        async_exit_stack=scope["fastapi_inner_astack"],
        embed_body_fields=False,
    )
    if not solved.errors:  # FastAPI tells them
        await found.call(**solved.values)


def _authenticating(dependant: Dependant) -> Dependant | None:
    """The dependency, at any depth, that asks for a security scheme."""
    for each in dependant.dependencies:
        if any(isinstance(inner.call, SecurityBase) for inner in each.dependencies):
            return each
        found = _authenticating(each)
        if found is not None:
            return found
    return None
