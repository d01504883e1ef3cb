"""The four operations of the Envoy document over HTTP: who may call them, with what, and what they answer."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from tests.support.envoy_organisation import MANAGE, MINE, OWN_API, SHIPMENTS, Organisation, User, organisation

if TYPE_CHECKING:
    import httpx

    from tests.support.running_gateway import RunningGateway

OPERATIONS = ("connection_token", "subscription_token", "provision", "deprovision")


@pytest.fixture(scope="module")
def envoy(gateway: RunningGateway) -> Organisation:
    """A provisioned organisation, which stays so."""
    return organisation(gateway)


@pytest.fixture(scope="module")
def user(envoy: Organisation) -> User:
    """It may see the organisation's shipments."""
    return envoy.user(SHIPMENTS)


def claims(token: str) -> dict[str, Any]:
    """What a client can read in a token."""
    decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


def check_refused(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["error"]["status"] == status
    assert answer.json()["error"]["message"]


def test_V_01_an_organisation_is_provisioned(gateway: RunningGateway) -> None:
    made = organisation(gateway, provisioned=False)

    answer = made.user().call("provision")

    assert answer.status_code == 200
    assert answer.json() == {"organisation": made.name, "provisioned": True, "public_namespaces": []}


def test_V_02_provisioning_again_changes_nothing(envoy: Organisation, user: User) -> None:
    def routes() -> list[Any]:
        with envoy.admin() as admin:
            return [admin.get(f"{OWN_API}/{what}").json() for what in ("endpoints", "filters", "subscriptions")]

    before = routes()
    answer = user.call("provision")

    assert answer.status_code == 200
    assert answer.json()["provisioned"] is True
    assert routes() == before
    assert [len(page["items"]) for page in before] == [2, 2, 2]


def test_V_02_provisioning_again_puts_back_what_is_missing(gateway: RunningGateway) -> None:
    made = organisation(gateway)
    with made.admin() as admin:
        for what in ("endpoints", "filters"):
            gone = admin.get(f"{OWN_API}/{what}").json()["items"][0]["id"]
            admin.delete(f"{OWN_API}/{what}/{gone}").raise_for_status()

        made.user().call("provision").raise_for_status()

        for what in ("endpoints", "filters", "subscriptions"):
            assert len(admin.get(f"{OWN_API}/{what}").json()["items"]) == 2


def test_V_03_a_connection_token(user: User) -> None:
    answer = user.call("connection_token")

    assert answer.status_code == 200
    assert answer.json().keys() == {"token"}


def test_V_04_the_connection_token_says_who_and_until_when(envoy: Organisation, user: User) -> None:
    token = user.connection_token()

    assert token.count(".") == 2
    said = claims(token)
    assert said["sub"] == user.id
    assert said["exp"] - time.time() == pytest.approx(3_600, abs=60)
    assert said["channels"] == [envoy.channel()]
    assert "channel" not in said


def test_V_06_a_channel_for_each_scope(envoy: Organisation) -> None:
    user = envoy.user("shipments:read", "orders:read", "shipments:read:own", "shipments:write", ":read", "read")

    assert claims(user.connection_token())["channels"] == [
        envoy.channel(),
        envoy.channel(namespace="orders"),
        envoy.channel(user.id),
    ]
    assert claims(envoy.user().connection_token())["channels"] == []


def test_V_08_a_subscription_token_with_a_json_body_on_get(envoy: Organisation, user: User) -> None:
    channel = envoy.channel(user.id)

    answer = user.call("subscription_token", json={"channel": channel})

    assert answer.status_code == 200
    assert answer.json().keys() == {"token"}
    said = claims(answer.json()["token"])
    assert (said["sub"], said["channel"]) == (user.id, channel)
    assert 900 <= said["exp"] - time.time() <= 3_600


def test_V_09_the_channel_in_the_query_or_in_a_post(envoy: Organisation, user: User) -> None:
    channel, other = envoy.channel(), envoy.channel(user.id)

    in_query = user.call("subscription_token", params={"channel": channel})
    posted = user.call("subscription_token", "POST", json={"channel": channel})
    both = user.call("subscription_token", params={"channel": other}, json={"channel": channel})
    unnamed = user.call("subscription_token", params={"channel": channel}, json={})

    assert [claims(each.json()["token"])["channel"] for each in (in_query, posted, both, unnamed)] == [channel] * 4


def test_V_14_nobody_joins_another_users_channel(envoy: Organisation, user: User) -> None:
    for users in (["usr_OTHER"], ["usr_OTHER", f"{user.id}x"], [""]):
        check_refused(user.call("subscription_token", json={"channel": envoy.channel(*users)}), 403)
    shared = user.call("subscription_token", json={"channel": envoy.channel("usr_OTHER", user.id)})
    assert shared.status_code == 200


def test_V_15_nobody_joins_another_organisations_channel(envoy: Organisation, user: User) -> None:
    for rest in ("org_OTHER", f"org_OTHER#{user.id}", f"{envoy.name}x", f"x{envoy.name}"):
        check_refused(user.call("subscription_token", json={"channel": f"shipments:{rest}"}), 403)
    for channel in ("shipments", envoy.name, f":{envoy.name}", f"endpoint:{uuid.uuid4()}"):
        check_refused(user.call("subscription_token", json={"channel": channel}), 403)


def test_V_16_a_namespace_needs_a_scope(envoy: Organisation, user: User) -> None:
    check_refused(user.call("subscription_token", json={"channel": envoy.channel(namespace="orders")}), 403)
    check_refused(user.call("subscription_token", json={"channel": envoy.channel(user.id, namespace="orders")}), 403)


def test_V_16_a_users_own_scope_does_not_show_the_organisations(envoy: Organisation) -> None:
    user = envoy.user(MINE)

    check_refused(user.call("subscription_token", json={"channel": envoy.channel()}), 403)
    assert user.call("subscription_token", json={"channel": envoy.channel(user.id)}).status_code == 200


@pytest.mark.parametrize("options", [{}, {"json": {}}, {"json": {"channel": ""}}, {"params": {"channel": ""}}])
def test_V_17_the_channel_is_needed(user: User, options: dict[str, Any]) -> None:
    answer = user.call("subscription_token", **options)

    check_refused(answer, 400)
    assert [each["path"] for each in answer.json()["error"]["errors"]] == ["$.channel"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("authorization", [None, "Bearer", "Basic eDp5"])
def test_V_19_an_access_token_is_needed(gateway: RunningGateway, operation: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    with gateway.client(None, headers=headers) as http:
        answer = http.get(f"/events/{operation}")

    check_refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/events/provision/", "/events/nothing"])
def test_an_unknown_path_is_refused_in_the_same_shape(gateway: RunningGateway, path: str) -> None:
    with gateway.client(None) as http:
        check_refused(http.get(path), 404)


def test_V_20_an_unknown_or_expired_access_token_is_refused(gateway: RunningGateway, envoy: Organisation) -> None:
    expired = envoy.user(SHIPMENTS, lifetime=1)
    deadline = time.monotonic() + 20
    while expired.call("connection_token").status_code == 200:
        assert time.monotonic() < deadline, "the access token expires"
        time.sleep(0.1)
    for operation in OPERATIONS:
        check_refused(expired.call(operation), 401)
        with gateway.client("garbage") as http:
            check_refused(http.get(f"/events/{operation}"), 401)


def test_V_20_a_connection_token_is_no_access_token(gateway: RunningGateway, user: User) -> None:
    with gateway.client(user.connection_token()) as http:
        check_refused(http.get("/events/connection_token"), 401)


def test_V_21_an_organisation_that_is_not_provisioned_gets_no_tokens(gateway: RunningGateway) -> None:
    made = organisation(gateway, provisioned=False)
    user = made.user(SHIPMENTS)

    for answer in (
        user.call("connection_token"),
        user.call("subscription_token", json={"channel": made.channel(user.id)}),
    ):
        check_refused(answer, 403)
        assert answer.json()["error"]["message"] == "organisation not provisioned"


def test_V_22_deprovisioning_deletes_the_webhooks(gateway: RunningGateway) -> None:
    made = organisation(gateway)
    with made.admin() as admin:
        wanted = {"name": "all", "types": [{"namespace": "*", "code": "*"}]}
        every = admin.post(f"{OWN_API}/filters", json=wanted).raise_for_status().json()
        for number in range(2):
            webhook = {"name": f"hook {number}", "type": "WEB_HOOK", "url": "https://example.com/"}
            webhook |= {"options": {"organisation": made.name}}
            endpoint = admin.post(f"{OWN_API}/endpoints", json=webhook).raise_for_status().json()
            link = {"filter": every["id"], "endpoint": endpoint["id"]}
            admin.post(f"{OWN_API}/subscriptions", json=link).raise_for_status()

        answer = made.user(MANAGE).call("deprovision")

        assert answer.status_code == 200
        assert answer.json() == {"organisation": made.name, "provisioned": False, "webhooks_deleted": 2}
        assert admin.get(f"{OWN_API}/endpoints").json()["items"] == []
        assert admin.get(f"{OWN_API}/subscriptions").json()["items"] == []
        assert [each["id"] for each in admin.get(f"{OWN_API}/filters").json()["items"]] == [every["id"]]


def test_V_22_the_webhooks_of_others_stay(gateway: RunningGateway, envoy: Organisation) -> None:
    webhook = {"name": "hook", "type": "WEB_HOOK", "url": "https://example.com/"}
    with envoy.admin() as admin:
        kept = admin.post(f"{OWN_API}/endpoints", json=webhook).raise_for_status().json()["id"]
        organisation(gateway).user(MANAGE).call("deprovision").raise_for_status()
        assert admin.get(f"{OWN_API}/endpoints/{kept}").status_code == 200
        admin.delete(f"{OWN_API}/endpoints/{kept}").raise_for_status()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_deprovisioning_leaves_what_other_apis_made(gateway: RunningGateway, method: str) -> None:
    made = organisation(gateway)
    hook = {"name": "hook", "type": "WEB_HOOK", "url": "https://example.com/"}
    with made.admin() as admin:
        own = admin.post(f"{OWN_API}/endpoints", json=hook).raise_for_status().json()["id"]
        _, key = gateway.create_client(made.name, "subscriber", realm="graphql")
        create = 'mutation { made: createWebhookEndpoint(name: "h", url: "https://example.com/") { id } }'
        with gateway.client(key) as http:
            answer = http.post("/event-service/graphql", json={"query": create}).raise_for_status().json()
        exchange, account = gateway.create_client(made.name, realm="exchange")
        destination = {"endpointTypes": {"event": {"destination": {"enabled": True, "url": "https://example.com/"}}}}
        with gateway.client(account) as http:
            http.put("/v1/endpoint", json={"name": "E", **destination}).raise_for_status()

        gone = made.user(MANAGE).call("deprovision", method).raise_for_status().json()

        assert gone["webhooks_deleted"] == 0
        for kept in (own, answer["data"]["made"]["id"], exchange):
            assert admin.get(f"{OWN_API}/endpoints/{kept}").status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_deprovisioning_needs_a_scope(gateway: RunningGateway, envoy: Organisation, method: str) -> None:
    user = envoy.user(SHIPMENTS)

    check_refused(user.call("deprovision", method), 403)

    assert user.call("connection_token").status_code == 200


def test_nobody_opens_a_channel_to_all_without_the_scope(envoy: Organisation) -> None:
    user = envoy.user(SHIPMENTS)
    check_refused(user.call("provision", "POST", json={"public_namespaces": ["payroll"]}), 403)
    check_refused(user.call("provision", params={"public_namespaces": "payroll"}), 403)
    check_refused(user.call("subscription_token", json={"channel": envoy.channel(namespace="payroll")}), 403)


def test_an_endpoint_is_no_other_organisations(envoy: Organisation) -> None:
    hook = {"name": "h", "url": "https://example.com/", "options": {"organisation": "another"}}
    with envoy.admin() as admin:
        answer = admin.post(f"{OWN_API}/endpoints", json=hook)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"] == "$.options.organisation"


def test_V_23_deprovisioning_again_changes_nothing(gateway: RunningGateway) -> None:
    user = organisation(gateway, provisioned=False).user(MANAGE)
    for _ in range(2):
        answer = user.call("deprovision")
        assert answer.status_code == 200
        assert answer.json() == {"organisation": user.organisation, "provisioned": False, "webhooks_deleted": 0}


def test_V_28_answers_are_json_and_not_stored(gateway: RunningGateway) -> None:
    made = organisation(gateway, provisioned=False)
    user = made.user(SHIPMENTS, MANAGE)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("provision", {}),
        ("connection_token", {}),
        ("subscription_token", {"json": {"channel": made.channel()}}),
        ("deprovision", {}),
    ]
    for operation, options in calls:
        answer = user.call(operation, **options)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert isinstance(answer.json(), dict)


def test_V_29_post_does_what_get_does(gateway: RunningGateway) -> None:
    made = organisation(gateway, provisioned=False)
    user = made.user(SHIPMENTS, MANAGE)

    assert user.call("provision", "POST").json()["provisioned"] is True
    assert claims(user.call("connection_token", "POST").json()["token"])["sub"] == user.id
    assert user.call("deprovision", "POST").json()["provisioned"] is False


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH"])
def test_V_30_other_methods_do_nothing(envoy: Organisation, user: User, method: str) -> None:
    for operation in OPERATIONS:
        answer = user.call(operation, method)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, POST"
    assert user.call("connection_token").status_code == 200


@pytest.mark.parametrize(
    "names", [[""], ["x" * 201], "announcements", [7], {"a": 1}, [f"n{number}" for number in range(129)]]
)
def test_public_namespaces_are_a_list_of_names(user: User, names: object) -> None:
    check_refused(user.call("provision", "POST", json={"public_namespaces": names}), 400)


def test_public_namespaces_stay_until_others_are_named_or_the_organisation_goes(gateway: RunningGateway) -> None:
    user = organisation(gateway, provisioned=False).user(MANAGE)

    def public(**options: Any) -> Any:
        return user.call("provision", **options).raise_for_status().json()["public_namespaces"]

    assert public(json={"public_namespaces": ["news", "status", "news"]}) == ["news", "status"]
    assert public() == ["news", "status"]
    assert public(params={"public_namespaces": ["alerts", "news"]}) == ["alerts", "news"]
    assert public(json={"public_namespaces": []}) == []
    assert public(json={"public_namespaces": ["news"]}) == ["news"]
    user.call("deprovision").raise_for_status()
    assert public() == []


def test_an_organisation_with_braces_in_its_name_cannot_be_provisioned(gateway: RunningGateway) -> None:
    made = Organisation(name=f"org_{{{uuid.uuid4().hex}}}", gateway=gateway)
    with gateway.client() as admin:
        admin.post(f"{OWN_API}/workspaces", json={"name": made.name}).raise_for_status()

    check_refused(made.user().call("provision"), 400)


def test_access_tokens_of_other_families_are_unknown(gateway: RunningGateway, envoy: Organisation, user: User) -> None:
    for realm in ("headrace", "crmls", "exchange", "eventhos", "graphql"):
        _, key = gateway.create_client(envoy.name, "operator", realm=realm)
        with gateway.client(key) as http:
            check_refused(http.get("/events/connection_token"), 401)
    with user.client() as http:
        assert http.get(f"{OWN_API}/endpoints").status_code == 401
