"""Which credentials a webhook request carries, against scripted receivers and token servers."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec
import pytest

from backbone.catalog import endpoint_credentials
from backbone.catalog.secrets import SecretBox
from connectors.webhook.authorization import Authorizer
from connectors.webhook.endpoint_states import EndpointStates, KeptToken
from connectors.webhook.in_memory_transport import InMemoryTransport
from connectors.webhook.raised_events import RaisedEvents
from connectors.webhook.rendering import Request
from connectors.webhook.token_urls import MAX_ANSWER, TokenUrls
from connectors.webhook.transport import Response
from schemas.model.endpoint import Authorization, AuthorizationType, Endpoint, EndpointType, NameValue
from schemas.model.errors import NoAccessToken
from schemas.security.destinations import Destinations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backbone.kafka.records import Record
    from connectors.webhook.transport import HttpRequest

HOOK = "https://receiver.example/hook"
TOKENS = "https://login.example/token"
REQUEST = Request(method="POST", url=HOOK, headers={"Content-Type": "text/plain", "authorization": "x"}, body=b"{}")
SECRETS = SecretBox(["a key for these tests"])


async def request() -> Request:
    return REQUEST


class Server:
    """The receiver and the token server; what they were sent, and what they answer."""

    def __init__(self) -> None:
        self.hooks: list[Mapping[str, str]] = []
        self.forms: list[dict[str, str]] = []
        self.token_headers: list[Mapping[str, str]] = []
        self.accepts: Callable[[str], bool] = lambda _header: True
        self.answers: list[tuple[int | None, Any]] = []
        self.limits: list[int | None] = []
        self.truncated = False

    def receive(self, request: HttpRequest) -> Response:
        if request.url == HOOK:
            self.hooks.append(request.headers)
            return Response(status=200 if self.accepts(request.headers["Authorization"]) else 401, duration=0.0)
        self.forms.append({name: values[0] for name, values in parse_qs(request.body.decode()).items()})
        self.token_headers.append(request.headers)
        self.limits.append(request.body_limit)
        status, content = self.answers[min(len(self.forms), len(self.answers)) - 1]
        text = content if isinstance(content, str) else msgspec.json.encode(content).decode()
        error = None if status else "cannot connect"
        return Response(status=status, body=text, error=error, truncated=self.truncated, duration=0.0)

    @property
    def sent(self) -> list[str]:
        return [each["Authorization"] for each in self.hooks]


class States(EndpointStates):
    """Without a topic."""

    def __init__(self) -> None:
        self._pauses = {}
        self._disablings = {}
        self._refresh_tokens = {}
        self._raising = RaisedEvents()

    async def caught_up(self) -> None:
        pass


class Written(list["Record"]):
    """A producer that keeps what it is given."""

    async def send(self, records: Sequence[Record], *, final: bool) -> None:
        assert final, "sent again, it would be written twice"
        self.extend(records)


class World:
    def __init__(self) -> None:
        self.server = Server()
        self.states = States()
        self.written = Written()
        self.authorizer = self.process()

    def process(self) -> Authorizer:
        return Authorizer(
            transport=InMemoryTransport(self.server.receive),
            secrets=SECRETS,
            states=self.states,
            producer=self.written,  # type: ignore[arg-type]  # the one method that is used
        )

    async def deliver(self, endpoint: Endpoint) -> int | None:
        return (await self.authorizer.send(request, endpoint, 5)).status


@pytest.fixture
def world() -> World:
    return World()


def endpoint(**members: Any) -> Endpoint:
    plain = Authorization(**members)
    return Endpoint(
        id="endpoint",
        workspace="w",
        name="n",
        type=EndpointType.WEB_HOOK,
        url=HOOK,
        authorization=endpoint_credentials.sealed(plain, SECRETS),
        created_at=0,
        updated_at=0,
    )


def client_credentials(shared: str = "s3cret") -> Endpoint:
    return endpoint(type=AuthorizationType.CLIENT_CREDENTIALS, user="me", secret=shared, token_url=TOKENS)


def refreshing(registered: str = "first") -> Endpoint:
    return endpoint(
        type=AuthorizationType.REFRESH_TOKEN, user="me", secret="s3cret", refresh_token=registered, token_url=TOKENS
    )


async def test_an_api_key_is_sent_as_bearer_in_place_of_any_other(world: World) -> None:
    await world.deliver(endpoint(type=AuthorizationType.API_KEY, secret="the-key"))
    (headers,) = world.server.hooks
    assert headers == {"Content-Type": "text/plain", "Authorization": "Bearer the-key"}


async def test_basic_is_user_and_password_in_base64(world: World) -> None:
    await world.deliver(endpoint(type=AuthorizationType.BASIC, user="jürgen", secret="pass:word"))
    (sent,) = world.server.sent
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == "jürgen:pass:word"


async def test_a_refused_api_key_is_not_tried_again(world: World) -> None:
    world.server.accepts = lambda _header: False
    assert await world.deliver(endpoint(type=AuthorizationType.API_KEY, secret="the-key")) == 401
    assert len(world.server.hooks) == 1


async def test_client_credentials_get_a_token_once_for_all_that_wait_for_it(world: World) -> None:
    world.server.answers = [(200, {"access_token": "T1", "expires_in": 3600})]
    await world.deliver(client_credentials())
    same = client_credentials()
    await asyncio.gather(*(world.deliver(same) for _ in range(5)))
    form = {"grant_type": "client_credentials", "client_id": "me", "client_secret": "s3cret"}
    # Every sealing is another text, so that the second endpoint counts as edited.
    assert world.server.forms == [form, form]
    assert set(world.server.sent) == {"Bearer T1"}


@pytest.mark.parametrize("expires_in", [0, "0", 1e-9, -1, "-3600"])
async def test_an_expired_token_is_fetched_anew(world: World, expires_in: object) -> None:
    world.server.answers = [(200, {"access_token": f"T{n}", "expires_in": expires_in}) for n in (1, 2)]
    same = client_credentials()
    await world.deliver(same)
    await world.deliver(same)
    assert world.server.sent == ["Bearer T1", "Bearer T2"]


@pytest.mark.parametrize("expires_in", [None, "soon", 3600, "3600", "1e999", [], True, "nan", "3600.5"])
async def test_a_token_is_kept_for_its_life_or_until_it_is_refused(world: World, expires_in: object) -> None:
    world.server.answers = [(200, {"access_token": f"T{n}", "expires_in": expires_in}) for n in (1, 2)]
    same = client_credentials()
    await world.deliver(same)
    await world.deliver(same)
    world.server.accepts = lambda header: header == "Bearer T2"
    assert await world.deliver(same) == 200
    assert world.server.sent == ["Bearer T1", "Bearer T1", "Bearer T1", "Bearer T2"]


async def test_a_new_token_that_is_refused_too_is_the_answer(world: World) -> None:
    world.server.answers = [(200, {"access_token": f"T{n}"}) for n in (1, 2)]
    world.server.accepts = lambda _header: False
    assert await world.deliver(client_credentials()) == 401
    assert world.server.sent == ["Bearer T1", "Bearer T2"]


@pytest.mark.parametrize(
    "refusal",
    [
        (401, ""),
        (401, {"error": "invalid_client"}),
        (400, {"error": "invalid_client"}),
        (400, {"error": "invalid_request"}),
        (400, "a header is missing"),
    ],
)
async def test_a_token_server_that_wants_basic_gets_it(world: World, refusal: tuple[int, Any]) -> None:
    world.server.answers = [refusal, (200, {"access_token": "T1"})]
    await world.deliver(client_credentials("s3:cret&"))
    assert world.server.forms[1] == {"grant_type": "client_credentials"}
    sent = world.server.token_headers[1]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == "me:s3%3Acret%26"
    assert world.server.sent == ["Bearer T1"]


async def test_what_a_token_server_took_is_tried_first_from_then_on(world: World) -> None:
    world.server.answers = [
        (400, {"error": "invalid_request"}),
        *[(200, {"access_token": f"T{n}", "expires_in": 0}) for n in (1, 2)],
        (401, {"error": "invalid_client"}),
        *[(200, {"access_token": f"T{n}", "expires_in": 0}) for n in (3, 4)],
    ]
    same = client_credentials("s3cret")
    for _ in range(4):
        await world.deliver(same)
    ways = ["form" if "client_secret" in form else "basic" for form in world.server.forms]
    assert ways == ["form", "basic", "basic", "basic", "form", "form"]
    assert world.server.sent == ["Bearer T1", "Bearer T2", "Bearer T3", "Bearer T4"]


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_scope", "unauthorized_client", "unsupported_grant_type"])
async def test_a_token_server_that_knows_the_client_is_asked_once(world: World, error: str) -> None:
    world.server.answers = [(400, {"error": error})]
    with pytest.raises(NoAccessToken, match=error):
        await world.deliver(client_credentials())
    assert len(world.server.forms) == 1


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER", None])
async def test_a_token_for_the_bearer_is_sent(world: World, token_type: str | None) -> None:
    world.server.answers = [(200, {"access_token": "T1", "token_type": token_type})]
    await world.deliver(client_credentials())
    assert world.server.sent == ["Bearer T1"]


async def test_a_long_answer_of_a_token_server_is_used(world: World) -> None:
    world.server.answers = [(200, {"access_token": "T" * 20_000})]
    await world.deliver(client_credentials())
    assert world.server.sent == ["Bearer " + "T" * 20_000]
    assert world.server.limits == [MAX_ANSWER]
    world.server.truncated = True
    with pytest.raises(NoAccessToken, match="answered with more than 262144 bytes"):
        await world.deliver(refreshing())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            (200, {"access_token": "T1", "token_type": "mac"}),
            "answered with the token_type mac, and only Bearer can be sent",
        ),
        (
            (200, {"access_token": "T1", "token_type": "s3cret\n"}),
            "answered with the token_type, and only Bearer can be sent",
        ),
        ((200, {"access_token": "T1", "token_type": 5}), "answered with the token_type, and only Bearer can be sent"),
        ((400, {"error": "invalid_grant", "error_description": "s3cret"}), "answered 400 (invalid_grant)"),
        ((400, {"error": "s3cret is wrong!"}), "answered 400"),
        ((503, "busy s3cret"), "answered 503"),
        ((None, ""), "cannot connect"),
        ((200, "<html>"), "answered with something else than JSON"),
        ((200, "[1]"), "answered with something else than JSON"),
        ((200, {"token": "s3cret"}), "answered without access_token"),
        ((200, {"access_token": 7}), "answered without access_token"),
        ((200, {"access_token": "T1\r\nX-Other: 1"}), "answered without access_token"),
        ((200, {"access_token": "é"}), "answered without access_token"),
    ],
)
async def test_no_token_is_said_without_secrets(world: World, answer: tuple[int | None, Any], message: str) -> None:
    world.server.answers = [answer]
    with pytest.raises(NoAccessToken) as caught:
        await world.deliver(client_credentials())
    assert str(caught.value) == f"no access token: login.example {message}"
    assert world.server.hooks == []


async def test_who_waits_for_a_token_that_is_refused_does_not_ask_again(world: World) -> None:
    """Or else the last of a window would wait for all the others' requests that a silent server lets run out."""
    world.server.answers = [(None, ""), (200, {"access_token": "T2"})]
    same = client_credentials()
    tries = await asyncio.gather(*(world.deliver(same) for _ in range(5)), return_exceptions=True)
    assert [str(each) for each in tries] == ["no access token: login.example cannot connect"] * 5
    assert len(world.server.forms) == 1
    assert await world.deliver(same) == 200


