"""The event-service document: requests, errors, and the schema itself."""

from __future__ import annotations

import json
import re
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from graphql import (
    GraphQLSchema,
    build_client_schema,
    build_schema,
    get_introspection_query,
    introspection_from_schema,
    lexicographic_sort_schema,
    print_schema,
)

from families.event_service.http import routes as family
from tests.support.event_service_client import PATH, EventService, event_service

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

SDL = Path(family.__file__).with_name("schema.graphql")
HTML = {"Accept": "text/html,application/xhtml+xml"}
_STRUCTURE: Any = {"descriptions": False, "specified_by_url": False}
LIST = "{ endpoints { totalCount } }"


@pytest.fixture(scope="module")
def service(gateway: RunningGateway) -> EventService:
    return event_service(gateway)


def test_G_31_an_unknown_field_is_an_error_with_status_200(service: EventService) -> None:
    response = service.post("{ endpoints { nothing } }")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert list(response.json()) == ["errors"]
    assert "nothing" in response.json()["errors"][0]["message"]


def test_G_31_a_client_that_knows_the_status_is_told_by_it(service: EventService) -> None:
    headers = {"Accept": "application/graphql-response+json, application/json;q=0.9"}
    refused = service.post("{ endpoints { nothing } }", headers=headers)
    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/graphql-response+json")
    failed = service.post("{ endpoints(pagination: {limit: -1}) { totalCount } }", headers=headers)
    assert (failed.status_code, failed.json()["data"]) == (200, None)


@pytest.mark.parametrize(
    "document", ["{", "", "query A { endpoints { totalCount } } query B { endpoints { totalCount } }"]
)
def test_G_30_a_document_that_cannot_be_executed(service: EventService, document: str) -> None:
    response = service.post(document)
    assert response.status_code in (200, 400)
    assert response.json()["errors"]


def test_variables_and_operation_names(service: EventService) -> None:
    document = "query A { a: endpoints { totalCount } } query B { b: endpoints { totalCount } }"
    assert list(service.post(document, operationName="B").json()["data"]) == ["b"]
    assert service.post(document, operationName="C").json()["errors"]
    assert service.post(
        "query ($l: Int) { endpoints(pagination: {limit: $l}) { totalCount } }", variables={"l": "x"}
    ).json()["errors"]


