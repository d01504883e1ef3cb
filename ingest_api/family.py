"""What an API family consists of, as the two apps mount it. A new family is one module that makes one of these."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ingest_api.http import Response
from schemas.model.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from fastapi import APIRouter
    from pydantic_settings import BaseSettings

    from ingest_api.gateway import Gateway
    from ingest_api.http import Request
    from ingest_api.prepared_reads import PreparedRead
    from schemas.model.access import Realm
    from schemas.model.event import EventDraft, Receipt


Render = Callable[[HeadraceError], Response]
"""How a family answers an error."""


class DirectRoute(NamedTuple):
    """How the usual request of a hot route is answered without a task; see ``ingest_api.direct``.

    Attributes:
        draft: the event of a request with this body; None, or an error, if the route's handler shall answer it.
        answer: the answer once Kafka has the event.
    """

    draft: Callable[[Request, bytes, Gateway], EventDraft | None]
    answer: Callable[[Receipt], Response]


class HotRoute(NamedTuple):
    """One route that publishes. It is plain ASGI, so its OpenAPI operation is declared beside it by hand.

    What ``direct`` answers, ``handler`` would answer alike.
    """

    method: str
    path: str
    handler: Callable[[Request, Gateway], Awaitable[Response]]
    operation: dict[str, Any]
    direct: DirectRoute | None = None


class Family(NamedTuple):
    """One API family.

    Attributes:
        name: as in metrics.
        prefixes: the paths whose errors it answers.
        render: its error shape.
        hot: its routes that publish.
        control: its other routes.
        prepared: those of them whose usual answers are made without the framework.
        schemas: OpenAPI schemas that its hot routes' operations refer to.
        security: OpenAPI security schemes that its operations refer to.
        any_origin: paths that pages of any origin may call.
        refuses_head: its document names no HEAD, and may have a GET that changes something.
        unnamed_tokens: the realm of tokens that say none, if they are this family's.
        settings: what it can be told by the environment; ``Gateway.settings_of`` has what it was told.
        name_in_ids: begins the ids of its operations in the OpenAPI document; None: ``name`` does; empty: nothing.
    """

    name: str
    prefixes: tuple[str, ...]
    render: Render
    hot: tuple[HotRoute, ...]
    control: APIRouter
    schemas: dict[str, Any]
    security: Mapping[str, dict[str, str]] = MappingProxyType({})
    prepared: tuple[PreparedRead, ...] = ()
    any_origin: tuple[str, ...] = ()
    refuses_head: bool = False
    unnamed_tokens: Realm | None = None
    settings: type[BaseSettings] | None = None
    name_in_ids: str | None = None

    def owns(self, path: str) -> bool:
        """Whether errors on this path are answered in this family's shape."""
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self.prefixes)
