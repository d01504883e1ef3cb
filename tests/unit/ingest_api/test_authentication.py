from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from backbone.catalog.api_keys import api_key_record
from backbone.catalog.secrets import SecretBox
from backbone.catalog.view import CatalogView
from ingest_api import authentication
from ingest_api.authentication import Authenticator
from ingest_api.tokens import Tokens
from schemas.model.access import Client, KeyUse, Realm
from schemas.model.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BOX = SecretBox(["a secret key of this test"])
TOKENS = Tokens("a secret of at least thirty-two bytes", unnamed=Realm("crmls"))
KEY = "hrk_a-key-of-this-test"


def authenticator(realm: Realm, use: KeyUse = KeyUse.API, *, disabled: bool = False) -> Authenticator:
    """Of a catalog with one client, ``c1``, that holds ``KEY``."""
    view = CatalogView()
    client = Client(id="c1", workspace="w", name="n", realm=realm, disabled=disabled, created_at=1, updated_at=1)
    view.put(client, 1)
    view.put(api_key_record("k1", client, KEY, BOX.digest(KEY), use=use), 1)

    async def lookup(find: Callable[[CatalogView], T | None]) -> T | None:
        return find(view)

    return Authenticator(view, lookup, BOX, TOKENS)


async def test_a_key_is_good_for_what_it_was_issued_for() -> None:
    ordinary = authenticator(Realm("eventhos"))
    secret = authenticator(Realm("eventhos"), KeyUse.CLIENT_SECRET)

    assert (await ordinary.by_key(KEY, Realm("eventhos"))).id == "c1"
    assert (await secret.by_key(KEY, Realm("eventhos"), KeyUse.CLIENT_SECRET)).id == "c1"
    assert (await secret.by_bearer_key(f"Bearer {KEY}".encode(), Realm("eventhos"), *KeyUse)).id == "c1"
    for refused in (
        ordinary.by_key(KEY, Realm("eventhos"), KeyUse.LONG_LIVED),
        ordinary.by_key(KEY, Realm("crmls")),
        secret.by_key(KEY, Realm("eventhos")),
        secret.by_bearer_key(f"Bearer {KEY}".encode(), Realm("eventhos")),
    ):
        with pytest.raises(Unauthenticated):
            await refused


@pytest.mark.parametrize("realm", [Realm("crmls"), Realm("eventhos")])
async def test_a_token_is_good_for_the_family_that_it_was_issued_for(realm: Realm) -> None:
    crmls = TOKENS.issue(Realm("crmls"), "c1", 60).text
    eventhos = TOKENS.issue(Realm("eventhos"), "c1", 60).text
    own, other = (crmls, eventhos) if realm == Realm("crmls") else (eventhos, crmls)
    found = authenticator(realm)

    for _ in range(2):
        assert (await found.by_bare_token(own, realm)).id == "c1"
        assert (await found.by_token(f"Bearer {own}".encode(), realm)).id == "c1"
        for token in (other, TOKENS.issue(Realm("nowhere"), "c1", 60).text):
            with pytest.raises(Unauthenticated):
                await found.by_bare_token(token, realm)
            with pytest.raises(Unauthenticated):
                await found.by_token(f"Bearer {token}".encode(), realm)


async def test_a_credential_with_much_around_it_is_good_and_not_remembered() -> None:
    found = authenticator(Realm("crmls"))
    padded = b"Bearer" + b" " * 5_000 + TOKENS.issue(Realm("crmls"), "c1", 60).text.encode()

    assert (await found.by_token(padded, Realm("crmls"))).id == "c1"
    assert found._claims == {}


async def test_a_disabled_client_is_refused_with_any_credential() -> None:
    found = authenticator(Realm("crmls"), disabled=True)

    with pytest.raises(Unauthenticated):
        await found.by_key(KEY, Realm("crmls"))
    with pytest.raises(Unauthenticated):
        await found.by_bare_token(TOKENS.issue(Realm("crmls"), "c1", 60).text, Realm("crmls"))


async def test_a_credential_that_was_forgotten_for_others_is_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "MAX_REMEMBERED", 1)
    found = authenticator(Realm("crmls"))
    tokens = [TOKENS.issue(Realm("crmls"), "c1", lifetime).text for lifetime in (60, 120)]

    for token in tokens * 2:
        assert (await found.by_bare_token(token, Realm("crmls"))).id == "c1"
    assert len(found._claims) == 1