@pytest.mark.parametrize("authorization", [None, "Bearer nothing", "Basic eDp5", "Bearer"])
def test_G_58_a_request_without_a_key_is_refused(gateway: RunningGateway, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    with gateway.client(None) as http:
        for response in (
            http.post(PATH, json={"query": LIST}, headers=headers),
            http.get(PATH, params={"query": LIST}, headers=headers),
        ):
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHORIZED"}


def test_G_58_a_key_of_another_family_is_refused(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    for realm in ("headrace", "exchange", "crmls", "envoy"):
        _, key = gateway.create_client(workspace, "operator", realm=realm)
        with gateway.client(key) as http:
            assert http.post(PATH, json={"query": LIST}).status_code == 401


def test_G_58_a_key_of_this_family_opens_no_other(service: EventService) -> None:
    with service.gateway.client(service.key) as http:
        for path in ("/headrace/v1/endpoints", "/v1/eventtype"):
            assert http.get(path).status_code == 401


def test_G_60_mutations_are_executed_in_their_order(service: EventService) -> None:
    document = """
    mutation ($name: String!) {
      first: createWebSocketEndpoint(name: $name) { creationDate }
      wrong: deleteEndpoints(endpointIds: ["none"]) { ok }
      second: createWebSocketEndpoint(name: $name) { creationDate }
    }
    """
    found = service.data(document, {"name": "in order"})
    assert list(found) == ["first", "wrong", "second"]
    first, second = (datetime.fromisoformat(found[name]["creationDate"]) for name in ("first", "second"))
    assert first < second
    assert found["wrong"] == {"ok": False}


def test_G_61_a_query_may_come_by_get_but_no_mutation(service: EventService) -> None:
    with service.gateway.client(service.key) as http:
        found = http.get(PATH, params={"query": LIST})
        assert found.json() == {"data": {"endpoints": {"totalCount": len(service.listed())}}}
        mutation = 'mutation { createWebSocketEndpoint(name: "n") { id } }'
        refused = http.get(PATH, params={"query": mutation})
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert http.get(PATH).status_code == 400
        for variables in ("{", "[]", '{"a": "\\ud800"}'):
            assert http.get(PATH, params={"query": LIST, "variables": variables}).status_code == 400


def test_G_62_the_schema_is_the_documents(service: EventService) -> None:
    told: Any = service.data(get_introspection_query(**_STRUCTURE))
    expected = build_schema(SDL.read_text("utf-8"))
    # Introspection leaves the descriptions and the URLs of scalars out unless they are asked for.
    assert _bare(build_client_schema(told)) == _bare(expected)


def _bare(schema: GraphQLSchema) -> str:
    """The schema in one order, without what introspection was not asked for."""
    text = print_schema(lexicographic_sort_schema(build_client_schema(introspection_from_schema(schema, **_STRUCTURE))))
    return re.sub(r" @specifiedBy\(.*?\)$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("kind", "field", "printed"),
    [
        ("EndpointOutput", "id", "ID!"),
        ("EndpointOutput", "creationDate", "DateTime!"),
        ("EndpointOutput", "meta", "JSON!"),
        ("EndpointOutput", "type", "EndpointType!"),
        ("EndpointCollection", "collectionItems", "[EndpointOutput!]!"),
        ("EndpointCollection", "totalCount", "Int!"),
        ("MutationResult", "ok", "Boolean!"),
        ("Mutation", "deleteEndpoints(endpointIds: [ID!]!)", "MutationResult!"),
        ("Mutation", "linkEndpointsToEventFilters(endpointIds: [ID!]!, eventFiltersId: ID!)", "MutationResult!"),
        ("Mutation", "createWebhookEndpoint(name: String!, url: String!, method: String)", "EndpointOutput!"),
    ],
)
def test_G_62_types_are_marked_as_in_the_document(kind: str, field: str, printed: str) -> None:
    _, _, after = SDL.read_text("utf-8").partition(f"type {kind} {{")
    assert f"  {field}: {printed}" in after.partition("\n}")[0]


def test_the_checked_in_schema_is_the_one_that_is_served() -> None:
    assert SDL.read_text("utf-8") == family.schema().as_str() + "\n"


@pytest.mark.parametrize(
    "document",
    [
        "{" + " ".join(f"a{number}: endpoints {{ totalCount }}" for number in range(101)) + "}",
        "{" + "x { " * 40 + "y" + " }" * 40 + "}",
        "{ endpoints { totalCount " + "totalCount " * 3_000 + "} }",
    ],
)
def test_documents_have_limits(service: EventService, document: str) -> None:
    response = service.post(document)
    assert response.status_code == 200
    assert "data" not in response.json()
    assert response.json()["errors"]


def test_a_browser_gets_graphiql_and_its_files_from_here(gateway: RunningGateway) -> None:
    with gateway.client(None) as http:
        page = http.get(PATH, headers=HTML)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "//unpkg" not in page.text
        # It asks for the key before it asks the server for anything.
        assert '<form id="ask"' in page.text
        assert 'type="password"' in page.text
        assert "<API key>" not in page.text
        linked = [part.partition('"')[0] for part in page.text.split('="')[1:]]
        files = [each for each in linked if each.startswith("/event-service/graphiql/")]
        assert len(files) == 4
        for name in files:
            assert http.get(name).status_code == 200
        assert http.get("/event-service/graphiql/other.js").status_code == 404
        with_query = http.get(PATH, params={"query": LIST}, headers=HTML)
        assert with_query.status_code == 401


def persisted(**members: Any) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(LIST.encode()).hexdigest()} | members}}


