from __future__ import annotations

import pytest

from ingest_api.families.eventhos_access import client_of_token
from schemas.access import KeyUse, Realm
from schemas.errors import Unauthenticated
from tests.unit.ingest_api.test_authentication import KEY, authenticator


async def test_a_long_lived_token_of_another_workspace_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="no other workspaces"):
        await client_of_token(authenticator(Realm.EVENTHOS, KeyUse.LONG_LIVED), KEY)
