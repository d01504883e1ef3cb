"""Who calls: credentials to clients. A credential of one API family is unknown to the others."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from backbone.catalog.audit import ACTOR
from backbone.catalog.bindings import bindings_of, bound_client
from backbone.workspace_queue import WORKSPACE
from schemas.model.access import HEADRACE, ApiKey, Client, KeyUse, Realm
from schemas.model.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from ingest_api.tokens import Claims, Tokens

    Lookup = Callable[[Callable[[CatalogView], Any]], Awaitable[Any]]

MAX_REMEMBERED = 10_000
"""Credentials whose costly part (signature, keyed hash) is remembered."""

_LONGEST_REMEMBERED = 4_096
"""Characters of what a credential is remembered by: with blanks in it, a header can be of any length."""

_ORDINARY = (KeyUse.API,)


class Authenticator:
    """Finds the client behind a credential.

    What is remembered is only what can never change: the claims of a genuine token and the keyed hashes of a key.
    Whether the key and the client still exist is asked of the catalog on every request: a revocation works at once.

    Args:
        view: of the catalog.
        lookup: finds in the view what may have been written a moment ago elsewhere, in a request's time.
        secrets: hashes API keys.
        tokens: verifies tokens.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        view: CatalogView,
        lookup: Lookup,
        secrets: SecretBox,
        tokens: Tokens,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._view = view
        self._lookup = lookup
        self._secrets = secrets
        self._tokens = tokens
        self._clock = clock
        self._claims: dict[bytes | str, Claims] = {}
        self._digests: dict[str, tuple[str, ...]] = {}

    async def by_token(self, authorization: bytes | None, realm: Realm) -> Client:
        """The client of an ``Authorization: Bearer <token>`` header with a token that this gateway issued.

        Raises:
            Unauthenticated: no token, not a genuine one, expired, or its client is gone or disabled.
        """
        if authorization is None:
            raise Unauthenticated("The Authorization header with a bearer token is missing.")
        claims = self._claims.get(authorization)
        if claims is None:
            claims = await self._verified(bearer(authorization))
            _remember(self._claims, authorization, claims)
        return await self._holder(claims, realm)

    async def by_bare_token(self, token: str, realm: Realm) -> Client:
        """The client of a token that this gateway issued, where a family sends it without a scheme.

        Raises:
            Unauthenticated: see ``by_token``.
        """
        claims = self._claims.get(token)
        if claims is None:
            claims = await self._verified(token)
            _remember(self._claims, token, claims)
        return await self._holder(claims, realm)

    async def by_key(self, key: str, realm: Realm, *uses: KeyUse) -> Client:
        """The client of an API key that is good for one of these uses, or for ``api`` where none is given.

        Raises:
            Unauthenticated: an unknown, revoked or expired key, one for other uses, or its client is gone, disabled or
                of another family.
        """
        uses = uses or _ORDINARY
        digests = self._digests.get(key) or self._secrets.digests(key)
        client = self._find(self._view, digests, uses)
        if client is None:
            client = await self._lookup(lambda view: self._find(view, digests, uses))
        client = _usable(client, realm)
        _remember(self._digests, key, digests)
        return client

    async def by_bearer_key(self, authorization: bytes | None, realm: Realm = HEADRACE, *uses: KeyUse) -> Client:
        """The client of an ``Authorization: Bearer <API key>`` header.

        Raises:
            Unauthenticated: see ``by_key``; or there is no such header.
        """
        if authorization is None:
            raise Unauthenticated("The Authorization header with an API key as bearer is missing.")
        return await self.by_key(bearer(authorization), realm, *uses)

    def known_by_bearer_key(self, authorization: bytes | None) -> Client | None:
        """The client of ``by_bearer_key``, if its key was used before and nothing has to be looked for.

        Raises:
            Unauthenticated: see ``by_key``.
        """
        key = "" if authorization is None else bearer(authorization)
        client = self._find(self._view, self._digests.get(key, ()), _ORDINARY)
        return None if client is None else _usable(client, HEADRACE)

    def key_behind(self, credential: str) -> ApiKey | None:
        """Return the API key that an accepted credential is, or that it was got with.

        None for a token of an earlier release, which does not say.

        Raises:
            Unauthenticated: it is a token that is not genuine, or a key that has just been revoked: what the call gets
                would have no end.
        """
        for digest in self._digests.get(credential) or self._secrets.digests(credential):
            key = self._view.api_key_by_digest(digest)
            if key is not None:
                return key
        if credential.count(".") != 2:  # noqa: PLR2004  # only a JSON Web Token has three parts
            raise Unauthenticated("The credential is not known.")
        claims = self._claims.get(credential) or self._tokens.verify(credential, bindings_of(self._view))
        return None if claims.binding is None else self._view.api_key(claims.binding.key)

    async def _verified(self, token: str) -> Claims:
        try:
            claims = self._tokens.verify(token, bindings_of(self._view))
        except Unauthenticated as error:
            # The key that it was got with may have been made a moment ago elsewhere.
            found: Claims | None = await self._lookup(lambda view: self._claims_in(view, token))
            if found is None:
                raise error from None
            claims = found
        return claims

    def _claims_in(self, view: CatalogView, token: str) -> Any:
        with contextlib.suppress(Unauthenticated):
            return self._tokens.verify(token, bindings_of(view))
        return None

    async def _holder(self, claims: Claims, realm: Realm) -> Client:
        if self._tokens.expired(claims):
            raise Unauthenticated("The token has expired.")
        client = bound_client(self._view, claims.client, claims.binding, claims.issued_at)
        if client is None:
            client = await self._lookup(
                lambda view: bound_client(view, claims.client, claims.binding, claims.issued_at)
            )
        # A client may be known to one family only; the token says by itself too for which it was issued.
        return _usable(client if claims.realm == realm else None, realm)

    def _find(self, view: CatalogView, digests: tuple[str, ...], uses: tuple[KeyUse, ...]) -> Client | None:
        for digest in digests:
            key = view.api_key_by_digest(digest)
            if key is None or key.use not in uses:
                continue
            if key.expires_at is None or key.expires_at > self._clock() * 1_000_000:
                return view.client(key.workspace, key.client)
        return None


def bearer(authorization: bytes) -> str:
    """The credential of a bearer header; the scheme's case does not matter (RFC 9110).

    Raises:
        Unauthenticated: another scheme, or nothing after it.
    """
    scheme, _, credential = authorization.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise Unauthenticated("The Authorization header must be: Bearer <credential>.")
    return credential.strip()


def _usable(client: Client | None, realm: Realm) -> Client:
    if client is None or client.disabled or client.realm != realm:
        raise Unauthenticated("The credential is not known.")
    # What the request changes in the catalog waits in the queue of this workspace.
    WORKSPACE.set(client.workspace)
    ACTOR.set(client)
    return client


def _remember(cache: dict[Any, Any], key: bytes | str, value: Any) -> None:
    if len(key) > _LONGEST_REMEMBERED:
        return
    if len(cache) >= MAX_REMEMBERED:
        cache.clear()
    cache[key] = value