def test_a_persisted_query_is_asked_for_by_its_text(service: EventService) -> None:
    """As Apollo's protocol has it: clients send the hash alone, and upon this error the query too."""
    extensions = json.dumps(persisted()["extensions"])
    with service.gateway.client(service.key) as http:
        for alone in (
            http.post(PATH, json=persisted()),
            http.post(PATH, json=persisted() | {"query": None}),
            http.post(PATH, json=persisted(), headers={"Accept": "application/graphql-response+json"}),
            http.get(PATH, params={"extensions": extensions}, headers=HTML),
        ):
            assert alone.status_code == 200, alone.text
            (error,) = alone.json()["errors"]
            assert (error["message"], error["extensions"]["code"]) == (
                "PersistedQueryNotFound",
                "PERSISTED_QUERY_NOT_FOUND",
            )
            assert "no-cache" in alone.headers["cache-control"]
        for both in (
            http.post(PATH, json={"query": LIST} | persisted()),
            http.get(PATH, params={"query": LIST, "extensions": extensions}),
            http.post(PATH, json={"query": LIST, "extensions": {"persistedQuery": None, "other": 1}}),
        ):
            assert "endpoints" in both.json()["data"]
    with service.gateway.client(None) as nobody:
        assert nobody.post(PATH, json=persisted()).status_code == 401


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (persisted(version=2), "version"),
        (persisted(version=None), "version"),
        (persisted(version=True), "version"),
        (persisted(sha256Hash=None), "sha256Hash"),
        ({"query": LIST} | persisted(version=2), "version"),
        ({"query": LIST} | persisted(sha256Hash="0" * 64), "does not match"),
        ({"query": LIST, "extensions": {"persistedQuery": "x"}}, "sha256Hash"),
        ({"query": LIST, "extensions": 5}, "object"),
    ],
)
def test_a_persisted_query_that_is_wrong_is_refused(service: EventService, body: dict[str, Any], word: str) -> None:
    with service.gateway.client(service.key) as http:
        answer = http.post(PATH, json=body)
    assert answer.status_code == 400
    assert word in answer.json()["errors"][0]["message"]


def test_the_openapi_document_describes_the_route(gateway: RunningGateway) -> None:
    with gateway.client(None) as http:
        operations = http.get("/openapi.json").json()["paths"][PATH]
    assert set(operations) == {"get", "post"}
    assert json.dumps(operations["post"]["security"]) == '[{"eventServiceKey": []}]'


def test_a_subscription_is_an_error_by_any_method(service: EventService) -> None:
    refused = service.post("subscription { events { id } }")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["message"] == "The schema has no subscriptions."


def test_fragments_that_double_are_refused_at_once(service: EventService) -> None:
    """Written out, it would be two to the power of a hundred fields."""
    steps = "".join(f" fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(100))
    refused = service.errors("{ ...f0 }" + steps + " fragment f100 on Query { __typename }")
    assert refused == ["The document has more than 2,000 fields and spreads."]
    assert service.errors("{ ...nothing }") == ["Unknown fragment 'nothing'."]


@pytest.mark.parametrize(
    ("mutation", "argument"),
    [
        ("mutation ($long: String!) { createWebSocketEndpoint(name: $long) { id } }", "name"),
        ('mutation ($long: String!) { createWebhookEndpoint(name: "n", url: $long) { id } }', "url"),
        ("mutation ($long: String!) { createEventFilters(eventFiltersInput: {in: {}}, name: $long) { id } }", "name"),
    ],
)
def test_names_and_urls_have_a_length(service: EventService, mutation: str, argument: str) -> None:
    (message,) = service.errors(mutation, {"long": "http://receiver.example/" + "x" * 2_000})
    assert message.startswith(f"{argument} must not be longer than")
