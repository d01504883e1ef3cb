"""Who may receive operational events: a client those of its own endpoints, readers of the workspace all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from backbone.kafka.records import headers_of
from schemas.model.operational_event import OWNER
from schemas.security.reading import reads_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.view import CatalogView
    from schemas.model.endpoint import Endpoint
    from stream_processors.routing.record_view import RawRecord

_HEADER = f"ce_{OWNER}"


class _Matched(Protocol):
    @property
    def endpoint(self) -> Endpoint:
        """That gets the event."""


M = TypeVar("M", bound=_Matched)


def readable_by_owner(view: CatalogView, matches: Sequence[M], message: RawRecord) -> Sequence[M]:
    """The matches whose endpoint belongs to somebody who may read this operational event.

    An endpoint without an owner was made by an administrator. The roles are those of now.
    """
    owners = (value.decode(errors="replace") for name, value in headers_of(message) if name == _HEADER and value)
    about = next(owners, None)
    return [match for match in matches if _may_read(view, match.endpoint, about)]


def _may_read(view: CatalogView, endpoint: Endpoint, about: str | None) -> bool:
    if endpoint.client is None or endpoint.client == about:
        return True
    client = view.client(endpoint.workspace, endpoint.client)
    return client is not None and reads_workspace(client)
