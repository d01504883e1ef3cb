"""The event-service family: GraphQL over HTTP at ``/event-service/graphql``, and GraphiQL for browsers.

Beyond the document: the ``Idempotency-Key`` header of mutations that create, updating and deleting event filters, and
queries by GET.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from fastapi import APIRouter, Depends, Request, Security
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.responses import Response as HttpResponse
from fastapi.security import HTTPBearer
from graphql import GraphQLError, OperationDefinitionNode, get_operation_ast
from graphql import OperationType as GraphQLOperation
from strawberry.extensions import MaxTokensLimiter, SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from families.event_service.http.graphql_http import Operation, answer, persisted_answer, read_body, read_query
from families.event_service.http.limits import DocumentLimits
from families.event_service.http.mutations import Mutation
from families.event_service.http.queries import Query
from families.event_service.http.types import DATE_TIME, Context, DateTime
from families.event_service.model import REALM
from families.event_service.settings import EventServiceSettings
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Authorization, RepeatKey, TheGateway, check_digits
from ingest_api.page_policy import page_headers
from ingest_api.problems import HttpProblem
from schemas.model.access import Client
from schemas.model.errors import InvalidRequest, PermissionDenied
from schemas.security import permissions
from schemas.security.budget import ANSWER_VALUES, AnswerBudget

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/event-service/graphql"
ASSETS = "/event-service/graphiql"

_GRAPHIQL = frozenset(("react.production.min.js", "react-dom.production.min.js", "graphiql.min.js", "graphiql.min.css"))

_TOKENS, _CHARACTERS = 2_000, 100_000
"""The most that a document may have; ``event_service_limits`` has the other limits. A token can be of any length."""

_QUERIES = frozenset({OperationType.QUERY})
_ALL = frozenset({OperationType.QUERY, OperationType.MUTATION})

_BEARER = HTTPBearer(scheme_name="eventServiceKey", auto_error=False)
"""Only declares the scheme in the OpenAPI document."""

_OPERATION = {
    "type": "object",
    "required": ["query"],
    "properties": {
        "query": {"type": "string", "description": "A GraphQL document."},
        "variables": {"type": ["object", "null"]},
        "operationName": {"type": ["string", "null"]},
        "extensions": {"type": ["object", "null"]},
    },
    "example": {"query": "{ endpoints { totalCount collectionItems { id name type } } }"},
}

_VALUES_OF_ITEM = 15
"""In an answer, at most, where a page of ordinary items is as long as may be."""

_RESULT = {
    "type": "object",
    "properties": {
        "data": {"type": ["object", "null"]},
        "errors": {"type": "array", "items": {"type": "object", "required": ["message"]}},
    },
}


def _described(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _RESULT}}}


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: _described("The result: `data`, and `errors` when something could not be done."),
    400: _described("The request could not be read, or with that Accept header, not be executed."),
    401: _described("The API key is missing or not one of this family."),
    403: _described("The client has no role."),
    503: _described("Kafka cannot say who calls; try again after `Retry-After` seconds."),
}

router = APIRouter(tags=["Event service (GraphQL)"])


class _Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: Any = None) -> None:
        """Errors are told, and logged where they are our own, when the answer is made."""


class _OneOperation(SchemaExtension):
    """A document of several operations says nothing without the name of one (GraphQL 6.1)."""

    def on_validate(self) -> Iterator[None]:
        """Refuse it."""
        document = self.execution_context.graphql_document
        operations = [
            each for each in (document.definitions if document else ()) if isinstance(each, OperationDefinitionNode)
        ]
        context: Context = self.execution_context.context
        if len(operations) > 1 and context.operation_name is None:
            message = "The document has several operations: operationName must say which."
            self.execution_context.pre_execution_errors = [GraphQLError(message, operations)]
        yield


class _Changes(SchemaExtension):
    """Mutations are for clients that may change something; a viewer only reads."""

    def on_validate(self) -> Iterator[None]:
        """Refuse one of a client without such a role."""
        document = self.execution_context.graphql_document
        operation = document and get_operation_ast(document, self.execution_context.operation_name)
        if operation and operation.operation is GraphQLOperation.MUTATION:
            context: Context = self.execution_context.context
            try:
                permissions.check(context.client, permissions.Operation.CHANGE_ROUTES)
            except PermissionDenied as error:
                self.execution_context.pre_execution_errors = [GraphQLError(str(error), original_error=error)]
        yield


@functools.cache
def schema() -> strawberry.Schema:
    """The schema of this family, made at the first request; ``event_service.graphql`` is how it prints."""
    return _Schema(
        query=Query,
        mutation=Mutation,
        extensions=[
            _OneOperation,
            _Changes,
            lambda: MaxTokensLimiter(max_token_count=_TOKENS),
            DocumentLimits,
        ],
        config=StrawberryConfig(scalar_map={DateTime: DATE_TIME}),
    )


async def _client(
    gateway: TheGateway, authorization: Authorization, _scheme: Annotated[object, Security(_BEARER)]
) -> Client:
    return await gateway.authenticator.by_bearer_key(authorization, REALM)


@router.post(
    PATH,
    summary="Execute a GraphQL query or mutation",
    response_class=HttpResponse,
    responses=_RESPONSES | {413: _described("The body is too large."), 415: _described("The body is not JSON.")},
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _OPERATION}}}},
)
async def post_operation(
    request: Request,
    gateway: TheGateway,
    client: Annotated[Client, Depends(_client)],
    key: RepeatKey = None,
) -> HttpResponse:
    """Endpoints, event filters and their links; the events that were accepted. The schema is in GraphiQL."""
    operation = await read_body(request)
    context = _context(gateway, client, operation, key)
    return await _execute(operation, context, request, _ALL)


@router.get(
    PATH,
    summary="Execute a GraphQL query, or open GraphiQL",
    response_class=HttpResponse,
    responses=_RESPONSES | {405: _described("A mutation: it needs POST.")},
    openapi_extra={
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
            for name in ("query", "variables", "operationName", "extensions")
        ]
    },
)
async def get_operation(
    request: Request,
    gateway: TheGateway,
    authorization: Authorization,
    _scheme: Annotated[object, Security(_BEARER)],
) -> HttpResponse:
    """A browser gets GraphiQL, which asks for the API key; with `query`, the result as for POST."""
    if not {"query", "extensions"} & request.query_params.keys() and "text/html" in request.headers.get("accept", ""):
        page = (files("families.event_service.http") / "page.html").read_text("utf-8")
        return HTMLResponse(page, headers=page_headers(page))
    client = await gateway.authenticator.by_bearer_key(authorization, REALM)
    operation = read_query(request)
    context = _context(gateway, client, operation)
    return await _execute(operation, context, request, _QUERIES)


@router.get(f"{ASSETS}/{{name}}", include_in_schema=False)
async def graphiql_file(name: str) -> FileResponse:
    """One of the files that GraphiQL consists of."""
    if name not in _GRAPHIQL:
        raise HttpProblem(404, f"There is no file {name}.")
    shipped = files("graphene_django_graphiql_static") / "static" / "graphene_django_graphiql_static"
    return FileResponse(str(shipped / name))


def _context(gateway: Gateway, client: Client, operation: Operation, key: str | None = None) -> Context:
    most = gateway.settings_of(EventServiceSettings).page_limit
    budget = AnswerBudget(max(ANSWER_VALUES, _VALUES_OF_ITEM * most))
    return Context(gateway=gateway, client=client, key=key, operation_name=operation.operation_name, budget=budget)


async def _execute(
    operation: Operation, context: Context, request: Request, allowed: frozenset[OperationType]
) -> HttpResponse:
    context.gateway.read_scope(context.client)  # who has no role is refused whatever it asks for
    not_found = persisted_answer(operation)
    if not_found is not None:
        return not_found
    if not operation.query:
        raise InvalidRequest("There is no query.")
    if len(operation.query) > _CHARACTERS:
        raise InvalidRequest(f"The document has more than {_CHARACTERS:,} characters: send long values as variables.")
    check_digits(operation.query.encode(errors="replace"))
    await context.gateway.slices.turn()
    try:
        result = await schema().execute(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.operation_name,
            allowed_operation_types=allowed,
        )
    except CannotGetOperationTypeError as error:
        raise InvalidRequest(error.as_http_error_reason()) from error
    except InvalidOperationTypeError as error:
        if allowed is _ALL:
            raise InvalidRequest("The schema has no subscriptions.") from error
        raise HttpProblem(405, "This method takes queries only.", ((b"allow", b"POST"),)) from error
    return answer(result, request.headers.get("accept", ""))
