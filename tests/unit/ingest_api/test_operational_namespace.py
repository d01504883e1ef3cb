"""Only the gateway registers and publishes in the namespace ``headrace``; who asks for its events makes their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from schemas.model.operational_event import ATTRIBUTES, NAMESPACE, topic_of
from tests.support.local_gateway import LocalGateway, local_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

V1 = "/headrace/v1"
TYPE = {"namespace": NAMESPACE, "code": "endpoint.failing"}
CLOUDEVENTS = {"Content-Type": "application/cloudevents+json"}
EVENT = {"specversion": "1.0", "type": f"{NAMESPACE}/endpoint.failing", "source": "s", "id": "1", "data": {}}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGateway]:
    with pytest.MonkeyPatch.context() as environment:
        yield local_gateway(tmp_path_factory.mktemp("gateway"), environment)


@pytest.fixture
async def local(opened: LocalGateway) -> LocalGateway:
    return await opened.begin()


async def has_types(local: LocalGateway, workspace: str) -> bool:
    view = local.gateway.catalog.view
    found = [view.event_type(topic_of(workspace, code)) for code in ATTRIBUTES]
    assert len({each is None for each in found}) == 1, "all of them or none"
    return found[0] is not None


@pytest.mark.parametrize("role", ["producer", "operator", "admin"])
async def test_nobody_registers_or_publishes_in_it(local: LocalGateway, role: str) -> None:
    workspace = await local.workspace()
    client, key = await local.new_client(workspace, role)
    async with local.client(key) as http:
        refusals = [
            await http.post(f"{V1}/event-types", json=TYPE),
            await http.post(f"{V1}/registrations", json={**TYPE, "client": client}),
            await http.post(f"{V1}/registrations", json={**TYPE, "client": client, "kind": "SUBSCRIBE"}),
        ]
        (await http.post(f"{V1}/filters", json={"name": "f", "types": [TYPE]})) if role != "producer" else None
        refusals.append(await http.post(f"{V1}/events", json=EVENT, headers=CLOUDEVENTS))
    assert [answer.status_code for answer in refusals] == [403] * 4, [answer.text for answer in refusals]
    assert local.published == []


async def test_a_family_with_namespaces_of_its_own_does_not_either(local: LocalGateway) -> None:
    workspace = await local.workspace()
    _, key = await local.new_client(workspace, "producer", level="application")
    people: dict[str, Any] = {"name": "p", "identifiers": [{"name": "email", "type": "x"}]}
    async with local.client(key) as http:
        answer = await http.post("/v1/eventtype", json={**people, **TYPE, "registrationType": "PUBLISH"})
    assert 400 <= answer.status_code < 500
    assert not await has_types(local, workspace)


async def test_the_first_filter_that_selects_it_makes_the_types(local: LocalGateway) -> None:
    workspace = await local.workspace()
    _, key = await local.new_client(workspace, "subscriber")
    _, operator = await local.new_client(workspace, "operator")
    async with local.client(key) as http:
        everything = {"name": "all", "types": [{"namespace": "*", "code": "*"}]}
        (await http.post(f"{V1}/filters", json=everything)).raise_for_status()
        assert not await has_types(local, workspace)
        alerts = {"name": "alerts", "types": [{"namespace": NAMESPACE, "code": "*"}]}
        made = (await http.post(f"{V1}/filters", json=alerts)).raise_for_status().json()
        assert made["warnings"] == []
        assert await has_types(local, workspace)
        (await http.patch(f"{V1}/filters/{made['id']}", json={"types": [TYPE]})).raise_for_status()
    async with local.client(operator) as http:
        path = f"{V1}/event-types/{NAMESPACE}/endpoint.failing"
        shown = (await http.get(path)).raise_for_status().json()
        assert {each["name"] for each in shown["attributes"]} >= {"endpoint", "failures", "failing_since", "error"}
        assert (await http.patch(path, json={"attributes": []})).status_code == 403


async def test_a_workspace_with_nothing_but_these_types_is_empty(local: LocalGateway) -> None:
    workspace = await local.workspace()
    async with local.client(params={"workspace": workspace}) as admin:
        made = await admin.post(f"{V1}/filters", json={"name": "f", "types": [TYPE]})
        assert await has_types(local, workspace)
        (await admin.delete(f"{V1}/filters/{made.json()['id']}")).raise_for_status()
        (await admin.delete(f"{V1}/workspaces/{workspace}")).raise_for_status()
    assert not await has_types(local, workspace)
