"""The seam between the webhook connector and the network: one request in, one response out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec

from schemas.model.kept_request import KeptRequest
from schemas.model.standing import Reason

USER_AGENT = "Headrace-Webhook/1"

LONGEST_ERROR = 500
"""Characters. An error may quote the receiver's response."""


class RequestSpan(Protocol):
    """The span of one request."""

    def end(self, status: int | None, failure: str | None = None) -> None:
        """End it with the status of the response, or with the reason why there is none."""


class HttpRequest(NamedTuple):
    """One request.

    ``body_limit`` is the most bytes that are read of its response, None: the transport's own limit. ``span`` ends with
    the request, None: it has none.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    body_limit: int | None = None
    span: RequestSpan | None = None


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a request: a status, or an error that says why there is none.

    Attributes:
        status: the HTTP status, None when no complete response came.
        error: a sentence for the operator, None when there is a status.
        body: the first bytes of the response as text.
        retry_after: seconds that the receiver asks to wait.
        duration: seconds from connect to the last byte read.
        forbidden: the guard refused the address; nothing was sent.
        reason, headers: of the response.
        truncated: the response was longer than ``body``.
        failure: why there is no complete response.
        sent: the request, as attempts keep it.
        execution: the encrypted account of the exchange, where one is kept (``schemas.model.contract_call``).
    """

    status: int | None = None
    error: str | None = None
    body: str | None = None
    reason: str = ""
    headers: Mapping[str, str] = {}
    truncated: bool = False
    execution: str | None = None
    retry_after: float | None = None
    duration: float
    forbidden: bool = False
    failure: Reason | None = None
    sent: KeptRequest | None = None


class Transport(Protocol):
    """Sends requests."""

    async def send(self, request: HttpRequest, timeout: float) -> Response:  # noqa: ASYNC109  # part of the response
        """Make one request. Never raises: a request that failed is a response without a status.

        Args:
            request: as it is to be sent.
            timeout: seconds, from name resolution to the last byte of the body.
        """
