"""Who may connect, what they may join, and for how long: what tokens say, as far as the catalog still stands by it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from backbone.catalog.realtime_grants import Ground, covers, stands
from backbone.realtime_tokens import ExpiredToken, InvalidToken
from connectors.websocket import protocol
from connectors.websocket.protocol import Disconnected
from schemas.access import Realm
from schemas.organisation import read_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backbone.catalog.reader import Catalog
    from backbone.catalog.view import CatalogView
    from backbone.realtime_tokens import ConnectionClaims, RealtimeTokens, SubscriptionClaims
    from connectors.websocket.session import Node
    from schemas.access import Client
    from schemas.organisation import ScopeEndings

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOOK_AGAIN = 0.25
"""Seconds between two looks whether the catalog has changed."""


class Admission:
    """Lets clients in.

    Args:
        tokens: verifies them.
        catalog: this node's reader.
        endings: of the scopes that let Envoy's users join channels.
    """

    def __init__(self, tokens: RealtimeTokens, catalog: Catalog, endings: ScopeEndings) -> None:
        self._tokens = tokens
        self._catalog = catalog
        self.endings = endings

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

    async def look_up(self, ground: Ground, channels: Iterable[str] = ()) -> None:
        """Have what ``stands`` and ``covers`` go by in the view.

        Raises:
            Unavailable: Kafka does not answer.
        """
        if ground.public is not None:
            if read_channel(ground.public, ground.workspace) is not None:
                await self._catalog.lookup(lambda view: stands(view, ground) or None)
        elif ground.issuer is not None:
            wanted = tuple(channels)

            def known(view: CatalogView) -> Client | None:
                good = stands(view, ground) and all(covers(view, ground, each, self.endings) for each in wanted)
                return view.client(ground.issuer or "") if good else None

            issuer = await self._catalog.lookup(known)
            if issuer is not None and issuer.realm is Realm.ENVOY:
                # Deprovisioning has been answered: it must be seen to have happened.
                await self._catalog.caught_up()

    def stands(self, ground: Ground) -> bool:
        """Whether the catalog stands by it at this moment."""
        return stands(self._catalog.view, ground)

    def covers(self, ground: Ground, channel: str) -> bool:
        """Whether the catalog stands by it at this moment, for this channel too."""
        return covers(self._catalog.view, ground, channel, self.endings)


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


class Doorkeeper:
    """Ends the connections and subscriptions whose ground does not stand any more, soon after the catalog says so.

    At the latest after ``_LOOK_AGAIN`` seconds. A subscription ends too when its issuer may not let into it any more.

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
        view, endings = self._node.catalog.view, self._node.admission.endings
        standing: dict[Ground, bool] = {}
        covering: dict[tuple[Ground, str], bool] = {}
        for session in list(self._node.sessions):
            if session.claims is None:
                continue
            ground = Ground.of(session.claims)
            if ground not in standing:
                standing[ground] = stands(view, ground)
            if not standing[ground]:
                session.close(protocol.PERMISSION_DENIED)
                continue
            for name, subscription in list(session.subscriptions.items()):
                on = (subscription.ground or ground, name)
                if on not in covering:
                    covering[on] = covers(view, *on, endings)
                if not covering[on]:
                    session.unsubscribe(name, protocol.SERVER_UNSUBSCRIBE)
