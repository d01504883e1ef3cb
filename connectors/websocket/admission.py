"""Who may connect, what they may join, and for how long: what tokens say, as far as the catalog still stands by it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple, TypeVar

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

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOOK_AGAIN = 0.25
"""Seconds between two looks whether the catalog has changed."""


class Ground(NamedTuple):
    """Why somebody was let in, or into a channel: good for as long as the catalog stands by it.

    Attributes:
        workspace: whose channels they are.
        issuer: id of the client that had the token issued, if any.
        public: the channel, where it took no token.
    """

    workspace: str
    issuer: str | None = None
    public: str | None = None

    @classmethod
    def of(cls, claims: ConnectionClaims | SubscriptionClaims) -> Ground:
        """That of a token."""
        return cls(claims.workspace, claims.issuer)


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

    async def look_up(self, ground: Ground) -> None:
        """Have what ``stands`` goes by in the view.

        Raises:
            Unavailable: Kafka does not answer.
        """
        if ground.public is not None:
            if read_channel(ground.public, ground.workspace) is not None:
                await self._catalog.lookup(lambda view: stands(view, ground) or None)
        elif ground.issuer is not None:
            issuer = await self._catalog.lookup(lambda view: view.client(ground.issuer or ""))
            if issuer is not None and issuer.realm is Realm.ENVOY:
                # Deprovisioning has been answered: it must be seen to have happened.
                await self._catalog.caught_up()

    def stands(self, ground: Ground) -> bool:
        """Whether the catalog stands by it at this moment."""
        return stands(self._catalog.view, ground)


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


def stands(view: CatalogView, ground: Ground) -> bool:
    """Whether the catalog stands by what somebody was let in on.

    What a client has issued is worth no more than that client; tokens of Envoy users, only while their organisation is
    provisioned. Those that no client of ours has issued stand.
    """
    if ground.public is not None:
        return is_public(view, ground.workspace, ground.public)
    if ground.issuer is None:
        return True
    client = view.client(ground.issuer)
    if client is None or client.disabled:
        return False
    # A user of that id may have come to belong to another organisation.
    return client.realm is not Realm.ENVOY or (
        client.workspace == ground.workspace and is_provisioned(view, ground.workspace)
    )


class Doorkeeper:
    """Ends the connections and subscriptions whose ground does not stand any more, soon after the catalog says so.

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
                try:
                    self._look()
                    seen = version
                except Exception:  # who has no right any more must not stay for it: look again
                    log.exception("connections could not be compared with the catalog")
            await asyncio.sleep(_LOOK_AGAIN)

    def _look(self) -> None:
        # What is about to be accepted is judged there, by a view no older than this one.
        view = self._node.catalog.view
        verdicts: dict[Ground, bool] = {}

        def still_stands(ground: Ground) -> bool:
            if ground not in verdicts:
                verdicts[ground] = stands(view, ground)
            return verdicts[ground]

        for session in list(self._node.sessions):
            if session.claims is None:
                continue
            if not still_stands(Ground.of(session.claims)):
                session.close(protocol.PERMISSION_DENIED)
                continue
            for name, subscription in list(session.subscriptions.items()):
                if subscription.ground is not None and not still_stands(subscription.ground):
                    session.unsubscribe(name, protocol.SERVER_UNSUBSCRIBE)
