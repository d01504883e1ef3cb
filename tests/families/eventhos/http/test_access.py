from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from families.eventhos.catalog.records import Refused
from families.eventhos.http.access import client_of_token, needs
from schemas.model.access import Client, KeyUse, Realm
from schemas.model.errors import Unauthenticated
from tests.unit.ingest_api.test_authentication import KEY, authenticator


async def test_a_long_lived_token_of_another_workspace_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="no other workspaces"):
        await client_of_token(authenticator(Realm("eventhos"), KeyUse.LONG_LIVED), KEY)


@pytest.mark.parametrize(("scopes", "permitted"), [(("event:select",), True), (("event:*",), True), ((), False)])
async def test_a_permission_that_was_given_a_moment_ago_elsewhere_counts(
    scopes: tuple[str, ...],
    permitted: bool,  # noqa: FBT001  # a column
) -> None:
    known = Client(id="c", workspace="default", name="n", realm=Realm("eventhos"), created_at=1, updated_at=1)
    fresh = msgspec.structs.replace(known, scopes=scopes)

    async def by_key(*_: object) -> Client:
        return known

    async def view() -> Any:
        return SimpleNamespace(client=lambda *_: fresh)

    gateway: Any = SimpleNamespace(authenticator=SimpleNamespace(by_key=by_key), view=view)
    (dependency,) = needs("event:select")

    if permitted:
        assert await dependency.dependency(gateway, b"Bearer key", None) == fresh
    else:
        with pytest.raises(Refused, match="event:select is needed"):
            await dependency.dependency(gateway, b"Bearer key", None)
