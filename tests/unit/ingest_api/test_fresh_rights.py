"""What another worker wrote a moment ago counts: who may do more now is not refused, who may do less not let in."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from backbone.catalog.view import CatalogView
from backbone.realtime_tokens import RealtimeTokens
from backbone.slices import Slices
from families.envoy.http.routes import connection_token
from families.envoy.model import FAMILY, ORGANISATIONS
from families.exchange.http.access import source
from families.exchange.http.subscribed import subscribed_codes, subscribed_consumer
from schemas.model.access import Client, Realm, Role
from schemas.model.errors import PermissionDenied, Unauthenticated
from schemas.model.family_record import FamilyRecord

SHOP = Client(id="shop", workspace="w", name="shop", realm=Realm("exchange"), created_at=1, updated_at=1)
USER = Client(
    id="usr_1", workspace="org_1", name="n", realm=Realm("envoy"), scopes=("a:read",), created_at=1, updated_at=1
)


def gateway(*written: Client) -> Any:
    """A worker that reads what was written when it catches up."""
    caught_up = CatalogView()
    provisioned = FamilyRecord(
        family=FAMILY, collection=ORGANISATIONS, id="org_1", workspace="org_1", content={}, created_at=1, updated_at=1
    )
    caught_up.put(provisioned, 1)
    for each in written:
        caught_up.put(each, 1)

    async def view() -> CatalogView:
        return caught_up

    tokens = RealtimeTokens("a secret of at least thirty-two bytes")
    return SimpleNamespace(view=view, realtime_tokens=tokens, settings_of=lambda kind: kind(), slices=Slices())


async def test_an_exchange_endpoint_that_has_become_a_source_publishes() -> None:
    publishing = msgspec.structs.replace(SHOP, roles=(Role.PRODUCER,))

    assert await source(gateway(publishing), SHOP) == publishing
    assert await subscribed_codes(gateway(publishing), SHOP) == []
    for unchanged in (gateway(SHOP), gateway()):
        with pytest.raises(PermissionDenied, match="source"):
            await source(unchanged, SHOP)


async def test_an_exchange_endpoint_that_has_become_a_destination_receives() -> None:
    answer = await subscribed_consumer(gateway(msgspec.structs.replace(SHOP, roles=(Role.SUBSCRIBER,))), SHOP)
    assert answer.body == b"[]"
    with pytest.raises(PermissionDenied, match="destination"):
        await subscribed_consumer(gateway(SHOP), SHOP)


async def test_a_connection_token_says_the_scopes_that_an_envoy_user_has_now() -> None:
    worker = gateway(msgspec.structs.replace(USER, scopes=("b:read",)))

    answer = await connection_token(worker, USER)

    token = json.loads(bytes(answer.body))["token"]
    assert worker.realtime_tokens.connection(token).channels == ("b:org_1",)


@pytest.mark.parametrize(
    "written", [(), (msgspec.structs.replace(USER, disabled=True),), (msgspec.structs.replace(USER, workspace="o"),)]
)
async def test_an_envoy_user_that_is_there_no_more_gets_no_token(written: tuple[Client, ...]) -> None:
    with pytest.raises(Unauthenticated):
        await connection_token(gateway(*written), USER)
