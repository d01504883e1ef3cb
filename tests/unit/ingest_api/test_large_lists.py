"""Lists without pages, or with pages by items, hold so much and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from families.eventhos.catalog.records import Refused
from families.eventhos.http.messages import Paging
from families.exchange.http.event_types import MOST_LISTED, check_listable
from schemas.model.errors import PayloadTooLarge
from schemas.model.event_type import Attribute, Registration
from tests.support.local_gateway import local_gateway

if TYPE_CHECKING:
    from pathlib import Path


def test_a_page_of_eventhos_that_is_too_large_asks_for_fewer() -> None:
    rows = [{"id": number, "permissions": ("x" * 100_000,)} for number in range(100)]
    with pytest.raises(Refused, match="ask for fewer itemsPerPage"):
        Paging(100, 0, descending=False, sorted_by="id").of(rows)
    assert Paging(20, 1, descending=False, sorted_by="id").of(rows)["items"] == rows[20:40]


def test_a_list_of_exchange_event_types_that_is_too_long_is_refused() -> None:
    attributes = tuple(Attribute(name=f"a{number}", type="String") for number in range(1_000))
    found = [
        Registration(
            client="c", workspace="w", namespace="n", code=f"c{n}", attributes=attributes, created_at=0, updated_at=0
        )
        for n in range(MOST_LISTED // 1_000 + 1)
    ]
    assert check_listable(found[1:]) == found[1:]
    with pytest.raises(PayloadTooLarge):
        check_listable(found)


async def test_a_graphql_document_looks_through_so_many_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.security.budget.ANSWER_LOOKED_AT", 10)
    local = await local_gateway(tmp_path, monkeypatch).begin()
    _, key = await local.new_client(await local.workspace(), "subscriber", realm="graphql")

    async def asked(query: str) -> dict[str, Any]:
        async with local.client(key) as http:
            found: dict[str, Any] = (await http.post("/event-service/graphql", json={"query": query})).json()
        return found

    for number in range(11):
        await asked(f'mutation {{ createWebSocketEndpoint(name: "{number}") {{ id }} }}')
        await asked("mutation { createEventFilters(eventFiltersInput: {in: {}}) { id } }")
    for field in ("endpoints", "eventsFilters"):
        one = f"{field}(pagination: {{limit: 0}}) {{ totalCount }}"
        assert (await asked(f"{{ {one} }}"))["data"][field]["totalCount"] == 11
        assert "look through 10 items" in (await asked(f"{{ a: {one} b: {one} }}"))["errors"][0]["message"]


async def test_a_role_of_eventhos_has_so_many_permissions_and_a_client_so_many_roles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = await local_gateway(tmp_path, monkeypatch).begin()
    many = [f"event:term{number}" for number in range(501)]
    key = {"identifier": "many", "permissions": many}
    async with local.client(None) as http:
        made = await local.new_client("default", realm="eventhos", scopes=["OAUTH2_global:*"])
        fields = {"grant_type": "client_credentials", "client_id": made[0], "client_secret": made[1]}
        token = (await http.post("/auth/token", data=fields)).json()["content"]["jwt_token"]
    async with local.client(token) as http:
        assert (await http.post("/auth/role", json=key)).status_code == 400
        by_resource = {"identifier": "many", "allowedObject": {"event": [each[6:] for each in many]}}
        assert (await http.post("/auth/role", json=by_resource)).status_code == 400
        role = (await http.post("/auth/role", json={**key, "permissions": many[:-1]})).json()["content"]["roleId"]
        assert (await http.put(f"/auth/role/{role}/permission", json={"permissions": many})).status_code == 400
        client = {"identifier": "c", "name": "c", "roles": [role] * 101}
        assert (await http.post("/auth/client", json=client)).status_code == 400
