"""The call of an endpoint with a request template: access token, request, account of it, and the answer's own event.

The account (``schemas.execution``) goes with the attempt, sealed; credentials are taken out of it first.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog import authorizations
from connectors.http_client import Answer
from connectors.outcomes import AGAIN, is_success
from connectors.redaction import Redaction, credentials_in, handed_out
from connectors.token_urls import bearer_token
from schemas import timestamps
from schemas.errors import CorruptRecord, HeadraceError, NoAccessToken, Unavailable
from schemas.execution import MAX_BODY, Call, CallAnswer, Execution, kept_url, kept_values
from schemas.request_servers import check_server
from schemas.subscription import AuthorizationType

if TYPE_CHECKING:
    from backbone.catalog.secrets import SecretBox
    from connectors.authorization import Authorizer
    from connectors.http_client import HttpClient
    from connectors.metrics import WebhookMetrics
    from connectors.rendering import Renderer, Request
    from connectors.replies import Replies
    from connectors.token_urls import TokenAnswer
    from schemas.delivery import Delivery, Headers
    from schemas.subscription import Endpoint

log = logging.getLogger(__name__)

TIMEOUT = 70.0
"""Seconds that a call may take, and the one for its access token, where the endpoint sets none (as in eventhos)."""

_MAX_REPLY = 900_000
"""Bytes of an answer that is published as an event."""


class Calls:
    """Makes calls, one try each.

    Args:
        renderer: fills in the requests.
        authorizer: sends them.
        client: asks for access tokens.
        secrets: opens the credentials, seals the accounts.
        replies: publishes answers.
        metrics: counts.
    """

    def __init__(
        self,
        *,
        renderer: Renderer,
        authorizer: Authorizer,
        client: HttpClient,
        secrets: SecretBox,
        replies: Replies,
        metrics: WebhookMetrics,
    ) -> None:
        self._renderer = renderer
        self._authorizer = authorizer
        self._client = client
        self._secrets = secrets
        self._replies = replies
        self._metrics = metrics

    async def make(
        self, value: bytes | None, headers: Headers, delivery: Delivery, endpoint: Endpoint, started_at: int
    ) -> Answer:
        """Call the endpoint for one event; what keeps the call from being made is an answer without a status.

        Args:
            value: of the delivery's record.
            headers: all of the record's.
            delivery: for this endpoint.
            endpoint: has a request template.
            started_at: microseconds since the epoch.

        Raises:
            CorruptRecord: the event cannot be read.
        """
        while True:
            try:
                return await self._try(value, headers, delivery, endpoint, started_at)
            except Unavailable:
                await asyncio.sleep(AGAIN)
            except CorruptRecord:
                raise
            except Exception as error:  # one event that our own code cannot handle must not stop the others
                log.exception("a call cannot be made", extra={"delivery": delivery.id})
                return Answer(error=f"the call cannot be made: {type(error).__name__}", duration=0.0)

    async def _try(
        self, value: bytes | None, headers: Headers, delivery: Delivery, endpoint: Endpoint, started_at: int
    ) -> Answer:
        sent = Call(method=endpoint.method, url=kept_url(endpoint.url or ""))
        token, hide = None, Redaction()
        try:
            if endpoint.request is not None:
                check_server(endpoint.url or "", endpoint.request, has_token=endpoint.authorization is not None)
            token = await self._token(endpoint)
            # Signed now: the token may have taken its time.
            request = await self._renderer.request(
                value, headers, delivery, endpoint, timestamps.now() // 1_000_000, token=token
            )
            request = _authorized(request, endpoint, token)
            hide = _redaction(request, token)
            sent = _call(request, hide)
            answer = await self._send(request, endpoint, token)
        except (CorruptRecord, Unavailable):
            raise
        except HeadraceError as error:
            if isinstance(error, NoAccessToken) and endpoint.authorization is not None:
                sent = Call(method="POST", url=kept_url(endpoint.authorization.token_url or ""))
            answer = Answer(error=str(error), duration=0.0)
        self._metrics.duration.observe(answer.duration)
        if answer.forbidden:
            self._metrics.refused.inc()
        reply = None
        if endpoint.reply_to is not None and is_success(answer):
            reply = await self._replies.publish(endpoint, headers, delivery, answer)
        answer = _without_secrets(answer, hide)
        execution = Execution(request=sent, response=_call_answer(answer, started_at), reply=reply)
        return msgspec.structs.replace(answer, execution=self._secrets.seal(execution.to_json()))

    async def _token(self, endpoint: Endpoint) -> TokenAnswer | None:
        """The answer of the token URL: asked for with each call, because the template may name any part of it."""
        authorization = endpoint.authorization
        if authorization is None or authorization.type is not AuthorizationType.CLIENT_CREDENTIALS:
            return None
        plain = authorizations.opened(authorization, self._secrets)
        return await self._authorizer.token_urls.ask(
            plain.token_url or "",
            {"grant_type": "client_credentials"},
            user=plain.user,
            secret=plain.secret,
            seconds=endpoint.timeout or TIMEOUT,
        )

    async def _send(self, request: Request, endpoint: Endpoint, token: TokenAnswer | None) -> Answer:
        seconds = endpoint.timeout or TIMEOUT
        if token is None:

            async def made() -> Request:
                return request

            return await self._authorizer.send(made, endpoint, seconds)
        return await self._client.send(
            request.method, request.url, request.headers, request.body, seconds, body_limit=request.body_limit
        )


def _authorized(request: Request, endpoint: Endpoint, token: TokenAnswer | None) -> Request:
    """With the access token as bearer, unless the template says otherwise.

    Raises:
        NoAccessToken: it is none that can be sent so.
    """
    headers = request.headers
    if token is not None and not any(name.lower() == "authorization" for name in headers):
        url = "" if endpoint.authorization is None else endpoint.authorization.token_url or ""
        headers = {**headers, "Authorization": f"Bearer {bearer_token(url, token.members)}"}
    limit = None if endpoint.reply_to is None else _MAX_REPLY
    return msgspec.structs.replace(request, headers=headers, body_limit=limit)


def _redaction(request: Request, token: TokenAnswer | None) -> Redaction:
    given = handed_out(token.members) if token else []
    return Redaction([*given, *credentials_in(request.headers), *credentials_in(request.query)])


def _call(request: Request, hide: Redaction) -> Call:
    return Call(
        method=request.method,
        url=kept_url(hide(request.base_url)),
        params=kept_values(hide.named(request.query)),
        headers=kept_values(hide.named(request.headers)),
        body=hide(request.body[:MAX_BODY].decode(errors="replace")),
    )


def _without_secrets(answer: Answer, hide: Redaction) -> Answer:
    """The answer as it is kept: attempts and dead letters show its body and error."""
    return msgspec.structs.replace(
        answer,
        error=answer.error and hide(answer.error),
        body=answer.body and hide(answer.body),
        reason=hide(answer.reason),
        headers=hide.named(answer.headers),
    )


def _call_answer(answer: Answer, started_at: int) -> CallAnswer:
    return CallAnswer(
        status=answer.status,
        status_text=answer.reason or answer.error or "",
        headers=kept_values(answer.headers),
        body=(answer.body or "")[:MAX_BODY],
        start_time=timestamps.to_text(started_at),
        end_time=timestamps.to_text(timestamps.now()),
    )
