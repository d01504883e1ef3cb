from __future__ import annotations

import msgspec
import pytest

from backbone.catalog.api_keys import api_key_record
from backbone.catalog.bindings import bindings_of, bound_client
from backbone.catalog.view import CatalogView
from schemas.model.access import HEADRACE, ApiKey, Client, Realm
from schemas.security.binding import Binding, earliest

SECOND = 1_000_000
CLIENT = Client(id="c", workspace="w", name="c", realm=Realm("crmls"), created_at=10 * SECOND + 7, updated_at=1)
KEY: ApiKey = msgspec.structs.replace(api_key_record("k", CLIENT, "plaintext", "digest"), created_at=20 * SECOND + 7)
BINDING = Binding.of(CLIENT, KEY)


def view(client: Client | None = CLIENT, *others: ApiKey | Client) -> CatalogView:
    made = CatalogView()
    for each in (client, *(others or (KEY,))):
        if each is not None:
            made.put(each, 1)
    return made


def test_a_token_is_worth_its_client_while_client_and_key_are_there() -> None:
    assert bound_client(view(), "c", BINDING, 30) == CLIENT
    updated = msgspec.structs.replace(CLIENT, disabled=True, updated_at=99)
    assert bound_client(view(updated), "c", BINDING, 30) == updated


@pytest.mark.parametrize(
    "now",
    [
        view(None),
        view(msgspec.structs.replace(CLIENT, created_at=40 * SECOND)),
        view(msgspec.structs.replace(CLIENT, workspace="another")),
        view(CLIENT, msgspec.structs.replace(KEY, id="another")),
        view(CLIENT, msgspec.structs.replace(KEY, client="another")),
        view(CLIENT, msgspec.structs.replace(KEY, created_at=40 * SECOND)),
    ],
    ids=["client deleted", "made again", "in another workspace", "key revoked", "key of another", "key replaced"],
)
def test_a_token_is_worth_nothing_once_its_origin_is_gone(now: CatalogView) -> None:
    assert bound_client(now, "c", BINDING, 30) is None


def test_a_token_of_before_is_good_until_its_client_refuses_those() -> None:
    refusing = msgspec.structs.replace(CLIENT, tokens_from=30 * SECOND + 7)
    assert bound_client(view(), "c", None, 1) == CLIENT
    assert bound_client(view(refusing), "c", None, 31) == refusing
    assert bound_client(view(refusing), "c", None, 30) is None
    assert bound_client(view(refusing), "c", None, 1) is None
    assert bound_client(view(None), "c", None, 31) is None
    assert bound_client(view(refusing), "c", BINDING, 1) == refusing


def test_a_token_of_another_issuer_says_not_when_it_was_issued() -> None:
    assert bound_client(view(), "c", None, None) == CLIENT


def test_the_earliest_end() -> None:
    assert earliest(None, 3, 2) == 2
    assert earliest(None, None) is None


def test_a_token_is_worth_the_client_of_its_workspace() -> None:
    there = msgspec.structs.replace(CLIENT, workspace="another", identity="i")
    key = msgspec.structs.replace(KEY, id="k2", workspace="another", digest="other")
    both = view(CLIENT, KEY, there, key)
    assert bound_client(both, "c", BINDING, 30) == CLIENT
    assert bound_client(both, "c", Binding.of(there, key), 30) == there
    assert bound_client(both, "c", msgspec.structs.replace(BINDING, workspace="another"), 30) is None
    assert list(bindings_of(both)("c", Realm("crmls"))) == [BINDING, Binding.of(there, key)]


@pytest.mark.parametrize("realm", [HEADRACE, Realm("eventhos")])
def test_keys_of_clients_of_another_realm_than_the_tokens_are_not_tried(realm: Realm) -> None:
    assert list(bindings_of(view(CLIENT, KEY))("c", realm)) == []
    assert list(bindings_of(view(CLIENT, KEY))("c", Realm("crmls"))) == [BINDING]


def test_a_token_of_before_is_of_a_client_of_before() -> None:
    younger = msgspec.structs.replace(CLIENT, identity="i", tokens_from=30 * SECOND)
    assert bound_client(view(younger), "c", None, 31) is None
    there = msgspec.structs.replace(younger, workspace="another")
    assert bound_client(view(CLIENT, there), "c", None, 1) == CLIENT
    # Another issuer says in which workspace its issuer is.
    assert bound_client(view(younger), "c", None, None, workspace="w") == younger
    assert bound_client(view(younger), "c", None, 31, workspace="w") == younger
    assert bound_client(view(younger), "c", None, 30, workspace="w") is None
