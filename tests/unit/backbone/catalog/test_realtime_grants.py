"""A realtime token is worth what its issuer may let others into, at every moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.catalog.api_keys import api_key_record
from backbone.catalog.realtime_grants import Grant, RealtimeRights
from backbone.catalog.view import CatalogView
from backbone.realtime_tokens import IssuerKey, RealtimeTokens
from families.envoy.model import FAMILY, ORGANISATIONS, PUBLIC_NAMESPACES
from families.realtime import realm_channels
from schemas.model.access import Client, Realm, Role
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.family_record import FamilyRecord

if TYPE_CHECKING:
    from schemas.model.resources import Resource

ISSUER = Client(id="c", workspace="w", name="c", roles=(Role.SUBSCRIBER,), created_at=1_000_000, updated_at=1)
USER = Client(
    id="usr_1",
    workspace="w",
    name="u",
    realm=Realm("envoy"),
    scopes=("shipments:read", "orders:read:own"),
    created_at=1_000_000,
    updated_at=1,
)
SOCKET = Endpoint(id="e", workspace="w", name="e", type=EndpointType.WEB_SOCKET, client="c", created_at=1, updated_at=1)
TOKENS = RealtimeTokens("a secret of at least thirty-two bytes", clock=lambda: 1_000)
RIGHTS = RealtimeRights(realm_channels())


def key_of(client: Client) -> Any:
    return msgspec.structs.replace(api_key_record("k", client, "plaintext", "digest"), created_at=2_000_000)


def view(*resources: Resource) -> CatalogView:
    made = CatalogView()
    provisioned = FamilyRecord(
        family=FAMILY,
        collection=ORGANISATIONS,
        id="w",
        workspace="w",
        content={PUBLIC_NAMESPACES: ["news"]},
        created_at=1,
        updated_at=1,
    )
    for each in (provisioned, *resources):
        made.put(each, 1)
    return made


def grant(issuer: Client, *, bound: bool = True) -> Grant:
    key = IssuerKey.of(issuer, key_of(issuer) if bound else None)
    token, _ = TOKENS.issue_connection(
        user="u", workspace=issuer.workspace, issuer=issuer.id, lifetime=60, channels=["endpoint:e"], key=key
    )
    return Grant.of(TOKENS.connection(token))


def test_a_subscriber_lets_into_its_own_channel_while_it_may() -> None:
    on = grant(ISSUER)
    assert RIGHTS.covers(view(ISSUER, key_of(ISSUER), SOCKET), on, "endpoint:e")
    without_role = msgspec.structs.replace(ISSUER, roles=(Role.VIEWER,))
    of_another = msgspec.structs.replace(SOCKET, client="another")
    elsewhere = msgspec.structs.replace(SOCKET, workspace="another")
    for now in (
        view(without_role, key_of(ISSUER), SOCKET),
        view(ISSUER, key_of(ISSUER)),
        view(ISSUER, key_of(ISSUER), of_another),
        view(ISSUER, key_of(ISSUER), elsewhere),
    ):
        assert RIGHTS.stands(now, on)
        assert not RIGHTS.covers(now, on, "endpoint:e")


def test_only_operators_let_into_channels_of_templates() -> None:
    on = grant(ISSUER)
    assert not RIGHTS.covers(view(ISSUER, key_of(ISSUER)), on, "orders")
    operator = msgspec.structs.replace(ISSUER, roles=(Role.OPERATOR,))
    assert RIGHTS.covers(view(operator, key_of(ISSUER)), on, "orders")


@pytest.mark.parametrize(
    "now",
    [
        view(key_of(ISSUER), SOCKET),
        view(msgspec.structs.replace(ISSUER, disabled=True), key_of(ISSUER), SOCKET),
        view(msgspec.structs.replace(ISSUER, created_at=2_000_000_000), key_of(ISSUER), SOCKET),
        view(ISSUER, SOCKET),
        view(ISSUER, msgspec.structs.replace(key_of(ISSUER), created_at=2_000_000_000), SOCKET),
    ],
    ids=["deleted", "disabled", "made again", "key revoked", "key replaced"],
)
def test_a_token_is_worth_nothing_once_its_origin_is_gone(now: CatalogView) -> None:
    assert not RIGHTS.stands(now, grant(ISSUER))
    assert not RIGHTS.covers(now, grant(ISSUER), "endpoint:e")


def test_a_token_of_before_is_good_for_its_channels_until_its_issuer_refuses_those() -> None:
    on = grant(ISSUER, bound=False)
    assert RIGHTS.covers(view(ISSUER), on, "endpoint:e")
    refusing = msgspec.structs.replace(ISSUER, tokens_from=2_000_000_000)
    assert not RIGHTS.stands(view(refusing), on)
    assert not RIGHTS.covers(view(refusing), on, "endpoint:e")


def test_scopes_that_an_envoy_user_lost_end_its_channels() -> None:
    on = grant(USER)
    now = view(USER, key_of(USER))
    for channel in ("shipments:w", "orders:w#usr_1", "news:w"):
        assert RIGHTS.covers(now, on, channel)
    for channel in ("orders:w", "shipments:w#usr_2", "shipments:another"):
        assert not RIGHTS.covers(now, on, channel)
    fewer = msgspec.structs.replace(USER, scopes=("orders:read:own",))
    assert not RIGHTS.covers(view(fewer, key_of(USER)), on, "shipments:w")
    assert RIGHTS.covers(view(fewer, key_of(USER)), on, "orders:w#usr_1")


def test_a_token_lasts_no_longer_than_the_key_it_was_got_with() -> None:
    key = msgspec.structs.replace(key_of(ISSUER), expires_at=1_030_900_000)
    for issue, more in ((TOKENS.issue_connection, {}), (TOKENS.issue_subscription, {"channel": "x"})):
        named: dict[str, Any] = {"user": "u", "workspace": "w", "issuer": "c", **more}
        assert issue(**named, lifetime=60, key=IssuerKey.of(ISSUER, key))[1] == 1_030
        assert issue(**named, lifetime=10, key=IssuerKey.of(ISSUER, key))[1] == 1_010
        assert issue(**named, lifetime=60)[1] == 1_060