async def test_a_request_is_made_when_its_token_is_there_and_anew_with_the_next(world: World) -> None:
    """Its signature says when it is sent."""
    made = 0

    async def make() -> Request:
        nonlocal made
        assert len(world.server.forms) == made + 1
        made += 1
        return REQUEST

    world.server.answers = [(200, {"access_token": "T1"}), (200, {"access_token": "T2"})]
    world.server.accepts = lambda header: header == "Bearer T2"
    assert (await world.authorizer.send(make, client_credentials(), 5)).status == 200
    assert made == 2


async def test_an_answer_with_nonsense_beside_its_token_is_used(world: World) -> None:
    nonsense = '"expires_in": 1' + "0" * 400 + ', "refresh_token": "a\\u0000b"'
    world.server.answers = [(200, f'{{"access_token": "T1", {nonsense}}}')]
    assert await world.deliver(refreshing()) == 200
    assert world.written == []


async def test_a_refresh_token_is_exchanged(world: World) -> None:
    world.server.answers = [(200, {"access_token": "T1", "expires_in": 3600})]
    await world.deliver(refreshing())
    (form,) = world.server.forms
    assert form == {
        "grant_type": "refresh_token",
        "refresh_token": "first",
        "client_id": "me",
        "client_secret": "s3cret",
    }
    assert world.server.sent == ["Bearer T1"]
    assert world.written == []


