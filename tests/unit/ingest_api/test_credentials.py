"""What is got with a credential ends with it, and lasts no longer: every token and key that another one gets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
import pytest

from backbone.catalog.writer import Changes
from schemas.model.errors import Unauthenticated
from tests.support.local_gateway import LocalGateway, local_gateway
from tests.support.running_gateway import TOKEN_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from schemas.model.resources import Resource

V1 = "/headrace/v1"
CLOUDEVENT = {"specversion": "1.0", "type": "n/c", "source": "s", "data": {}}
EVENT = {"eventName": "e", "eventTime": "2024-01-01T00:00:00Z", "messageType": "Offer", "message": {}}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGateway]:
    with pytest.MonkeyPatch.context() as environment:
        yield local_gateway(tmp_path_factory.mktemp("gateway"), environment)


@pytest.fixture
async def local(opened: LocalGateway) -> LocalGateway:
    return await opened.begin()


async def put(local: LocalGateway, *resources: Resource, delete: tuple[str, ...] = ()) -> None:
    await local.gateway.writer.write(lambda _: Changes(put=resources, delete=delete, result=None))


async def crmls_token(local: LocalGateway, key: str) -> str:
    async with local.client(None) as http:
        token: str = (await http.post("/api/token", params={"apiKey": key})).raise_for_status().json()["token"]
    return token


async def posted(local: LocalGateway, token: str) -> int:
    async with local.client(token) as http:
        return (await http.post("/api/app/events", json=EVENT)).status_code


async def eventhos_token(local: LocalGateway, client: str, secret: str) -> str:
    fields = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    async with local.client(None) as http:
        answer = (await http.post("/auth/token", data=fields)).raise_for_status()
    token: str = answer.json()["content"]["jwt_token"]
    return token


async def listed(local: LocalGateway, token: str) -> int:
    async with local.client(token) as http:
        return (await http.get("/auth/client")).status_code


async def only_key(local: LocalGateway, workspace: str, client: str) -> Any:
    (key,) = local.gateway.catalog.view.api_keys(workspace, client)
    return key


async def test_a_token_is_of_one_incarnation_of_a_client(local: LocalGateway) -> None:
    here, there = await local.workspace(), await local.workspace()
    client, key = await local.new_client(here, "producer", realm="crmls")
    token = await crmls_token(local, key)
    assert await posted(local, token) == 200
    async with local.client(params={"workspace": here}) as admin:
        (await admin.delete(f"{V1}/clients/{client}")).raise_for_status()
    again, other_key = await local.new_client(there, "producer", realm="crmls", id=client)
    assert again == client

    assert await posted(local, token) == 401
    assert await posted(local, await crmls_token(local, other_key)) == 200


async def test_a_crmls_token_ends_with_its_key(local: LocalGateway) -> None:
    workspace = await local.workspace()
    client, key = await local.new_client(workspace, "producer", realm="crmls")
    token, first = await crmls_token(local, key), await only_key(local, workspace, client)
    async with local.client(params={"workspace": workspace}) as admin:
        second = (await admin.post(f"{V1}/clients/{client}/keys")).json()["key"]
        kept = await crmls_token(local, second)
        (await admin.delete(f"{V1}/clients/{client}/keys/{first.id}")).raise_for_status()

    assert await posted(local, token) == 401
    assert await posted(local, kept) == 200


async def test_an_eventhos_token_ends_with_the_secret_it_was_got_with(local: LocalGateway) -> None:
    client, secret = await local.new_client("default", realm="eventhos", scopes=["OAUTH2_global:*"])
    token = await eventhos_token(local, client, secret)
    async with local.client(token) as http:
        rows = (await http.get("/auth/client", params={"itemsPerPage": 1000})).json()["content"]["items"]
        (number,) = [each["id"] for each in rows if each["client_id"] == client]
        fresh = (await http.put(f"/auth/client/{number}/secret")).json()["content"]["clientSecret"]

    assert await listed(local, token) == 401
    assert await listed(local, await eventhos_token(local, client, fresh)) == 200


def of_before(client: str, issued_at: float) -> str:
    """A token as earlier releases issued them."""
    now = int(issued_at)
    claims = {"nameid": client, "unique_name": client, "nbf": now, "iat": now, "exp": now + 604_800}
    return jwt.encode(claims, TOKEN_SECRET, algorithm="HS256")


async def made_before(local: LocalGateway, workspace: str, client: str) -> None:
    """Have the record of a client be one that an earlier release wrote."""
    found = local.gateway.catalog.view.client(workspace, client)
    assert found is not None
    await put(local, delete=(found.key,))
    await put(local, msgspec.structs.replace(found, identity="", tokens_from=0))


async def test_a_token_of_before_is_good_until_a_key_is_revoked(local: LocalGateway) -> None:
    workspace = await local.workspace()
    client, _ = await local.new_client(workspace, "producer", realm="crmls")
    token = of_before(client, time.time() - 3_600)
    assert await posted(local, token) == 401
    await made_before(local, workspace, client)
    assert await posted(local, token) == 200
    async with local.client(params={"workspace": workspace}) as admin:
        first = await only_key(local, workspace, client)
        (await admin.post(f"{V1}/clients/{client}/keys")).raise_for_status()
        assert await posted(local, token) == 200
        (await admin.delete(f"{V1}/clients/{client}/keys/{first.id}")).raise_for_status()
    assert await posted(local, token) == 401


@pytest.mark.parametrize("here", [True, False])
async def test_a_token_of_before_is_of_one_incarnation_of_a_client(local: LocalGateway, *, here: bool) -> None:
    workspace = await local.workspace()
    client, _ = await local.new_client(workspace, "producer", realm="crmls")
    await made_before(local, workspace, client)
    token = of_before(client, time.time())
    assert await posted(local, token) == 200
    async with local.client(params={"workspace": workspace}) as admin:
        (await admin.delete(f"{V1}/clients/{client}")).raise_for_status()
    place = workspace if here else await local.workspace()
    again, key = await local.new_client(place, "producer", realm="crmls", id=client)
    assert again == client
    assert await posted(local, token) == 401
    assert await posted(local, await crmls_token(local, key)) == 200


async def test_an_eventhos_token_of_before_ends_when_the_secret_is_reset(local: LocalGateway) -> None:
    client, secret = await local.new_client("default", realm="eventhos", scopes=["OAUTH2_global:*"])
    await made_before(local, "default", client)
    await eventhos_token(local, client, secret)
    now = int(time.time())
    claims = {"nameid": client, "realm": "eventhos", "nbf": now, "iat": now, "exp": now + 86_400}
    token = jwt.encode(claims, TOKEN_SECRET, algorithm="HS256")
    async with local.client(token) as http:
        rows = (await http.get("/auth/client", params={"itemsPerPage": 1000})).json()["content"]["items"]
        (number,) = [each["id"] for each in rows if each["client_id"] == client]
        (await http.put(f"/auth/client/{number}/secret")).raise_for_status()
    assert await listed(local, token) == 401


async def limited(local: LocalGateway, workspace: str, client: str, seconds: int = 60) -> str:
    """A key of a client that ends soon."""
    async with local.client(params={"workspace": workspace}) as admin:
        made = await admin.post(f"{V1}/clients/{client}/keys", json={"lifetime": seconds})
        key: str = made.raise_for_status().json()["key"]
    return key


def ends(local: LocalGateway, key: str) -> int | None:
    """When an API key ends, in microseconds since the epoch."""
    found = local.gateway.authenticator.key_behind(key)
    assert found is not None
    return found.expires_at


async def test_a_key_with_a_lifetime_makes_none_that_lives_longer(local: LocalGateway) -> None:
    workspace = await local.workspace()
    for roles in (("operator",), ("producer", "key_issuer")):
        client, _ = await local.new_client(workspace, *roles)
        key = await limited(local, workspace, client)
        async with local.client(key) as http:
            for body in (None, {}, {"lifetime": None}, {"lifetime": 1_000_000}):
                made = (await http.post(f"{V1}/clients/{client}/keys", json=body)).raise_for_status().json()
                assert ends(local, made["key"]) == ends(local, key)
                assert made["expires_at"] is not None
            sooner = (await http.post(f"{V1}/clients/{client}/keys", json={"lifetime": 5})).json()["key"]
            assert (ends(local, sooner) or 0) < (ends(local, key) or 0)


async def test_a_key_that_was_revoked_a_moment_ago_gets_nothing(local: LocalGateway) -> None:
    workspace = await local.workspace()
    client, key = await local.new_client(workspace, "producer", "key_issuer")
    await put(local, delete=((await only_key(local, workspace, client)).key,))
    with pytest.raises(Unauthenticated):
        local.gateway.authenticator.key_behind(key)


async def test_tokens_last_no_longer_than_their_key(local: LocalGateway) -> None:
    workspace = await local.workspace()

    def expiry(token: str) -> int:
        found: int = jwt.decode(token, options={"verify_signature": False})["exp"]
        return found

    client, _ = await local.new_client(workspace, "producer", realm="crmls")
    key = await limited(local, workspace, client)
    assert expiry(await crmls_token(local, key)) * 1_000_000 <= (ends(local, key) or 0)
    client, _ = await local.new_client("default", realm="eventhos")
    key = await limited(local, "default", client)
    assert expiry(await eventhos_token(local, client, key)) * 1_000_000 <= (ends(local, key) or 0)
    client, _ = await local.new_client(workspace, "operator")
    key = await limited(local, workspace, client)
    async with local.client(key) as http:
        for path, body in (("connection-token", {}), ("subscription-token", {"channel": "x"})):
            answer = (await http.post(f"{V1}/realtime/{path}", json=body)).raise_for_status().json()
            assert expiry(answer["token"]) * 1_000_000 <= (ends(local, key) or 0)
    client, _ = await local.new_client(workspace, realm="envoy", scopes=["shipments:read"])
    key = await limited(local, workspace, client)
    async with local.client(key) as http:
        (await http.get("/events/provision")).raise_for_status()
        for path, query in (("connection_token", {}), ("subscription_token", {"channel": f"shipments:{workspace}"})):
            answer = (await http.get(f"/events/{path}", params=query)).raise_for_status().json()
            assert expiry(answer["token"]) * 1_000_000 <= (ends(local, key) or 0)


async def test_secrets_of_eventhos_end_with_what_they_were_got_with(local: LocalGateway) -> None:
    client, _ = await local.new_client("default", realm="eventhos", scopes=["OAUTH2_global:*"])
    key = await limited(local, "default", client)
    token = await eventhos_token(local, client, key)
    made: list[str] = []
    async with local.client(token) as http:
        body = {"identifier": f"minted-{time.time_ns()}", "name": "n", "roles": []}
        answer = await http.post("/auth/client", params={"longLive": True}, json=body)
        content = answer.raise_for_status().json()["content"]
        made += [content["clientSecret"], content["access_token"]]
        made.append((await http.put(f"/auth/client/{content['id']}/secret")).json()["content"]["clientSecret"])
        made.append((await http.put(f"/auth/client/{content['id']}/long-live")).json()["content"]["access_token"])
    kept = [found.expires_at for found in local.gateway.catalog.view.api_keys("default", content["clientId"])]
    assert kept == [ends(local, key)] * 2
    assert ends(local, made[-1]) == ends(local, made[-2]) == ends(local, key)


async def test_keys_of_exchange_end_with_what_they_were_got_with(local: LocalGateway) -> None:
    workspace = await local.workspace()
    account, _ = await local.new_client(workspace, realm="exchange", level="account")
    key = await limited(local, workspace, account)
    async with local.client(key) as http:
        made = [
            await http.post("/v1/application", json={"providerName": "p"}),
            await http.put("/v1/endpoint", json={"name": "e"}),
        ]
        application = made[0].json()["applicationId"]
        made.append(await http.put(f"/v1/endpoint/{application}/d", json={"name": "d"}))
        keys = [each.raise_for_status().json()["authenticationKey"] for each in made]
    endpoint = made[1].json()["endpointId"]
    async with local.client(keys[1]) as http:
        info = (await http.get(f"/v1/endpoint/{endpoint}/eventinfo")).raise_for_status().json()
    assert [ends(local, each) for each in (*keys, info["eventAuthKey"])] == [ends(local, key)] * 4


async def test_a_browser_key_that_has_ended_is_replaced(local: LocalGateway) -> None:
    workspace = await local.workspace()
    endpoint, key = await local.new_client(workspace, realm="exchange")

    async def browser_key(http: httpx.AsyncClient) -> str:
        found: str = (await http.get(f"/v1/endpoint/{endpoint}/eventinfo")).raise_for_status().json()["eventAuthKey"]
        return found

    async with local.client(key) as http:
        first = await browser_key(http)
        assert await browser_key(http) == first
        record = local.gateway.authenticator.key_behind(first)
        assert record is not None
        await put(local, msgspec.structs.replace(record, expires_at=1))
        assert await browser_key(http) != first


async def test_a_role_that_was_taken_ends_what_it_allowed(local: LocalGateway) -> None:
    workspace = await local.workspace()
    client, key = await local.new_client(workspace, "producer", realm="crmls")
    token = await crmls_token(local, key)
    assert await posted(local, token) == 200
    async with local.client(params={"workspace": workspace}) as admin:
        (await admin.patch(f"{V1}/clients/{client}", json={"roles": []})).raise_for_status()
    assert await posted(local, token) == 403
