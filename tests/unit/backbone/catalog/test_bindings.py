from __future__ import annotations

import msgspec
import pytest

from backbone.catalog import former_clients
from backbone.catalog.accounts import api_key_record
from backbone.catalog.bindings import bound_client
from backbone.catalog.former_clients import farewell, there_was
from backbone.catalog.view import CatalogView
from schemas.access import ApiKey, Client, Realm
from schemas.binding import Binding, earliest

SECOND = 1_000_000
CLIENT = Client(id="c", workspace="w", name="c", realm=Realm.CRMLS, created_at=10 * SECOND + 7, updated_at=1)
KEY: ApiKey = msgspec.structs.replace(api_key_record("k", CLIENT, "plaintext", "digest"), created_at=20 * SECOND + 7)
BINDING = Binding.of(CLIENT, KEY)


def view(client: Client | None = CLIENT, *keys: ApiKey) -> CatalogView:
    made = CatalogView()
    for each in (client, *(keys or (KEY,))):
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


def test_what_deleted_clients_leave_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(former_clients, "_MOST", 3)
    made = CatalogView()
    gone: list[str] = []
    for number in range(6):
        client = msgspec.structs.replace(CLIENT, id=f"c{number}")
        put, delete = farewell(made, client)
        for each in put:
            made.put(each, 1)
        for key in delete:
            made.remove(key)
        gone += delete
    assert len(gone) == 2
    assert [there_was(made, f"c{number}") for number in range(6)] == [False, False, True, True, True, True]
