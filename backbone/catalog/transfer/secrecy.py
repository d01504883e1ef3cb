"""The secrets of an endpoint in a file: left out, or encrypted as the catalog has them.

A file without secrets has ``[hidden]`` in the place of each. An import keeps the secret that the endpoint has there.
Where it has none the place stays empty: it has to be set before the endpoint can be delivered to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.secrets import UNSET
from schemas.model.endpoint import HIDDEN, NameValue
from schemas.model.secrecy import has_user, with_user_hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemas.model.endpoint import Authorization, Endpoint


def hidden(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with ``[hidden]`` for each secret, one for all that sign."""
    changed = replaced(_with_urls(endpoint, with_user_hidden), lambda _place, _token: HIDDEN)
    signing = (HIDDEN,) if endpoint.signing_secrets else ()
    return msgspec.structs.replace(changed, signing_secrets=signing, signing_secrets_expire_at=())


def tokens(endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """Return each place of a secret with the token there, but for the secrets that sign."""
    found: list[tuple[str, str]] = []

    def note(place: str, token: str) -> str:
        found.append((place, token))
        return token

    replaced(endpoint, note)
    return iter(found)


def restored(endpoint: Endpoint, before: Endpoint | None, signing_secret: str) -> tuple[Endpoint, list[str]]:
    """Return an endpoint of a file without secrets, with those that it has, and the places that have none.

    Args:
        endpoint: of the file.
        before: as it is now, if it is there.
        signing_secret: encrypted; for one that shall sign and has no secret yet.
    """
    kept = {} if before is None else dict(tokens(before))
    known = {} if before is None else {with_user_hidden(url): url for url in _urls(before)}
    changed = replaced(_with_urls(endpoint, lambda url: known.get(url, url)), lambda place, _: kept.get(place, UNSET))
    missing = [place for place, token in tokens(changed) if token == UNSET]
    missing += [f"credentials in {url}" for url in _urls(changed) if has_user(url) and with_user_hidden(url) == url]
    signing: tuple[str, ...] = ()
    expire_at: tuple[int | None, ...] = ()
    if before is not None and before.signing_secrets:
        signing, expire_at = before.signing_secrets, before.signing_secrets_expire_at
    elif endpoint.signing_secrets:
        signing = (signing_secret,)
        missing.append("signing_secrets")
    return msgspec.structs.replace(changed, signing_secrets=signing, signing_secrets_expire_at=expire_at), missing


def _urls(endpoint: Endpoint) -> list[str]:
    """Those that may have credentials of their own."""
    token_url = None if endpoint.authorization is None else endpoint.authorization.token_url
    return [each for each in (endpoint.url, token_url) if each is not None]


def _with_urls(endpoint: Endpoint, change: Callable[[str], str]) -> Endpoint:
    authorization = endpoint.authorization
    if authorization is not None and authorization.token_url is not None:
        authorization = msgspec.structs.replace(authorization, token_url=change(authorization.token_url))
    url = None if endpoint.url is None else change(endpoint.url)
    return msgspec.structs.replace(endpoint, url=url, authorization=authorization)


def replaced(endpoint: Endpoint, change: Callable[[str, str], str]) -> Endpoint:
    """Return the endpoint with each secret changed, but for those that sign."""

    def members(place: str, values: tuple[NameValue, ...]) -> tuple[NameValue, ...]:
        return tuple(
            msgspec.structs.replace(each, value=change(f"{place}.{each.name}", each.value)) if each.sealed else each
            for each in values
        )

    sealed = {name: change(f"headers.{name.lower()}", token) for name, token in endpoint.sealed_headers.items()}
    request = endpoint.request
    if request is not None:
        request = msgspec.structs.replace(
            request,
            headers=members("request.headers", request.headers),
            query=members("request.query", request.query),
        )
    return msgspec.structs.replace(
        endpoint,
        sealed_headers=sealed,
        authorization=_authorization(endpoint.authorization, change, members),
        request=request,
    )


def _authorization(
    stored: Authorization | None,
    change: Callable[[str, str], str],
    members: Callable[[str, tuple[NameValue, ...]], tuple[NameValue, ...]],
) -> Authorization | None:
    if stored is None:
        return None
    return msgspec.structs.replace(
        stored,
        secret=None if stored.secret is None else change("authorization.secret", stored.secret),
        refresh_token=None
        if stored.refresh_token is None
        else change("authorization.refresh_token", stored.refresh_token),
        parameters=members("authorization.parameters", stored.parameters),
    )