async def test_a_rotated_refresh_token_is_written_and_used_by_the_next_process(world: World) -> None:
    world.server.answers = [(200, {"access_token": f"T{n}", "refresh_token": f"the-rotated-{n}"}) for n in (1, 2, 3)]
    await world.deliver(refreshing())
    (record,) = world.written
    assert record.key == b"endpoint/refresh"
    assert b"the-rotated-1" not in (record.value or b"")
    world.authorizer = world.process()
    await world.deliver(refreshing())
    assert [form["refresh_token"] for form in world.server.forms] == ["first", "the-rotated-1"]
    # Another one that is registered since then is what counts.
    await world.deliver(refreshing("second"))
    assert world.server.forms[2]["refresh_token"] == "second"


async def test_a_kept_refresh_token_outlives_a_rotation_of_the_secret_keys(world: World) -> None:
    world.states._refresh_tokens["endpoint"] = KeptToken(SECRETS.seal("the-rotated-1"), SECRETS.digest("first"))
    rotated = SecretBox(["a newer key for these tests", "a key for these tests"])
    world.authorizer._secrets = rotated
    world.server.answers = [(200, {"access_token": "T1"})]
    await world.deliver(refreshing())
    assert world.server.forms[0]["refresh_token"] == "the-rotated-1"
    # By now it is kept with the newer key: the older one can be dropped.
    assert len(world.written) == 1
    world.authorizer = world.process()
    world.authorizer._secrets = SecretBox(["a newer key for these tests"])
    found = refreshing()
    assert found.authorization is not None
    resealed = endpoint_credentials.resealed(found.authorization, rotated)
    await world.deliver(msgspec.structs.replace(found, authorization=resealed))
    assert world.server.forms[1]["refresh_token"] == "the-rotated-1"
    assert len(world.written) == 1


