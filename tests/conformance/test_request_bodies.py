"""Bodies that are no JSON, no body of the route, or of another media type or charset: over the routes of all families.

A row's ids are the cases of its document that it checks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.support.credentials import crmls_token, envoy_token
from tests.support.crmls_account import seed_body
from tests.support.exchange_publishing import Publishing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

    from tests.support.eventhos_calls import Eventhos
    from tests.support.exchange_account import ExchangeAccount
    from tests.support.running_gateway import RunningGateway

JSON = "application/json"
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"

WINDOWS = '{"name": "café"}'.encode("cp1252")
"""As curl sends it from a Windows console."""

BROKEN = (
    b"{",
    b"\xff",
    b"[" * 60_000,
    b"<xml/>",
    b"channel=shipments",
    b'{"a":}',
    b'{"eventName":7',
    b'{"events":[{"code":"x",}]}',
    b'{"a":"\xff"}',
    "{“channel”:“Web”}".encode(),
    WINDOWS,
    b'{"name": "a"} {}',
)
"""No JSON in UTF-8, whichever route it is sent to."""

OTHER_TYPES = ("text/plain", "application/x-www-form-urlencoded", "application/xml")


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route that takes JSON.

    Attributes:
        path: with the id of the calling endpoint as ``{id}``.
        media_type: of its bodies; empty: none is declared, and any is taken.
        caller: which credential of ``Callers`` it takes.
        broken: the case for bodies that are no JSON, if there is one.
        typed: the case for other media types, if there is one.
        wrong: JSON that is no body of this route.
        statuses: of the refusal of either.
        good: the name of a body that is accepted but for its media type, in ``Callers.good``.
        others: media types that are refused.
        refusal: the status of that.
        charsets: whether another charset is refused if it is declared.
    """

    path: str
    caller: str
    method: str = "POST"
    media_type: str = JSON
    broken: str = ""
    typed: str = ""
    wrong: tuple[bytes, ...] = ()
    statuses: tuple[int, ...] = (400,)
    good: str | None = None
    others: tuple[str, ...] = OTHER_TYPES
    refusal: int = 415
    charsets: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


_OBJECT = (b"", b'"x"', b"[]", b"null")
_OWN = (*_OBJECT, b'{"name": ' + b"9" * 5_000 + b"}")
_CHANNEL = (
    b"[]",
    b'"shipments"',
    b"null",
    b'{"channel":7}',
    b'{"channel":["shipments"]}',
    b'{"channel":{}}',
    b'{"channel":"\\ud800"}',
    b'{"channel":"%s"}' % (b"x" * 256),
)
_GRAPHQL = (b"", b"[]", b'"x"', b'{"query": 3}', b'{"query": "{x}", "variables": []}', b'{"query": null}')

ROUTES = (
    Route(path="/api/app/events", caller="crmls", broken="C-34", typed="C-35", wrong=_OBJECT, good="crmls"),
    Route(path="/v1/event", caller="exchange", broken="A-45", typed="A-45", wrong=(b"",), good="exchange"),
    Route(path="/v1/eventtype", caller="exchange", wrong=_OBJECT),
    Route(
        path="/v1/eventtype/attributes/publisher/{id}",
        caller="exchange",
        method="PUT",
        media_type="",
        broken="A-84",
        wrong=(b"",),
    ),
    Route(path="/event/send", caller="eventhos-sender", media_type="", broken="E-21"),
    Route(path="/auth/token", caller="nobody", media_type="", broken="E-37", wrong=(b"", b"[]", b"3")),
    Route(path="/event", caller="eventhos", wrong=_OBJECT),
    Route(path="/system", caller="eventhos", wrong=_OBJECT),
    Route(path="/action", caller="eventhos", wrong=_OBJECT),
    Route(path="/events/subscription_token", caller="envoy", broken="V-18", wrong=_CHANNEL),
    Route(path="/events/subscription_token", caller="envoy", method="GET", broken="V-18", wrong=_CHANNEL),
    Route(
        path="/event-service/graphql",
        caller="graphql",
        broken="G-59",
        typed="G-59",
        wrong=_GRAPHQL,
        good="graphql",
        others=(*OTHER_TYPES, "application/graphql"),
        charsets=False,
    ),
    Route(path="/headrace/v1/events", caller="own", media_type=STRUCTURED, wrong=(b"",), good="event"),
    Route(path="/headrace/v1/events/batch", caller="own", media_type=BATCH, wrong=(b"",), good="batch"),
    Route(path="/headrace/v1/filters", caller="own", wrong=_OWN, good="filter", refusal=400, charsets=False),
    Route(path="/headrace/v1/filters/dry-run", caller="own", wrong=_OWN, good="filter", refusal=400, charsets=False),
    Route(path="/headrace/v1/endpoints", caller="own", wrong=_OWN),
    Route(path="/headrace/v1/event-types", caller="own", wrong=_OWN),
    Route(path="/headrace/v1/registrations", caller="own", wrong=_OWN),
    Route(path="/headrace/v1/clients", caller="own", wrong=_OWN),
    Route(path="/schema-registry/subjects/any", caller="own", statuses=(400, 422)),
)


