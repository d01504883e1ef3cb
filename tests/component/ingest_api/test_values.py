"""Times and numbers in every API: the spellings that are taken, how they come out again, and what is too long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.crmls_account import EVENTS, crmls_account, fresh, seed_body
from tests.support.event_service_client import PATH, EventService, event_service
from tests.support.eventhos_calls import eventhos_on
from tests.support.exchange_account import exchange_account
from tests.support.exchange_publishing import EMAIL
from tests.support.running_gateway import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

V1 = "/headrace/v1"
LONG = "1" * 5_000
TIMES = [
    "2020-01-01t00:00:00Z",
    "2020-01-01T00:00:00z",
    "2020-01-01 00:00:00Z",
    "2020-01-01T00:00:00-00:00",
    "2020-01-01T00:00:00.12345678901234567890Z",
    "2016-12-31T23:59:60Z",
    "2016-12-31t15:59:60.5-08:00",
]
WRONG_TIMES = ["2020-01-01", "2020-01-01T00:00:00", "2020-01-01T12:00:60Z", "2020-01-01T00:00:00+24:00"]
CODE = "Measured"
ATTRIBUTES = [
    {"name": "i", "type": "integer"},
    {"name": "d", "type": "decimal(20,2)"},
    {"name": "n", "type": "Number"},
    {"name": "at", "type": "Time"},
    {"name": "j", "type": "json"},
]


@pytest.fixture(scope="module")
def workspace(gateway: RunningGateway) -> str:
    name = gateway.create_workspace()
    with gateway.client(ADMIN_KEY, params={"workspace": name}) as admin:
        admin.post(f"{V1}/event-types", json={"code": CODE, "attributes": ATTRIBUTES}).raise_for_status()
        admin.post(f"{V1}/event-types", json={"code": "open", "open": True}).raise_for_status()
    return name


@pytest.fixture(scope="module")
def http(gateway: RunningGateway, workspace: str) -> Iterator[httpx.Client]:
    """An administrator's calls."""
    with gateway.client(ADMIN_KEY, params={"workspace": workspace}) as admin:
        yield admin


@pytest.fixture(scope="module")
def graphql(gateway: RunningGateway, workspace: str) -> EventService:
    return event_service(gateway, workspace)


def publish(http: httpx.Client, data: str, code: str = CODE, **attributes: Any) -> httpx.Response:
    event = json.dumps({"specversion": "1.0", "type": code} | attributes)[:-1] + f', "data": {data}}}'
    return http.post(f"{V1}/events", content=event, headers={"content-type": "application/cloudevents+json"})


@pytest.mark.parametrize(("times", "accepted"), [(TIMES, True), (WRONG_TIMES, False)])
def test_times_of_events(gateway: RunningGateway, http: httpx.Client, times: list[str], *, accepted: bool) -> None:
    """CloudEvents, CRMLS, Exchange, and an attribute of type Time."""
    account = crmls_account(gateway, gateway.create_workspace())
    publisher = exchange_account(gateway).endpoint(source=True, identifiers=("email",))
    publisher.register("order", attributes=[{"name": "at", "type": "Time"}]).raise_for_status()
    wrong = []
    with gateway.client(account.token) as crmls, publisher.client() as exchange:
        for text in times:
            attribute = [{"name": "at", "value": text, "type": "Time"}]
            event = {"code": "order", "timestamp": text, "attributes": attribute}
            answers = {
                "CloudEvents": publish(http, json.dumps({"at": text}), time=text),
                "CRMLS": crmls.post(EVENTS, json=seed_body(eventTime=text, messageType="times")),
                "Exchange": exchange.post(
                    "/v1/event", json={"channel": "Web", "identifiers": [EMAIL], "events": [event]}
                ),
            }
            wrong += [f"{name} {text} {one.text}" for name, one in answers.items() if one.is_success is not accepted]
    assert wrong == []


def test_a_leap_second_of_crmls_keeps_its_text(gateway: RunningGateway) -> None:
    account = crmls_account(gateway, gateway.create_workspace())
    with gateway.client(account.token) as crmls:
        posted = crmls.post(EVENTS, json=seed_body(eventTime="2016-12-31T15:59:60.25-08:00")).raise_for_status()
    assert posted.json()["eventTime"] == "2016-12-31T23:59:60.25+00:00"


