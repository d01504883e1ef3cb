"""A realtime token is worth what its issuer may let others into, at every moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.catalog.accounts import api_key_record
from backbone.catalog.realtime_grants import Ground, covers, stands
from backbone.catalog.view import CatalogView
from backbone.envoy_settings import EnvoyScopeSettings
from backbone.realtime_tokens import IssuerKey, RealtimeTokens
from schemas.access import Client, Realm, Role
from schemas.family_record import FamilyRecord
from schemas.organisation import FAMILY, ORGANISATIONS, PUBLIC_NAMESPACES
from schemas.subscription import Endpoint, EndpointType

if TYPE_CHECKING:
    from schemas.resources import Resource

ISSUER = Client(id="c", workspace="w", name="c", roles=(Role.SUBSCRIBER,), created_at=1_000_000, updated_at=1)
USER = Client(
    id="usr_1",
    workspace="w",
    name="u",
    realm=Realm.ENVOY,
    scopes=("shipments:read", "orders:read:own"),
    created_at=1_000_000,
    updated_at=1,
)
SOCKET = Endpoint(id="e", workspace="w", name="e", type=EndpointType.WEB_SOCKET, client="c", created_at=1, updated_at=1)
TOKENS = RealtimeTokens("a secret of at least thirty-two bytes", clock=lambda: 1_000)
ENDINGS = EnvoyScopeSettings()


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


def ground(issuer: Client, *, bound: bool = True) -> Ground:
    key = IssuerKey.of(issuer, key_of(issuer) if bound else None)
    token, _ = TOKENS.issue_connection(
        user="u", workspace=issuer.workspace, issuer=issuer.id, lifetime=60, channels=["endpoint:e"], key=key
    )
    return Ground.of(TOKENS.connection(token))


def test_a_subscriber_lets_into_its_own_channel_while_it_may() -> None:
    on = ground(ISSUER)
    assert covers(view(ISSUER, key_of(ISSUER), SOCKET), on, "endpoint:e", ENDINGS)
    without_role = msgspec.structs.replace(ISSUER, roles=(Role.VIEWER,))
    of_another = msgspec.structs.replace(SOCKET, client="another")
    elsewhere = msgspec.structs.replace(SOCKET, workspace="another")
    for now in (
        view(without_role, key_of(ISSUER), SOCKET),
        view(ISSUER, key_of(ISSUER)),
        view(ISSUER, key_of(ISSUER), of_another),
        view(ISSUER, key_of(ISSUER), elsewhere),
    ):
        assert stands(now, on)
        assert not covers(now, on, "endpoint:e", ENDINGS)


def test_only_operators_let_into_channels_of_templates() -> None:
    on = ground(ISSUER)
    assert not covers(view(ISSUER, key_of(ISSUER)), on, "orders", ENDINGS)
    operator = msgspec.structs.replace(ISSUER, roles=(Role.OPERATOR,))
    assert covers(view(operator, key_of(ISSUER)), on, "orders", ENDINGS)


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
    assert not stands(now, ground(ISSUER))
    assert not covers(now, ground(ISSUER), "endpoint:e", ENDINGS)


def test_a_token_of_before_is_good_for_its_channels_until_its_issuer_refuses_those() -> None:
    on = ground(ISSUER, bound=False)
    assert covers(view(ISSUER), on, "endpoint:e", ENDINGS)
    refusing = msgspec.structs.replace(ISSUER, tokens_from=2_000_000_000)
    assert not stands(view(refusing), on)
    assert not covers(view(refusing), on, "endpoint:e", ENDINGS)


def test_scopes_that_an_envoy_user_lost_end_its_channels() -> None:
    on = ground(USER)
    now = view(USER, key_of(USER))
    for channel in ("shipments:w", "orders:w#usr_1", "news:w"):
        assert covers(now, on, channel, ENDINGS)
    for channel in ("orders:w", "shipments:w#usr_2", "shipments:another"):
        assert not covers(now, on, channel, ENDINGS)
    fewer = msgspec.structs.replace(USER, scopes=("orders:read:own",))
    assert not covers(view(fewer, key_of(USER)), on, "shipments:w", ENDINGS)
    assert covers(view(fewer, key_of(USER)), on, "orders:w#usr_1", ENDINGS)


def test_a_token_lasts_no_longer_than_the_key_it_was_got_with() -> None:
    key = msgspec.structs.replace(key_of(ISSUER), expires_at=1_030_900_000)
    for issue, more in ((TOKENS.issue_connection, {}), (TOKENS.issue_subscription, {"channel": "x"})):
        named: dict[str, Any] = {"user": "u", "workspace": "w", "issuer": "c", **more}
        assert issue(**named, lifetime=60, key=IssuerKey.of(ISSUER, key))[1] == 1_030
        assert issue(**named, lifetime=10, key=IssuerKey.of(ISSUER, key))[1] == 1_010
        assert issue(**named, lifetime=60)[1] == 1_060