@dataclass(frozen=True)
class Callers:
    """A caller of each family.

    Attributes:
        http: without a credential.
        headers: the credential of each caller.
        params: the query of each caller that needs one.
        id: of the calling Exchange endpoint.
        good: bodies by name.
        stored: the number of events that the good bodies and the callers have published.
    """

    http: httpx.Client
    headers: Mapping[str, dict[str, str]]
    params: Mapping[str, dict[str, str]]
    id: str
    good: Mapping[str, Any]
    stored: Callable[[], int]

    def ask(self, route: Route, content: bytes, media_type: str) -> httpx.Response:
        headers = self.headers[route.caller] | ({"content-type": media_type} if media_type else {})
        params = self.params.get(route.caller)
        return self.http.request(
            route.method, route.path.replace("{id}", self.id), content=content, headers=headers, params=params
        )


@pytest.fixture(scope="module")
def callers(gateway: RunningGateway, exchange: ExchangeAccount, eventhos: Eventhos) -> Iterator[Callers]:
    workspace, code = gateway.create_workspace(), f"Refused-{uuid4()}"
    _, own = gateway.create_client(workspace, "producer", "subscriber", "operator")
    _, crmls = gateway.create_client(workspace, "producer", realm="crmls")
    _, graphql = gateway.create_client(workspace, "producer", "subscriber", realm="graphql")
    publisher = exchange.endpoint(source=True, identifiers=("email", "cookieId"))
    publisher.register(code).raise_for_status()
    lonely = eventhos.event()
    with gateway.client(own) as http:
        http.post("/headrace/v1/registrations", json={"code": code, "open": True}).raise_for_status()
    event = {"specversion": "1.0", "type": code, "data": {}}

    def stored() -> int:
        return (
            gateway.records(workspace, "crmls", code)
            + gateway.records(workspace, "events", code)
            + exchange.stored(code)
            + eventhos.stored(lonely)
        )

    with gateway.client(None) as http:
        bearers = {
            "own": own,
            "crmls": crmls_token(gateway, crmls),
            "exchange": publisher.key,
            "eventhos": eventhos.token,
            "envoy": envoy_token(gateway, workspace),
            "graphql": graphql,
        }
        yield Callers(
            http,
            {
                "nobody": {},
                "eventhos-sender": {"access-key": lonely.token},
                **{name: {"authorization": f"Bearer {token}"} for name, token in bearers.items()},
            },
            {"eventhos-sender": {"event-identifier": lonely.identifier}},
            publisher.id,
            {
                "crmls": seed_body(messageType=code),
                "exchange": Publishing(publisher, http, code).individual(),
                "graphql": {"query": "{ endpoints { totalCount } }"},
                "event": event,
                "batch": [event],
                "filter": {"name": "f", "types": [{"code": code}]},
            },
            stored,
        )


def check_form(answer: httpx.Response, route: Route, *statuses: int) -> None:
    """A refusal in the form of the route's family."""
    status = answer.status_code
    assert status in statuses, (answer.request.content[:80], answer.text)
    error = answer.json()
    media_type = answer.headers["content-type"]
    match route.path.split("/")[1:3]:
        case ["headrace" | "api", _]:
            assert media_type == "application/problem+json"
            assert {"type", "title", "status", "detail"} <= error.keys()
            assert error["status"] == status
            if route.caller == "own" and status == 400:
                (path,) = {each["path"][:1] for each in error["errors"]}
                assert path == "$"
        case ["v1", _]:
            assert media_type == JSON
            assert list(error) == ["message", "code", "errors"]
            assert error["code"] == status
            assert error["message"]
            assert error["errors"] or status == 415
        case ["events", _]:
            assert media_type == JSON
            assert answer.headers["cache-control"] == "no-store"
            assert error["error"]["status"] == status
            assert error["error"]["message"]
        case ["event-service", _]:
            assert status == 415 or error["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
        case ["schema-registry", _]:
            assert error["error_code"]
        case _:
            assert error["code"] // 1_000 == status
            assert error["message"]


def _named(case: str, route: Route) -> Any:
    return pytest.param(route, id=f"{case} {route}".strip())


@pytest.mark.parametrize("route", [_named(each.broken, each) for each in ROUTES])
def test_a_body_that_is_no_json_of_the_route_is_refused(callers: Callers, route: Route) -> None:
    before = callers.stored()
    for content in (*BROKEN, *route.wrong):
        answer = callers.ask(route, content, route.media_type)
        check_form(answer, route, *route.statuses)
        assert content is not WINDOWS or "UTF-8" in answer.text
    assert callers.stored() == before


@pytest.mark.parametrize("route", [_named(each.typed, each) for each in ROUTES if each.good is not None])
def test_another_media_type_or_charset_is_refused(callers: Callers, route: Route) -> None:
    before = callers.stored()
    content = json.dumps(callers.good[str(route.good)]).encode()
    for media_type in route.others:
        answer = callers.ask(route, content, media_type)
        check_form(answer, route, route.refusal)
        assert route.refusal == 415 or "Content-Type: application/json" in answer.json()["errors"][0]["message"]
    for charset in ("utf-16", "latin-1") if route.charsets else ():
        check_form(callers.ask(route, content, f"{route.media_type}; charset={charset}"), route, 415)
    assert callers.stored() == before
