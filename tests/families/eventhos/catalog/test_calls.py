"""What of an action's credentials stays when it is changed by somebody who does not know them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from backbone.catalog import endpoint_credentials
from backbone.catalog.secrets import SecretBox
from families.eventhos.catalog.calls import Call, completed
from schemas.model.contract_call import HIDDEN
from schemas.model.endpoint import Endpoint, EndpointType, NameValue, RequestTemplate
from schemas.model.errors import InvalidRequest
from schemas.security.destinations import Destinations

BOX = SecretBox(["a key for these tests"])
PUBLIC = Destinations()
HOST, TOKENS = "https://api.example", "https://login.example"


def members(**named: str) -> tuple[NameValue, ...]:
    return tuple(NameValue(name=name.replace("_", "-"), value=value) for name, value in named.items())


def call(**properties: Any) -> Call:
    template = RequestTemplate(headers=members(Authorization="Bearer shh"), query=members(api_key="shh too", q="1"))
    oauth = {"token_url": f"{TOKENS}/token", "client_id": "me", "client_secret": "shh three"}
    plain: dict[str, Any] = {"url": f"{HOST}/a", "method": "POST", "request": template, **oauth}
    return Call(**plain | properties)


def unchanged(**properties: Any) -> Call:
    """As somebody sends an action back that was shown to them."""
    shown = RequestTemplate(headers=members(authorization=HIDDEN), query=members(api_key=HIDDEN, q="2"))
    return call(**{"request": shown, "client_secret": None} | properties)


def stored(kept: Call) -> Endpoint:
    return Endpoint(
        id="e",
        workspace="w",
        name="n",
        type=EndpointType.WEB_HOOK,
        url=kept.url,
        authorization=kept.authorization(),
        request=kept.request,
        created_at=0,
        updated_at=0,
    )


BEFORE = stored(completed(call(), None, BOX, PUBLIC))


def refused(wanted: Call, before: Endpoint | None = BEFORE) -> list[str]:
    with pytest.raises(InvalidRequest) as raised:
        completed(wanted, before, BOX, PUBLIC)
    return [each.path for each in raised.value.problems]


def test_credentials_are_sealed() -> None:
    assert "shh" not in repr(BEFORE)
    assert BEFORE.request is not None
    plain = endpoint_credentials.opened_template(BEFORE.request, BOX)
    assert plain == call().request


def test_what_a_variable_fills_in_is_none() -> None:
    template = RequestTemplate(headers=members(Authorization="Bearer ${.oauthResponse.body.access_token}"))

    assert completed(call(request=template), None, BOX, PUBLIC).request == template


def test_credentials_stay_on_their_servers() -> None:
    found = completed(unchanged(url="https://API.example/b", token_url=f"{TOKENS}/other"), BEFORE, BOX, PUBLIC)

    plain = endpoint_credentials.opened_template(found.request, BOX)
    assert {each.name: each.value for each in (*plain.headers, *plain.query)} == {
        "Authorization": "Bearer shh",
        "api-key": "shh too",
        "q": "2",
    }
    assert BOX.open(found.client_secret or "") == "shh three"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.evil.example/a",
        "https://evil.example/api.example",
        "https://api.example@evil.example/a",
        "https://api.example:8443/a",
        "http://api.example/a",
    ],
)
def test_they_go_to_no_other_server(url: str) -> None:
    assert refused(unchanged(url=url)) == ["$.headers[0].value", "$.queryUrlParams[0].value", "$.clientSecret"]
    assert completed(call(url=url), BEFORE, BOX, PUBLIC).url == url


def test_the_client_secret_goes_to_no_other_token_server() -> None:
    assert refused(unchanged(token_url="https://evil.example/token")) == ["$.clientSecret"]


def test_addresses_that_are_not_allowed_are_refused_but_let_be_where_they_are() -> None:
    inside = call(url="http://169.254.169.254/a", token_url="http://0x7f.1/token")
    assert refused(inside, None) == ["$.url", "$.securityUrl"]
    assert completed(inside, stored(inside), BOX, PUBLIC).url == inside.url


def test_there_must_be_something_to_stay() -> None:
    named = RequestTemplate(headers=members(X=HIDDEN), query=members(Authorization=HIDDEN, API_KEY=HIDDEN))
    places = ["$.headers[0].value", "$.queryUrlParams[0].value", "$.queryUrlParams[1].value"]
    assert refused(unchanged(request=named)) == places
    assert refused(unchanged(), None) == ["$.headers[0].value", "$.queryUrlParams[0].value", "$.clientSecret"]
    without = stored(completed(call(token_url=None), None, BOX, PUBLIC))
    assert refused(unchanged(), without) == ["$.clientSecret"]


def test_credentials_move_to_a_new_key() -> None:
    new = SecretBox(["another key for these tests", "a key for these tests"])
    assert BEFORE.request is not None
    moved = endpoint_credentials.resealed_template(BEFORE.request, new)

    assert endpoint_credentials.opened_template(moved, SecretBox(["another key for these tests"])) == call().request
    assert endpoint_credentials.resealed_template(moved, new) == moved
    # What was stored before it was sealed is sealed then.
    assert "shh" not in repr(endpoint_credentials.resealed_template(call().request, new))


def test_a_member_that_is_not_sealed_is_kept_as_it_always_was() -> None:
    assert msgspec.json.encode(NameValue(name="n", value="v")) == b'{"name":"n","value":"v"}'


@pytest.mark.parametrize(
    "url", ["http://${.body.host}/", "https://api${.query.x}.example/", "https://api.example${.body.rest}/a"]
)
def test_no_sender_says_which_server_gets_credentials(url: str) -> None:
    plain = RequestTemplate(headers=members(x_color="red"))
    for request in (
        call().request,
        RequestTemplate(headers=members(x_jwt="1")),
        RequestTemplate(raw_body='{"pin":"1"}'),
    ):
        assert refused(call(url=url, request=request, token_url=None), None) == ["$.url"]
    assert refused(call(url=url, request=plain), None) == ["$.url"]
    assert completed(call(url=url, request=plain, token_url=None), None, BOX, PUBLIC).url == url


def test_no_sender_says_which_host_is_asked_for() -> None:
    named = RequestTemplate(headers=members(host="${.body.host}", Authorization="Bearer shh"))
    assert refused(call(request=named), None) == ["$.headers[0].value"]


@pytest.mark.parametrize("rest", ["/${.body.tenant}", "/?t=${.query.t}", "${.body.host}/"])
def test_the_server_of_the_token_is_filled_in_by_no_event(rest: str) -> None:
    url = f"{TOKENS}{rest}"
    assert refused(call(token_url=url), None) == ["$.securityUrl"]
    # Nor when it was stored before: a variable there was sent as it stands.
    assert refused(call(token_url=url), stored(call(token_url=url))) == ["$.securityUrl"]


def test_the_server_of_the_token_may_name_another() -> None:
    url = "https://${.oauthResponse.body.instance}/${.body.id}"
    assert completed(call(url=url), None, BOX, PUBLIC).url == url


def test_an_action_of_before_must_lose_the_variable_when_it_is_changed() -> None:
    url = "https://${.body.host}/"
    before = msgspec.structs.replace(BEFORE, url=url)
    assert refused(unchanged(url=url), before) == ["$.url"]
