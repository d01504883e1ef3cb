"""Each request ends its span once, however it ends itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connectors.webhook.traced_transport import TracedTransport
from connectors.webhook.transport import HttpRequest, Response
from schemas.model.standing import Reason


class Span:
    def __init__(self) -> None:
        self.ends: list[tuple[int | None, str | None]] = []

    def end(self, status: int | None, failure: str | None = None) -> None:
        self.ends.append((status, failure))


class Network:
    """Answers, or fails, as told."""

    def __init__(self, answer: Response | BaseException) -> None:
        self._answer = answer

    async def send(self, request: HttpRequest, timeout: float) -> Response:  # noqa: ARG002, ASYNC109  # as ``Transport`` has it
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


async def sent(answer: Response | BaseException, span: Any) -> Response:
    request = HttpRequest("POST", "https://hooks.example", {}, b"", span=span)
    return await TracedTransport(Network(answer)).send(request, 1)


async def test_a_request_ends_its_span_with_the_status_or_the_reason_for_none() -> None:
    span = Span()
    answered = Response(status=204, duration=0.1)

    assert await sent(answered, span) is answered
    await sent(Response(error="too late", duration=1, failure=Reason.TIMEOUT), span)

    assert span.ends == [(204, None), (None, Reason.TIMEOUT)]


async def test_a_request_that_is_given_up_ends_its_span() -> None:
    span = Span()

    with pytest.raises(asyncio.CancelledError):
        await sent(asyncio.CancelledError(), span)

    assert span.ends == [(None, None)]


async def test_a_request_for_a_token_has_no_span() -> None:
    answered = Response(status=200, duration=0.1)

    assert await sent(answered, None) is answered
