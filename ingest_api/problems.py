"""Errors as HTTP: the one place that knows which status each error has, and the RFC 9457 shape of our own API."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from ingest_api.http import ACCEPTED_CODINGS, PROBLEM_JSON, Response
from schemas.model import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest_api.family import Family, Render

log = logging.getLogger(__name__)

STATUS: tuple[tuple[type[errors.HeadraceError], HTTPStatus], ...] = (
    (errors.PayloadTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.UnsupportedMediaType, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (errors.InvalidRequest, HTTPStatus.BAD_REQUEST),
    (errors.Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (errors.PermissionDenied, HTTPStatus.FORBIDDEN),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.IdempotencyMismatch, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.Conflict, HTTPStatus.CONFLICT),
    (errors.QuotaExceeded, HTTPStatus.FORBIDDEN),
    (errors.RateExceeded, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)
"""First match wins: a class stands before its bases. What is missing here is our own fault: 500."""


class HttpProblem(errors.HeadraceError):
    """What HTTP itself refuses (unknown path, wrong method), so that a family answers it in its own shape."""

    def __init__(self, status: int, detail: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.headers = headers


def status_of(error: errors.HeadraceError) -> HTTPStatus:
    """The HTTP status of an error."""
    if isinstance(error, HttpProblem):
        return error.status
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problems_of(error: errors.HeadraceError) -> tuple[errors.Problem, ...]:
    """The places that an error names; empty for one that names none."""
    found: tuple[errors.Problem, ...] = getattr(error, "problems", ())
    return found


def headers_of(error: errors.HeadraceError) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that go with an error: ``WWW-Authenticate``, ``Retry-After``, ``Allow``, ``Accept-Encoding``."""
    if isinstance(error, errors.Unauthenticated):
        return ((b"www-authenticate", b'Bearer error="invalid_token"'),)
    if isinstance(error, errors.Unavailable | errors.RateExceeded):
        return ((b"retry-after", str(max(1, error.retry_after)).encode()),)
    if isinstance(error, errors.UnsupportedCoding):
        return (ACCEPTED_CODINGS,)
    if isinstance(error, HttpProblem):
        return error.headers
    return ()


def document(error: errors.HeadraceError) -> dict[str, Any]:
    """The RFC 9457 members that every family's problem document begins with.

    What went wrong inside (a 500) is logged, not told.
    """
    status = status_of(error)
    return {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": told(error)}


def told(error: errors.HeadraceError) -> str:
    """What a caller is told of an error: not what Kafka's client said, and not what went wrong inside."""
    if isinstance(error, errors.Unavailable):
        return error.told
    if status_of(error) is HTTPStatus.INTERNAL_SERVER_ERROR:
        return (
            "The gateway failed at something of its own. What the request asked for may have taken effect: to repeat "
            "it with the same Idempotency-Key, or events with the same ids, is safe."
        )
    return str(error)


def render(error: errors.HeadraceError) -> Response:
    """The answer of our own API: ``errors`` lists ``{"path", "message"}`` for every place found."""
    content = document(error)
    problems = problems_of(error)
    if problems:
        content["errors"] = [{"path": problem.path, "message": problem.message} for problem in problems]
    return Response(content["status"], msgspec.json.encode(content), PROBLEM_JSON, headers_of(error))


def answer(error: errors.HeadraceError, path: str, families: Sequence[Family]) -> Response:
    """The answer to an error, in the shape of the family whose path it is; our own API's for everyone else's."""
    owner = next((family.render for family in families if family.owns(path)), render)
    return rendered(error, owner)


def rendered(error: errors.HeadraceError, render: Render) -> Response:
    """Render an error, even one that quotes text which is not encodable: it came with the request, so that is wrong."""
    try:
        return render(error)
    except UnicodeEncodeError:
        return render(errors.InvalidRequest("A text in the request has half of a surrogate pair."))


def internal(error: BaseException) -> errors.HeadraceError:
    """What stands for an exception that nobody raised on purpose, after logging it."""
    log.error("request failed", exc_info=error)
    return errors.HeadraceError("internal error")
