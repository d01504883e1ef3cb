"""The heaviest requests that the HTTP plane takes, by kind: the other half of the stage ``neighbours.http``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from operations.bench import workload
from operations.bench.http_neighbours_setup import EXCHANGE, LARGE_TYPE, MANY_ATTRIBUTES, OPEN, TYPED, WIDE
from operations.bench.traffic import NUMBER
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.bench.http_neighbours_setup import Installation

_MOST_EVENTS = 10_000
_MOST_BYTES = 8 * 1024 * 1024 - 1_000
_RECORD = 950_000
"""Bytes of data that one record holds."""

_EVENTS = "/headrace/v1/events"
_BATCH, _SINGLE = "application/cloudevents-batch+json", "application/cloudevents+json"
_JSON = "application/json"


class Kind(NamedTuple):
    """One kind of request, and over how many connections it is sent."""

    name: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None = None
    connections: int = 4


def kinds(where: Installation) -> Iterator[Kind]:
    """All kinds. Bodies are made when they are asked for: some have eight megabytes."""
    yield from _batches(where)
    yield from _single_events(where)
    yield from _families(where)
    yield from _reads(where)
    yield from _lists(where)
    yield from _changes(where)
    yield from _credentials(where)


def _headers(key: str, media_type: str = _JSON, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": media_type, **more}


def _events(**members: Any) -> list[dict[str, Any]]:
    return [{**workload.cloudevent(number), "type": TYPED, **members} for number in range(_MOST_EVENTS)]


def _filled(begin: str, part: str, end: str, size: int) -> bytes:
    """Text of so many bytes: a list of one part again and again."""
    count = (size - len(begin) - len(end)) // (len(part) + 1)
    return f"{begin}{','.join([part] * count)}{end}".encode()


def _batches(where: Installation) -> Iterator[Kind]:
    headers = _headers(where.operator, _BATCH)

    def kind(name: str, body: bytes, **more: str) -> Kind:
        return Kind(f"batch.{name}", "POST", _EVENTS, headers | more, body)

    plain = orjson.dumps(_events())
    yield kind("plain", plain)
    yield kind("one_key", plain, **{"Idempotency-Key": f"key-{NUMBER}"})
    yield kind("repeated_key", plain, **{"Idempotency-Key": "always-the-same"})
    with_ids = [{**each, "id": f"{NUMBER}-{number}"} for number, each in enumerate(_events())]
    yield kind("ids", orjson.dumps(with_ids))
    repeated = [{**each, "id": f"repeated-{number}"} for number, each in enumerate(_events())]
    yield kind("repeated_ids", orjson.dumps(repeated))
    yield kind("extensions", orjson.dumps(_events(one="1", two="2", three="3", four="4", five=5)))
    yield kind("invalid", orjson.dumps(_events(data={"region": 1, "unknown": 2})))
    yield kind("invalid_attributes", orjson.dumps(_events(time="yesterday", specversion="2", subject="")))
    yield kind("numbers", _filled("[", "1", "]", _MOST_BYTES))
    yield kind("empty_objects", _filled("[", "{}", "]", _MOST_BYTES))
    opened = {"specversion": "1.0", "type": OPEN, "data": [1.5] * 100}
    yield kind("open", orjson.dumps([opened] * _MOST_EVENTS))


def _single_events(where: Installation) -> Iterator[Kind]:
    def kind(name: str, code: str, data: bytes) -> Kind:
        body = b'{"specversion":"1.0","type":"%b","data":%b}' % (code.encode(), data)
        return Kind(f"single.{name}", "POST", _EVENTS, _headers(where.operator, _SINGLE), body)

    order = orjson.dumps(workload.order(1))[:-1].decode()
    yield kind("array", OPEN, _filled("[", "1.5", "]", _RECORD))
    yield kind("large_array", OPEN, _filled("[", "1.5", "]", _MOST_BYTES))
    yield kind("typed_array", TYPED, _filled(f'{order},"details":[', "1.50", "]}", _RECORD))
    yield kind("lexical", TYPED, _filled(f'{order},"details":[', '{"a": 1.50e1}', "]}", _RECORD))
    wide = {each["name"]: 1 for each in MANY_ATTRIBUTES}
    yield kind("wide", WIDE, orjson.dumps(wide).replace(b":1", b":" + b"1.50" + b"0" * 900))
    members = ",".join(f'"m{number}":1' for number in range(_MOST_BYTES // 14))
    yield kind("unknown_members", TYPED, f"{{{members}}}".encode())
    yield kind("same_member", TYPED, _filled("{", '"region":"eu"', "}", _MOST_BYTES))
    yield kind("deep", OPEN, b"[" * 400_000 + b"]" * 400_000)
    yield kind("quarter_deep", OPEN, _filled("[", "[" * 200 + "]" * 200, "]", _RECORD))
    pair = '"\\ud83d\\ude00'
    yield kind("escapes", OPEN, f"{pair}{chr(92)}n".encode() + b"\\n" * (_RECORD // 2) + b'"')
    yield kind("large_escapes", OPEN, f"{pair}".encode() + b"\\n" * (_MOST_BYTES // 2 - 500) + b'"')
    long_run = '"' + "1" * 4_400 + '"'
    yield kind("texts", OPEN, _filled(f"[{long_run},", '""', "]", _MOST_BYTES))
    yield kind("not_ascii", OPEN, _filled("[", '"é"', "]", _RECORD))
    one = _filled("[", "1.5", "]", _RECORD)
    binary = _headers(where.operator, **{"ce-specversion": "1.0", "ce-type": OPEN, "Idempotency-Key": f"k{NUMBER}"})
    yield Kind("single.binary_key", "POST", _EVENTS, binary, one)


def _families(where: Installation) -> Iterator[Kind]:
    exchange = _headers(where.exchange)
    attributes = [{"name": "productID", "value": "1"}, {"name": "orderTotal", "value": "12.50", "type": "Number"}]
    event = {
        "code": EXCHANGE,
        "timestamp": "2021-03-04T16:36:54.591Z",
        "attributes": attributes,
        "channel": "web",
        "identifiers": [{"name": "email", "value": "a@example.org"}, {"name": "cookieId", "value": "1"}],
    }
    yield Kind("exchange.batch", "POST", "/v1/event", exchange, orjson.dumps({"events": [event] * _MOST_EVENTS}))
    yield Kind(
        "exchange.key",
        "POST",
        "/v1/event",
        exchange | {"Idempotency-Key": f"key-{NUMBER}"},
        orjson.dumps({"events": [event] * _MOST_EVENTS}),
    )
    entry = {"channel": "web", "identifiers": event["identifiers"], "events": [{"code": EXCHANGE}]}
    entries = orjson.dumps({"eventbatch": [entry] * _MOST_EVENTS})
    yield Kind("exchange.compound", "POST", "/v1/event", exchange, entries)
    wrong = {**event, "identifiers": [{"name": "unknown", "value": "1"}], "attributes": [{"name": "x", "value": "1"}]}
    invalid = orjson.dumps({"events": [wrong] * _MOST_EVENTS})
    yield Kind("exchange.invalid", "POST", "/v1/event", exchange, invalid)
    many = [{"name": f"a{number}", "value": "1"} for number in range(3_000)]
    unknown = orjson.dumps({"events": [{**event, "attributes": many}]})
    yield Kind("exchange.unknown_attributes", "POST", "/v1/event", exchange, unknown)
    shared = [{"name": "email", "value": str(number)} for number in range(200)]
    plain = {name: value for name, value in event.items() if name != "identifiers"}
    repeated = orjson.dumps({"identifiers": shared, "events": [plain] * 2_000})
    yield Kind("exchange.identifiers", "POST", "/v1/event", exchange, repeated)
    yield Kind("exchange.numbers", "POST", "/v1/event", exchange, _filled('{"events":[', "1", "]}", _MOST_BYTES))
    post = '{"eventName":"n","eventTime":"2021-03-04T16:36:54.591Z","messageType":"busy","message":{"a":['
    yield Kind(
        "crmls.array",
        "POST",
        "/api/app/events",
        _headers(where.crmls),
        _filled(post, "1.5", "]}}", _RECORD),
    )
    yield Kind(
        "crmls.commas", "POST", "/api/app/events", _headers(where.crmls), _filled(post, "1.5", ",],},}", _RECORD)
    )
    yield Kind(
        "crmls.wrong", "POST", "/api/app/events", _headers(where.crmls), _filled("{", '"eventName":1', "}", _MOST_BYTES)
    )
    send = f"/event/send?event-identifier={where.eventhos_event}&access-key={where.eventhos}"
    yield Kind("eventhos.array", "POST", send, {"Content-Type": _JSON}, _filled('{"a":[', "1.5", "]}", _RECORD))
    yield Kind("eventhos.large", "POST", send, {"Content-Type": _JSON}, _filled('{"a":[', "1.5", "]}", _MOST_BYTES))


def _reads(where: Installation) -> Iterator[Kind]:
    headers = _headers(where.operator)
    condition = {"data": {"region": [f"literal-{number}" for number in range(900)]}}
    tried = {"name": "f", "types": [{"code": TYPED}], "condition": condition}
    path = "/headrace/v1/filters/dry-run?last=1000"
    yield Kind("dry_run", "POST", path, headers, orjson.dumps(tried), 8)
    yield Kind("events.page", "GET", f"{_EVENTS}?limit=500", headers, None, 8)
    graphql = _headers(where.graphql)

    def document(name: str, query: str, **variables: Any) -> Kind:
        body = orjson.dumps({"query": query, "variables": variables})
        return Kind(f"graphql.{name}", "POST", "/event-service/graphql", graphql, body)

    yield document("events", "{ events(pagination: {limit: 500}) { totalCount collectionItems { id data } } }")
    page = "endpoints(pagination: {limit: 1000}) { totalCount collectionItems { id name type creationDate } }"
    yield document("lists", "{" + " ".join(f"a{number}: {page}" for number in range(12)) + "}")
    fields = "pagination: {limit: 0}"
    yield document("document", "{" + " ".join(f"a{n}: endpoints({fields}) {{ totalCount }}" for n in range(99)) + "}")
    yield document("tokens", "{" + " ".join(f"f{number}" for number in range(1_990)) + "}")
    spreads = " ".join(f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(250))
    yield document("fragments", "{ ...f0 } " + spreads + " fragment f250 on Query { __typename }")
    yield document("text", '{ eventsFilters(filters: {name: {exact: "' + "x" * (_MOST_BYTES - 1_000) + '"}}) { a } }')
    yield document("variables", "query ($a: Int) { __typename }", a=[1] * 49_000)
    file = f"/headrace/v1/endpoints/{where.endpoint}/files/{where.file}"
    yield Kind("event_file", "GET", file, headers)


def _lists(where: Installation) -> Iterator[Kind]:
    headers = _headers(where.operator)
    for name in ("event-types", "registrations", "filters", "endpoints", "subscriptions", "clients"):
        yield Kind(f"list.{name}", "GET", f"/headrace/v1/{name}?limit=1000", headers)
    yield Kind("list.exchange_types", "GET", "/v1/eventtype", _headers(where.exchange))
    yield Kind("list.exchange_endpoints", "GET", "/v1/endpoint", _headers(where.exchange_account))
    for name in ("event", "system", "contract", "action", "auth/client", "auth/role", "event/received"):
        yield Kind(
            f"list.eventhos_{name.replace('/', '_')}", "GET", f"/{name}?itemsPerPage=1000", _headers(where.eventhos)
        )
    yield Kind("registry.schemas", "GET", "/schema-registry/schemas", headers)
    schema = json.dumps(
        {
            "type": "record",
            "name": "R",
            "fields": [{"name": f"field_{number:05d}", "type": ["null", "string"]} for number in range(12_000)],
        }
    )
    subject = f"{event_topic(where.busy, 'events', LARGE_TYPE)}-value"
    body = orjson.dumps({"schema": schema})
    compatible = f"/schema-registry/compatibility/subjects/{subject}/versions/latest"
    yield Kind("registry.compatibility", "POST", compatible, headers, body)
    yield Kind("registry.look_up", "POST", f"/schema-registry/subjects/{subject}", headers, body)
    deep = '{"type":"array","items":' * 300 + '"string"' + "}" * 300
    yield Kind("registry.deep", "POST", compatible, headers, orjson.dumps({"schema": deep}))


def _changes(where: Installation) -> Iterator[Kind]:
    headers = _headers(where.operator)
    created = {"code": f"made-{NUMBER}", "attributes": MANY_ATTRIBUTES, "partitions": 1}
    yield Kind("change.event_types", "POST", "/headrace/v1/event-types", headers, orjson.dumps(created))
    names = [{**each, "type": "Text"} for each in MANY_ATTRIBUTES * 12]
    yield Kind(
        "change.invalid", "POST", "/headrace/v1/event-types", headers, orjson.dumps({"code": "c", "attributes": names})
    )
    wrong = orjson.dumps({"code": "c", "attributes": list(range(49_000))})
    yield Kind("change.wrong_values", "POST", "/headrace/v1/event-types", headers, wrong)
    text = orjson.dumps({"code": "c", "description": "x" * (_MOST_BYTES - 1_000)})
    yield Kind("change.large_text", "POST", "/headrace/v1/event-types", headers, text)
    deep = b'{"name":"f","types":[{"code":"T"}],"condition":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}"
    yield Kind("change.deep", "POST", "/headrace/v1/filters", headers, deep)
    tests = {f"attribute_{number}": [{"prefix": f"p{number}"}] for number in range(450)}
    made = {"name": "f", "types": [{"code": LARGE_TYPE}], "condition": {"data": tests}}
    yield Kind("change.filters", "POST", "/headrace/v1/filters", headers, orjson.dumps(made))
    roles = {"identifier": f"role-{NUMBER}", "permissions": [f"event:a{number}" for number in range(40_000)]}
    yield Kind("change.eventhos_role", "POST", "/auth/role", _headers(where.eventhos), orjson.dumps(roles))
    identifiers = [{"name": f"identifier-{number}"} for number in range(15_000)]
    endpoint = {
        "name": "other",
        "providerName": "bench",
        "endpointTypes": {"event": {"source": {"enabled": True}}},
        "marketingDatabasesDefinition": {"marketingDatabases": [{"name": "p", "identifiers": identifiers}]},
    }
    yield Kind(
        "change.exchange_endpoint", "PUT", "/v1/endpoint", _headers(where.exchange_account), orjson.dumps(endpoint)
    )


def _credentials(where: Installation) -> Iterator[Kind]:
    yield Kind("token.crmls", "POST", f"/api/token?apiKey={where.crmls_key}", {}, None, 8)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    yield Kind("token.eventhos", "POST", "/auth/token", form, where.eventhos_fields.encode(), 8)
    yield Kind("token.realtime", "POST", "/headrace/v1/realtime/connection-token", _headers(where.operator), b"{}", 8)
    yield Kind("refused.key", "POST", _EVENTS, _headers(f"hrk_{NUMBER}{'x' * 40}", _SINGLE), b"{}", 8)
    forged = where.crmls.rsplit(".", 1)[0] + f".{NUMBER}{'A' * 35}"
    yield Kind("refused.token", "POST", "/api/app/events", _headers(forged), b"{}", 8)
    yield Kind("refused.large_header", "POST", _EVENTS, _headers(f"{NUMBER}{'x' * 60_000}", _SINGLE), b"{}", 8)