def test_times_of_queries(gateway: RunningGateway, http: httpx.Client, graphql: EventService) -> None:
    """Our own parameters, GraphQL's DateTime as a literal and as a variable, eventhos' conditions."""
    query = "query ($at: DateTime) { events(filters: {date: {gte: $at}}) { totalCount } }"
    wrong = []
    with eventhos_on(gateway).manager() as eventhos:
        for times, accepted in ((TIMES, True), (WRONG_TIMES, False)):
            for text in times:
                literal = f'{{ events(filters: {{date: {{gte: "{text}"}}}}) {{ totalCount }} }}'
                answers = {
                    "since": http.get(f"{V1}/events", params={"since": text}).is_success,
                    "until": http.get(f"{V1}/events", params={"until": text}).is_success,
                    "variable": "errors" not in graphql.result(query, {"at": text}),
                    "literal": "errors" not in graphql.result(literal),
                    # A date, and a time without an offset, are what eventhos takes beside them.
                    "eventhos": eventhos.get("/event/received", params={"fromTime": text}).is_success or not accepted,
                }
                wrong += [
                    f"{name} {text}" for name, one in answers.items() if one is not accepted and name != "eventhos"
                ]
                wrong += [] if answers["eventhos"] else [f"eventhos {text}"]
    assert wrong == []
    assert http.get(f"{V1}/events?since=2020-01-01T00:00:00+01:00").is_success


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ('{"i":1.0}', 201),
        ('{"i":1e2}', 201),
        ('{"i":-0.0}', 201),
        ('{"i":1.5}', 400),
        ('{"i":1e999999999}', 400),
        ('{"d":123456789012345679.00}', 201),
        ('{"d":1e999999999}', 400),
        ('{"d":-0}', 201),
        ('{"n":1e400}', 400),
        ('{"n":1e-999999999}', 201),
        ('{"n":0.12345678901234567890}', 201),
        ('{"j":{"a":[1e999999999,1e400,-0,1.10]}}', 201),
        (f'{{"n":{LONG}}}', 400),
        (f'{{"d":1.{LONG}}}', 400),
        (f'{{"i":{LONG}}}', 400),
        (f'{{"n":1e-{LONG}}}', 400),
        (f'{{"j":{{"a":[-{LONG}]}}}}', 400),
    ],
)
def test_numbers_of_events(http: httpx.Client, data: str, status: int) -> None:
    answer = publish(http, data)

    assert answer.status_code == status, answer.text
    if status == 400 and LONG in data:
        assert "4,300 digits" in answer.text


def test_a_number_is_too_long_in_every_family(gateway: RunningGateway, http: httpx.Client) -> None:
    account = crmls_account(gateway, gateway.create_workspace())
    publisher = exchange_account(gateway).endpoint(source=True, identifiers=("email",))
    publisher.register("order").raise_for_status()
    eventhos = eventhos_on(gateway)
    event = eventhos.linked_event()
    attribute = [{"name": "orderTotal", "value": LONG, "type": "number"}]
    order = {"code": "order", "timestamp": TIMES[0], "attributes": attribute}
    message_type = fresh("Long")
    crmls_body = json.dumps(seed_body(messageType=message_type, message={"a": ["N"]})).replace('"N"', LONG)
    with gateway.client(account.token) as crmls, publisher.client() as exchange, eventhos.manager() as manager:
        refused = {
            "title": crmls.post(EVENTS, content=crmls_body, headers={"content-type": "application/json"}),
            "message": exchange.post("/v1/event", json={"channel": "W", "identifiers": [EMAIL], "events": [order]}),
            "detail": publish(http, f"[{LONG}]", "open"),
            "code": manager.post(
                "/action",
                content=f'{{"system_id":{event.system},"identifier":"x","name":"n","url":"https://example.com",'
                f'"method":"post","rawBody":{{"a":{LONG}}}}}',
                headers={"content-type": "application/json"},
            ),
        }
    for member, answer in refused.items():
        assert answer.status_code == 400, answer.text
        assert member in answer.json()
        assert "4,300 digits" in answer.text
    assert account.stored(message_type) == 0


def test_numbers_in_graphql(graphql: EventService) -> None:
    """As a literal and as a variable, of a type that takes it and of one that does not, by POST and by GET."""
    page = "query ($n: Int) { endpoints(pagination: {limit: $n}) { totalCount } }"
    with graphql.gateway.client(graphql.key) as http:
        for number in (LONG, f"1.{LONG}", f"1e{LONG}", "99999999999999999999", "1e400", "1.5"):
            body = f'{{"query":{json.dumps(page)},"variables":{{"n":{number}}}}}'
            literal = f"{{ endpoints(pagination: {{limit: {number}}}) {{ totalCount }} }}"
            answers = [
                http.post(PATH, content=body, headers={"content-type": "application/json"}),
                http.get(PATH, params={"query": page, "variables": f'{{"n":{number}}}'}),
                http.post(PATH, json={"query": literal}),
                http.get(PATH, params={"query": literal}),
            ]
            for answer in answers:
                assert answer.status_code < 500, answer.text
                # A URL of that length is refused before GraphQL sees it.
                assert answer.status_code in (414, 431) or answer.json()["errors"], answer.text
            if LONG in number:
                assert all("digits" in answer.text or answer.status_code in (414, 431) for answer in answers)
        identifier = f"{{ endpoints(filters: {{id: {{exact: {'7' * 4_000}}}}}) {{ totalCount }} }}"
        assert http.post(PATH, json={"query": identifier}).json() == {"data": {"endpoints": {"totalCount": 0}}}


