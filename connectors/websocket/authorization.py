"""Authorizes WebSocket clients: tokens say who may connect and which channels they may join."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from backbone.realtime_tokens import ExpiredToken, InvalidToken
from connectors.websocket import protocol
from connectors.websocket.protocol import Disconnected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backbone.catalog.reader import Catalog
    from backbone.catalog.realtime_grants import Grant, RealtimeRights
    from backbone.catalog.view import CatalogView
    from backbone.realtime_tokens import ConnectionClaims, RealtimeTokens, SubscriptionClaims
    from schemas.model.access import Client

T = TypeVar("T")


class ClientAuthorizer:
    """Verifies tokens, and asks the catalog whether their grants are still valid.

    Args:
        tokens: verifies tokens.
        catalog: this node's reader.
        rights: decides from the catalog which grants are valid.
    """

    def __init__(self, tokens: RealtimeTokens, catalog: Catalog, rights: RealtimeRights) -> None:
        self._tokens = tokens
        self._catalog = catalog
        self.rights = rights

    def connection(self, token: str) -> ConnectionClaims:
        """Verify the token of a connect command.

        Raises:
            Disconnected: it is missing or invalid.
            ReplyError: it has expired.
        """
        return _verified(self._tokens.connection, token, _missing, _invalid, protocol.token_expired)

    def refreshed_connection(self, token: str) -> ConnectionClaims:
        """Verify the token of a refresh command.

        Raises:
            Disconnected: it is missing, invalid or expired.
        """
        return _verified(self._tokens.connection, token, _missing, _invalid, _expired)

    def subscription(self, token: str) -> SubscriptionClaims:
        """Verify the token of a subscribe command.

        Raises:
            ReplyError: it is missing, invalid or expired.
        """
        denied = protocol.permission_denied
        return _verified(self._tokens.subscription, token, denied, denied, protocol.token_expired)

    def refreshed_subscription(self, token: str) -> SubscriptionClaims:
        """Verify the token of a sub_refresh command.

        Raises:
            ReplyError: it is missing.
            Disconnected: it is invalid or expired.
        """
        return _verified(self._tokens.subscription, token, protocol.bad_request, _invalid, _subscription_expired)

    async def look_up(self, grant: Grant, channels: Iterable[str] = ()) -> None:
        """Update the view with the records that ``stands`` and ``covers`` need.

        Raises:
            Unavailable: Kafka does not answer.
        """
        if grant.public is not None:
            if self.rights.may_be_public(grant.workspace, grant.public):
                await self._catalog.lookup(lambda view: self.rights.stands(view, grant) or None)
        elif grant.issuer is not None:
            wanted = tuple(channels)

            def known(view: CatalogView) -> Client | None:
                good = self.rights.stands(view, grant) and all(self.rights.covers(view, grant, each) for each in wanted)
                return self.rights.issuer_of(view, grant) if good else None

            issuer = await self._catalog.lookup(known)
            if issuer is not None and self.rights.has_own_channels(issuer):
                # The removal of a membership that was answered must take effect at once.
                await self._catalog.caught_up()

    def stands(self, grant: Grant) -> bool:
        """Whether the grant is valid at this moment."""
        return self.rights.stands(self._catalog.view, grant)

    def covers(self, grant: Grant, channel: str) -> bool:
        """Whether the grant is valid for this channel at this moment."""
        return self.rights.covers(self._catalog.view, grant, channel)


def _missing() -> Disconnected:
    return Disconnected(protocol.BAD_REQUEST)


def _invalid() -> Disconnected:
    return Disconnected(protocol.INVALID_TOKEN)


def _expired() -> Disconnected:
    return Disconnected(protocol.EXPIRED)


def _subscription_expired() -> Disconnected:
    return Disconnected(protocol.SUBSCRIPTION_EXPIRED)


def _verified(
    verify: Callable[[str], T],
    token: str,
    missing: Callable[[], Exception],
    invalid: Callable[[], Exception],
    expired: Callable[[], Exception],
) -> T:
    if not token:
        raise missing()
    try:
        return verify(token)
    except InvalidToken as error:
        raise invalid() from error
    except ExpiredToken as error:
        raise expired() from error
