"""What an attempt keeps of its request and response: the delivery log shows it.

It is in the data path: values are looked at once and remembered, as most requests to an endpoint have the same.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from schemas.model.contract_call import HIDDEN, kept_url
from schemas.model.kept_request import KeptRequest
from schemas.model.secrecy import hides

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connectors.webhook.rendering import Request
    from schemas.model.endpoint import Endpoint

_MOST_HEADERS = 50
_LONGEST_NAME, _LONGEST_VALUE, _LONGEST_HEAD = 100, 512, 4_096
"""Characters of a header's name and value, and of all of them."""

_REMEMBERED = 4_096
_REMEMBERED_HEADS = 256

_AUTHORIZATION = "authorization"


def kept_request(request: Request, endpoint: Endpoint, limit: int) -> KeptRequest:
    """Return a request as it is kept.

    Args:
        request: as it was rendered, before it was authorized.
        endpoint: whose request it is: it says which headers are credentials.
        limit: bytes of the body that are kept.
    """
    hidden = {name.lower() for name in endpoint.sealed_headers}
    hidden.add(_AUTHORIZATION)
    headers = {name: HIDDEN if name.lower() in hidden else value for name, value in request.headers.items()}
    if endpoint.authorization is not None:
        headers = {name: value for name, value in headers.items() if name.lower() != _AUTHORIZATION}
        headers["Authorization"] = HIDDEN
    return KeptRequest(
        method=request.method,
        url=_kept_url(request.url),
        headers=_bounded(headers.items()),
        body=request.body[:limit].decode(errors="replace"),
        size=len(request.body),
    )


def kept_head(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a response as they are kept: without what is a credential by its name or its looks."""
    pairs = tuple(headers.items())
    if sum(len(name) + len(value) for name, value in pairs) > _LONGEST_HEAD:
        return _without_credentials(pairs)
    return dict(_remembered_head(pairs))


def _without_credentials(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return _bounded((name, HIDDEN if _hides(name, value[:_LONGEST_VALUE]) else value) for name, value in headers)


def _bounded(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    kept: dict[str, str] = {}
    left = _LONGEST_HEAD
    for name, value in headers:
        name, value = name[:_LONGEST_NAME], value[:_LONGEST_VALUE]  # noqa: PLW2901  # shorter, and in the data path
        left -= len(name) + len(value)
        if left < 0 or len(kept) == _MOST_HEADERS:
            break
        kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


_kept_url = functools.lru_cache(_REMEMBERED)(kept_url)
_hides = functools.lru_cache(_REMEMBERED)(hides)
# Most responses of one second have the same headers.
_remembered_head = functools.lru_cache(_REMEMBERED_HEADS)(_without_credentials)
