"""What an API family consists of, as the two apps mount it. A new family is one module that makes one of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import APIRouter

    from ingest_api.problems import Render
    from ingest_api.state import Gateway
    from ingest_api.wire import Request, Response


class HotRoute(NamedTuple):
    """One route that publishes. It is plain ASGI, so its OpenAPI operation is declared beside it by hand."""

    method: str
    path: str
    handler: Callable[[Request, Gateway], Awaitable[Response]]
    operation: dict[str, Any]


class Family(NamedTuple):
    """One API family.

    Attributes:
        name: as in metrics.
        prefixes: the paths whose errors it answers.
        render: its error shape.
        hot: its routes that publish.
        control: its other routes.
        schemas: OpenAPI schemas that its hot routes' operations refer to.
        any_origin: paths that pages of any origin may call.
    """

    name: str
    prefixes: tuple[str, ...]
    render: Render
    hot: tuple[HotRoute, ...]
    control: APIRouter
    schemas: dict[str, Any]
    any_origin: tuple[str, ...] = ()

    def owns(self, path: str) -> bool:
        """Whether errors on this path are answered in this family's shape."""
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self.prefixes)
