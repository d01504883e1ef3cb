"""Who may connect, what they may join, and for how long: what tokens say, as far as the catalog still stands by it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from backbone.catalog.envoy import is_provisioned, is_public
from backbone.realtime_tokens import ExpiredToken, InvalidToken
from connectors.websocket import protocol
from connectors.websocket.protocol import Disconnected
from schemas.access import Realm
from schemas.organisation import read_channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.reader import Catalog
    from backbone.catalog.view import CatalogView
    from backbone.realtime_tokens import ConnectionClaims, RealtimeTokens, SubscriptionClaims
    from connectors.websocket.session import Node

T = TypeVar("T")

_LOOK_AGAIN = 0.25
"""Seconds between two looks whether the catalog has changed."""


class Admission:
    """Lets clients in.

    Args:
        tokens: verifies them.
        catalog: this node's reader.
    """

    def __init__(self, tokens: RealtimeTokens, catalog: Catalog) -> None:
        self._tokens = tokens
        self._catalog = catalog

    def connection(self, token: str) -> ConnectionClaims:
        """What the token of a connect command says.

        Raises:
            Disconnected: it is worth nothing.
            ReplyError: it was worth something once.
        """
        return _verified(self._tokens.connection, token, _missing(), _invalid(), protocol.token_expired())

    def refreshed_connection(self, token: str) -> ConnectionClaims:
        """What the token of a refresh command says.

        Raises:
            Disconnected: it is worth nothing, or expired.
        """
        return _verified(self._tokens.connection, token, _missing(), _invalid(), Disconnected(protocol.EXPIRED))

    def subscription(self, token: str) -> SubscriptionClaims:
        """What the token of a subscribe command says.

        Raises:
            ReplyError: it is worth nothing, or expired.
        """
        denied = protocol.permission_denied()
        return _verified(self._tokens.subscription, token, denied, denied, protocol.token_expired())

    def refreshed_subscription(self, token: str) -> SubscriptionClaims:
        """What the token of a sub_refresh command says.

        Raises:
            ReplyError: there is none.
            Disconnected: it is worth nothing, or expired.
        """
        expired = Disconnected(protocol.SUBSCRIPTION_EXPIRED)
        return _verified(self._tokens.subscription, token, protocol.bad_request(), _invalid(), expired)

    async def look_up(self, claims: ConnectionClaims | SubscriptionClaims) -> None:
        """Have what ``stands`` goes by in the view.

        Raises:
            Unavailable: Kafka does not answer.
        """
        if claims.issuer is None:
            return
        issuer = await self._catalog.lookup(lambda view: view.client(claims.issuer or ""))
        if issuer is not None and issuer.realm is Realm.ENVOY:
            # Deprovisioning has been answered: it must be seen to have happened.
            await self._catalog.caught_up()

    def stands(self, claims: ConnectionClaims | SubscriptionClaims) -> bool:
        """Whether a genuine token is still worth something, by what the view says at this moment."""
        return stands(self._catalog.view, claims.issuer, claims.workspace)

    async def is_public(self, workspace: str, channel: str) -> bool:
        """Whether a channel may be joined without a token.

        Raises:
            Unavailable: Kafka does not answer.
        """
        if read_channel(channel, workspace) is None:
            return False
        return bool(await self._catalog.lookup(lambda view: is_public(view, workspace, channel) or None))


def _missing() -> Disconnected:
    return Disconnected(protocol.BAD_REQUEST)


def _invalid() -> Disconnected:
    return Disconnected(protocol.INVALID_TOKEN)


def _verified(verify: Callable[[str], T], token: str, missing: Exception, invalid: Exception, expired: Exception) -> T:
    if not token:
        raise missing
    try:
        return verify(token)
    except InvalidToken as error:
        raise invalid from error
    except ExpiredToken as error:
        raise expired from error


def stands(view: CatalogView, issuer: str | None, workspace: str) -> bool:
    """Whether what a client has issued is worth something: no more than that client.

    Tokens of Envoy users are worth something only while their organisation is provisioned. Those that no client of ours
    has issued stand.
    """
    if issuer is None:
        return True
    client = view.client(issuer)
    if client is None or client.disabled:
        return False
    return client.realm is not Realm.ENVOY or is_provisioned(view, workspace)


class Doorkeeper:
    """Ends the connections whose token does not stand any more, soon after the catalog says so.

    Args:
        node: whose connections they are.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        seen = -1
        while True:
            version = self._node.catalog.view.version
            if version != seen:
                seen = version
                self._look()
            await asyncio.sleep(_LOOK_AGAIN)

    def _look(self) -> None:
        # A connection that is about to be accepted is judged there, by a view no older than this one.
        verdicts: dict[tuple[str | None, str], bool] = {}
        for session in list(self._node.sessions):
            if session.claims is None:
                continue
            of = (session.claims.issuer, session.claims.workspace)
            if of not in verdicts:
                verdicts[of] = stands(self._node.catalog.view, *of)
            if not verdicts[of]:
                session.close(protocol.PERMISSION_DENIED)