def test_a_condition_is_kept_as_it_was_written(http: httpx.Client, graphql: EventService) -> None:
    written = (
        '{"data":{"d":[{"numeric":[">",123456789012345678.91]},1.10,-0,1e400,'
        '{"anything-but":[123456789012345678901234567890,1E+2]}]}}'
    )
    body = f'{{"name":"f","types":[{{"code":"{CODE}"}}],"condition":{written}}}'
    headers = {"content-type": "application/json"}
    made = http.post(f"{V1}/filters", content=body.replace(",1.10", " ,\n 1.10"), headers=headers)
    assert made.status_code == 201, made.text
    address = f"{V1}/filters/{made.json()['id']}"

    shown = [made, http.get(address), http.get(f"{V1}/filters")]
    shown.append(http.patch(address, content=f'{{"condition":{written}}}', headers=headers))
    shown.append(graphql.post("{ eventsFilters { collectionItems { meta } } }"))
    assert all(f'"condition":{written}' in answer.text for answer in shown), [answer.text for answer in shown]
    assert http.patch(address, json={"name": "g"}).json()["condition"] == made.json()["condition"]
    assert http.patch(address, json={"condition": None}).json()["condition"] is None
    for number in (LONG, f"0.{LONG}", "1e99999999999999999999"):
        long = http.post(f"{V1}/filters", content=body.replace("1.10", number), headers=headers)
        assert long.status_code == 400, long.text
        assert "digits" in long.text or "too large" in long.text
    dry = http.post(f"{V1}/filters/dry-run", content=body, headers=headers)
    assert dry.status_code == 200, dry.text


def test_a_condition_matches_by_value(http: httpx.Client) -> None:
    """The dry run evaluates it over the events' records."""
    code = fresh("exact")
    body = {"code": code, "attributes": ATTRIBUTES}
    http.post(f"{V1}/event-types", json=body).raise_for_status()
    for number in ("123456789012345678.91", "123456789012345679.00", "123456789012345678.90"):
        assert publish(http, f'{{"d":{number}}}', code).status_code == 201
    for condition, matched in (
        ('{"numeric":[">",123456789012345678.91]}', 1),
        ('{"numeric":[">=",123456789012345678.91]}', 2),
        ("123456789012345678.910", 1),
        ('{"anything-but":123456789012345679}', 2),
        ('{"in":[123456789012345679.0,1]}', 1),
    ):
        content = f'{{"name":"f","types":[{{"code":"{code}"}}],"condition":{{"data":{{"d":[{condition}]}}}}}}'
        answer = http.post(
            f"{V1}/filters/dry-run", content=content, headers={"content-type": "application/json"}
        ).raise_for_status()
        assert (condition, answer.json()["matched"]) == (condition, matched)


def test_an_action_keeps_its_numbers(gateway: RunningGateway) -> None:
    eventhos = eventhos_on(gateway)
    system = eventhos.system()
    raw = '{"price":1.10,"deep":[1e400,-0,12345678901234567890.10,1E+2]}'
    members = '[{"key":"a","value":1.10},{"key":"b","value":"1.10"},{"key":"c","value":null}]'
    extra = '"queryUrlParams":[{"key":"q","value":2.50}],"headers":[{"key":"X-N","value":7.00}]'
    bodies = {f'"rawBody":{raw}': raw, f'"body":{members}': '{"a":1.10,"b":"1.10","c":null}'}
    with eventhos.manager() as manager:
        for body, shown in bodies.items():
            named = f'"system_id":{system},"identifier":"{fresh("a")}","name":"n"'
            content = f'{{{named},"url":"https://example.com","method":"post",{extra},{body}}}'
            made = manager.post("/action", content=content, headers={"content-type": "application/json"})
            assert made.status_code == 201, made.text
            text = manager.get(f"/action/{made.json()['content']['actionId']}").text
            for part in (f'"data":{shown}', '"params":{"q":"2.50"}', '"X-N":"7.00"'):
                assert part in text
