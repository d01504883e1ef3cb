"""Where a delivery stands, and why it is not delivered: what the delivery log is searched by."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus

from schemas.model.delivery import Outcome


class Standing(StrEnum):
    """Where a delivery stands: the outcome of its latest attempt, or that there was none."""

    PENDING = "pending"
    DELIVERED = Outcome.DELIVERED.value
    RETRYING = Outcome.RETRYING.value
    DEAD = Outcome.DEAD.value
    CANCELLED = Outcome.CANCELLED.value
    ABORTED = Outcome.ABORTED.value


UNDELIVERED = tuple(each for each in Standing if each is not Standing.DELIVERED)


class Reason(StrEnum):
    """Why an attempt failed, or a delivery ended without one. Stored: a value is never changed."""

    REDIRECT = "redirect"
    """Answered 3xx: redirects are not followed."""
    CLIENT_ERROR = "client_error"
    """Answered 4xx."""
    SERVER_ERROR = "server_error"
    """Answered 5xx."""
    RESPONSE = "response"
    """Answered with something else, or with what is not HTTP."""
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    """No connection, or it broke: names, TLS, refused, reset."""
    FORBIDDEN = "forbidden"
    """The address is not one that webhooks may reach."""
    AUTHORIZATION = "authorization"
    """No access token was to be had."""
    ENDPOINT = "endpoint"
    """The endpoint's settings do not allow a request: its URL, its secrets, its template."""
    INTERNAL = "internal"
    """Our own code failed."""
    PROJECTION = "projection"
    """The endpoint's projection failed on the event."""
    UNREADABLE = "unreadable"
    """The event could not be read or rendered."""
    DISABLED = "disabled"
    DELETED = "deleted"
    """The endpoint was disabled or deleted while the delivery waited."""
    EXPIRED = "expired"
    """It could not be tried for too long."""


def reason_of_status(status: int) -> Reason:
    """Return why a response with this status, which is not 2xx, is a failure."""
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Reason.REDIRECT
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Reason.CLIENT_ERROR
    return Reason.SERVER_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Reason.RESPONSE