async def test_the_whole_answer_of_a_token_url_can_be_had(world: World) -> None:
    world.server.answers = [(201, {"access_token": "T1", "scope": "all"})]
    urls = TokenUrls(InMemoryTransport(world.server.receive))
    members, answer = await urls.ask(TOKENS, {"grant_type": "x"}, seconds=5)
    assert members == {"access_token": "T1", "scope": "all"}
    assert answer.status == 201
    assert world.server.forms == [{"grant_type": "x"}]


@pytest.mark.parametrize("kind", ["client_credentials", "refresh_token"])
async def test_scope_audience_and_further_parameters_go_with_the_request_for_a_token(world: World, kind: str) -> None:
    world.server.answers = [(200, {"access_token": "t", "token_type": "Bearer"})]
    asked = endpoint(
        type=AuthorizationType(kind),
        user="me",
        secret="s3cret",
        refresh_token="first" if kind == "refresh_token" else None,
        token_url=TOKENS,
        scope="events:write events:read",
        audience="https://api.example/",
        parameters=(
            NameValue(name="resource", value="urn:shop"),
            NameValue(name="client_assertion", value="eyJhbGciOi.J9.x"),
        ),
    )
    stored = asked.authorization
    assert stored is not None
    assert [each.sealed for each in stored.parameters] == [False, True]
    assert "eyJhbGciOi" not in repr(stored)

    assert await world.deliver(asked) == 200

    (form,) = world.server.forms
    assert form["grant_type"] == kind
    assert (form["scope"], form["audience"]) == ("events:write events:read", "https://api.example/")
    assert (form["resource"], form["client_assertion"]) == ("urn:shop", "eyJhbGciOi.J9.x")


async def test_a_token_for_another_scope_is_asked_for_anew(world: World) -> None:
    world.server.answers = [(200, {"access_token": "t1"}), (200, {"access_token": "t2"})]
    plain = client_credentials()
    assert plain.authorization is not None
    scoped = msgspec.structs.replace(plain, authorization=msgspec.structs.replace(plain.authorization, scope="a"))
    await world.deliver(plain)
    await world.deliver(scoped)
    assert world.server.sent == ["Bearer t1", "Bearer t2"]


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"scope": 'a "b"'}, "$.authorization.scope"),
        ({"scope": "a  b"}, "$.authorization.scope"),
        ({"parameters": (NameValue(name="grant_type", value="password"),)}, "$.authorization.parameters.grant_type"),
        ({"parameters": (NameValue(name="scope", value="a"),)}, "$.authorization.parameters.scope"),
        ({"parameters": (NameValue(name="a b\n", value="a"),)}, "$.authorization.parameters['a b\n']"),
        ({"parameters": (NameValue(name="key", value="[hidden]"),)}, "$.authorization.parameters.key"),
        ({"parameters": (NameValue(name="a", value="b" * 4_096),)}, "$.authorization.parameters"),
        ({"parameters": tuple(NameValue(name=f"p{n}", value="") for n in range(21))}, "$.authorization.parameters"),
    ],
)
def test_what_a_request_for_a_token_cannot_have_is_refused(members: dict[str, Any], path: str) -> None:
    asked = Authorization(type=AuthorizationType.CLIENT_CREDENTIALS, user="u", secret="s", token_url=TOKENS, **members)
    assert [each.path for each in endpoint_credentials.problems(asked, Destinations())] == [path]


def test_what_is_for_tokens_is_refused_where_there_are_none() -> None:
    asked = Authorization(type=AuthorizationType.API_KEY, secret="s", scope="a", audience="b")
    found = endpoint_credentials.problems(asked, Destinations())
    assert [each.path for each in found] == ["$.authorization.scope", "$.authorization.audience"]
