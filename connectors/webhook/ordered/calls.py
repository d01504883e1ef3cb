"""Calls an endpoint that has a request template: access token, request, account of the call, reply.

The account (``schemas.model.contract_call``) goes with the attempt, encrypted; credentials are removed from it first.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog import endpoint_credentials
from backbone.kafka.retrying import retry
from connectors.webhook.attempts import reason_of_error
from connectors.webhook.ordered.redaction import Redaction, credentials_in, handed_out
from connectors.webhook.outcomes import is_success
from connectors.webhook.token_urls import bearer_token, grant
from connectors.webhook.transport import HttpRequest, Response
from schemas.model import timestamps
from schemas.model.contract_call import MAX_BODY, Call, CallAnswer, Execution, kept_url, kept_values
from schemas.model.endpoint import AuthorizationType
from schemas.model.errors import CorruptRecord, HeadraceError, NoAccessToken, Unavailable
from schemas.model.standing import Reason
from schemas.security.request_servers import check_server

if TYPE_CHECKING:
    from backbone.catalog.secrets import SecretBox
    from connectors.webhook.authorization import Authorizer
    from connectors.webhook.metrics import WebhookMetrics
    from connectors.webhook.ordered.replies import Replies
    from connectors.webhook.rendering import Renderer, Request
    from connectors.webhook.token_urls import TokenResponse
    from connectors.webhook.transport import Transport
    from schemas.model.delivery import Delivery, Headers
    from schemas.model.endpoint import Endpoint

log = logging.getLogger(__name__)

TIMEOUT = 70.0
"""Seconds that a call may take, and the request for its access token, where the endpoint sets none."""

_MAX_REPLY = 900_000
"""Most bytes of a response that is published as an event."""


class Calls:
    """Makes calls, one try each.

    Args:
        renderer: fills in the requests.
        authorizer: sends requests with the endpoint's credentials.
        transport: sends requests that have an access token.
        secrets: decrypts the credentials, encrypts the accounts.
        replies: publishes responses.
        metrics: counters.
    """

    def __init__(
        self,
        *,
        renderer: Renderer,
        authorizer: Authorizer,
        transport: Transport,
        secrets: SecretBox,
        replies: Replies,
        metrics: WebhookMetrics,
    ) -> None:
        self._renderer = renderer
        self._authorizer = authorizer
        self._transport = transport
        self._secrets = secrets
        self._replies = replies
        self._metrics = metrics

    async def make(
        self, value: bytes | None, headers: Headers, delivery: Delivery, endpoint: Endpoint, started_at: int
    ) -> Response:
        """Call the endpoint for one event; a call that cannot be made is a response without a status.

        Args:
            value: of the delivery's record.
            headers: all of the record's.
            delivery: for this endpoint.
            endpoint: has a request template.
            started_at: microseconds since the epoch.

        Raises:
            CorruptRecord: the event cannot be read.
        """
        try:
            return await retry(lambda: self._try(value, headers, delivery, endpoint, started_at))
        except CorruptRecord:
            raise
        except Exception as error:  # one event that our own code cannot handle must not stop the others
            log.exception("a call cannot be made", extra={"delivery": delivery.id})
            error_text = f"the call cannot be made: {type(error).__name__}"
            return Response(error=error_text, duration=0.0, failure=Reason.INTERNAL)

    async def _try(
        self, value: bytes | None, headers: Headers, delivery: Delivery, endpoint: Endpoint, started_at: int
    ) -> Response:
        sent = Call(method=endpoint.method, url=kept_url(endpoint.url or ""))
        token, hide = None, Redaction()
        try:
            if endpoint.request is not None:
                check_server(endpoint.url or "", endpoint.request, has_token=endpoint.authorization is not None)
            token = await self._token(endpoint)
            # Signed only now: the token may have taken long.
            request = await self._renderer.request(
                value, headers, delivery, endpoint, timestamps.now() // 1_000_000, token=token
            )
            request = _authorized(request, endpoint, token)
            hide = _redaction(request, token)
            sent = _call(request, hide)
            response = await self._send(request, endpoint, token)
        except (CorruptRecord, Unavailable):
            raise
        except HeadraceError as error:
            if isinstance(error, NoAccessToken) and endpoint.authorization is not None:
                sent = Call(method="POST", url=kept_url(endpoint.authorization.token_url or ""))
            response = Response(error=str(error), duration=0.0, failure=reason_of_error(error))
        self._metrics.duration.observe(response.duration)
        if response.forbidden:
            self._metrics.refused.inc()
        reply = None
        if endpoint.reply_to is not None and is_success(response):
            reply = await self._replies.publish(endpoint, headers, delivery, response)
        response = _without_secrets(response, hide)
        execution = Execution(request=sent, response=_kept_response(response, started_at), reply=reply)
        return msgspec.structs.replace(response, execution=self._secrets.seal(execution.to_json()))

    async def _token(self, endpoint: Endpoint) -> TokenResponse | None:
        """Ask for an access token. Each call does, because the template may name any part of the response."""
        authorization = endpoint.authorization
        if authorization is None or authorization.type is not AuthorizationType.CLIENT_CREDENTIALS:
            return None
        plain = endpoint_credentials.opened(authorization, self._secrets)
        return await self._authorizer.token_urls.ask(
            plain.token_url or "",
            grant("client_credentials", plain),
            user=plain.user,
            secret=plain.secret,
            seconds=endpoint.timeout or TIMEOUT,
        )

    async def _send(self, request: Request, endpoint: Endpoint, token: TokenResponse | None) -> Response:
        seconds = endpoint.timeout or TIMEOUT
        if token is None:

            async def made() -> Request:
                return request

            return await self._authorizer.send(made, endpoint, seconds)
        sent = HttpRequest(request.method, request.url, request.headers, request.body, request.body_limit, request.span)
        return await self._transport.send(sent, seconds)


def _authorized(request: Request, endpoint: Endpoint, token: TokenResponse | None) -> Request:
    """Add the access token as bearer, unless the template has an ``Authorization`` header.

    Raises:
        NoAccessToken: the token cannot be sent as bearer.
    """
    headers = request.headers
    if token is not None and not any(name.lower() == "authorization" for name in headers):
        url = "" if endpoint.authorization is None else endpoint.authorization.token_url or ""
        headers = {**headers, "Authorization": f"Bearer {bearer_token(url, token.members)}"}
    limit = None if endpoint.reply_to is None else _MAX_REPLY
    return msgspec.structs.replace(request, headers=headers, body_limit=limit)


def _redaction(request: Request, token: TokenResponse | None) -> Redaction:
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


def _without_secrets(response: Response, hide: Redaction) -> Response:
    """Remove secrets from a response: attempts and dead letters show its body and error."""
    return msgspec.structs.replace(
        response,
        error=response.error and hide(response.error),
        body=response.body and hide(response.body),
        reason=hide(response.reason),
        headers=hide.named(response.headers),
    )


def _kept_response(response: Response, started_at: int) -> CallAnswer:
    return CallAnswer(
        status=response.status,
        status_text=response.reason or response.error or "",
        headers=kept_values(response.headers),
        body=(response.body or "")[:MAX_BODY],
        start_time=timestamps.to_text(started_at),
        end_time=timestamps.to_text(timestamps.now()),
    )
