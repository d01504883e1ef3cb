"""``/action``: the requests that contracts run, filled in from the event that they are run for."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response as HttpResponse
from pydantic import BeforeValidator, Field

from backbone.catalog.view import CatalogView
from families.eventhos.catalog.calls import Call
from families.eventhos.catalog.records import Action, Refused, System, all_of, existing_action, numbered
from families.eventhos.http.access import CREATED, UNREADABLE, caller_with, needs
from families.eventhos.http.messages import (
    ANSWERS,
    Answer,
    Identifier,
    Input,
    Name,
    Pages,
    Text,
    as_json,
    contains,
    done,
    iso,
    success,
    verbatim,
)
from families.eventhos.http.openapi import ERRORS
from families.eventhos.http.services import actions_of
from ingest_api.management.dependencies import TheGateway
from ingest_api.management.models import example
from schemas.model.access import Client
from schemas.model.contract_call import without_credentials
from schemas.model.endpoint import Endpoint, NameValue, RequestTemplate

Creator = Annotated[Client, caller_with("action:create")]
Changer = Annotated[Client, caller_with("action:update")]
"""A route's parameter: the client that calls, with that permission."""

router = APIRouter(tags=["eventhos actions"], responses=ERRORS)

_NO_FUNCTIONS = 400005

_MOST_MEMBERS = 200


class Method(StrEnum):
    """How an action's request is made."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class SecurityType(IntEnum):
    """How an action's request is authorised: by what its headers say, or by OAuth2 client credentials."""

    CUSTOM = 0
    OAUTH2_CLIENT = 1


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class Member(Input):
    """A header, query parameter or body member."""

    key: Annotated[str, Field(min_length=1, max_length=500)]
    value: str | int | float | bool | None = ""


class HeaderMember(Member):
    """A header; what does not fit into one is refused now rather than at each call."""

    key: Annotated[str, Field(max_length=500, pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
    value: Annotated[str, Field(pattern=r"^[^\x00-\x08\x0a-\x1f\x7f]*$")] | int | float | bool | None = ""


Members = Annotated[tuple[Member, ...], Field(max_length=_MOST_MEMBERS)]
Headers = Annotated[tuple[HeaderMember, ...], Field(max_length=_MOST_MEMBERS)]


class ActionRequest(Input):
    """How an action's request is made; ``${.body.x}``, ``${.headers.x}``, ``${.query.x}`` are filled in."""

    url: Annotated[str, Field(min_length=1, max_length=8_000)]
    method: Annotated[Method, BeforeValidator(_upper)]
    headers: Headers = ()
    body: Members = ()
    raw_body: Annotated[
        dict[str, Any] | list[Any] | str | None, Field(alias="rawBody", description="Instead of `body`.")
    ] = None
    query_url_params: Annotated[Members, Field(alias="queryUrlParams")] = ()
    security_type: Annotated[SecurityType | None, Field(alias="securityType")] = None
    security_url: Annotated[Text | None, Field(alias="securityUrl", description="Where tokens come from.")] = None
    client_id: Annotated[Text | None, Field(alias="clientId")] = None
    client_secret: Annotated[Text | None, Field(alias="clientSecret", description="Kept, never shown.")] = None
    raw_function_body: Annotated[
        str | None, Field(alias="rawFunctionBody", description="Not supported: code is not run.")
    ] = None
    reply_to: Annotated[Text | None, Field(description="Event that a successful answer is sent to.")] = None


class ActionInput(ActionRequest):
    """An action to create."""

    model_config = example(
        system_id=1, identifier="book-invoice", name="Book invoice", url="https://example.com/invoices", method="POST"
    )

    system_id: int
    identifier: Identifier
    name: Name
    operation: Text | None = None
    description: Text | None = None


class ActionChange(ActionRequest):
    """An action's new request, and what else of it shall change."""

    name: Name | None = None
    operation: Text | None = None
    description: Text | None = None


class _WrittenMember(msgspec.Struct, frozen=True):
    value: msgspec.Raw = msgspec.Raw(b'""')


class _Written(msgspec.Struct, frozen=True, rename="camel"):
    """The values of a request as their texts have them: ``1.10`` is not ``1.1``."""

    headers: tuple[_WrittenMember, ...] = ()
    body: tuple[_WrittenMember, ...] = ()
    query_url_params: tuple[_WrittenMember, ...] = ()
    raw_body: msgspec.Raw = msgspec.Raw()


async def _written(request: Request) -> _Written:
    try:
        return msgspec.json.decode(await request.body(), type=_Written)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(UNREADABLE, f"The body cannot be read: {error}") from error


Written = Annotated[_Written, Depends(_written)]


@router.post("/action", status_code=201, summary="Create an action", **ANSWERS)
async def create_action(gateway: TheGateway, caller: Creator, body: ActionInput, written: Written) -> Answer:
    """Without ``body`` and ``rawBody`` the event is sent on as it came."""
    made = await gateway.in_time(
        actions_of(gateway).create_action(
            _call(body, written),
            by=caller.id,
            system_id=body.system_id,
            identifier=body.identifier,
            name=body.name,
            operation=body.operation or "",
            description=body.description or "",
            reply_to=body.reply_to or None,
        )
    )
    return success({"actionId": made.id}, code=CREATED)


@router.get("/action", summary="List actions", dependencies=needs("action:select"), **ANSWERS)
async def list_actions(
    gateway: TheGateway,
    pages: Pages,
    wordSearch: str | None = None,  # noqa: N803  # the original's name
) -> Answer:
    """All, or those with a word in their name, their description or their system's name."""
    view = await gateway.view()
    rows = [_listed(view, each) for each in all_of(view, Action)]
    searched = ("name", "description", "system_name")
    return success(pages.of([row for row in rows if any(contains(row[name], wordSearch) for name in searched)]))


@router.get("/action/{action_id}", summary="Get an action", dependencies=needs("action:select"), **ANSWERS)
async def get_action(gateway: TheGateway, action_id: int) -> HttpResponse:
    """With its request, but without credentials."""
    view = await gateway.view()
    action = existing_action(view, action_id)
    endpoint = view.endpoint(action.record_id)
    row = action_row(action)
    return verbatim(
        {
            **{name: value for name, value in row.items() if name != "system_id"},
            "system_id": action.system_id,
            "reply_to": action.reply_to,
            "httpConfiguration": {} if endpoint is None else _shown(endpoint),
            "security": {"type": "custom", "httpConfiguration": {}} if endpoint is None else _security(endpoint),
        }
    )


@router.put("/action/{action_id}", status_code=201, summary="Change an action", **ANSWERS)
async def change_action(
    gateway: TheGateway, caller: Changer, action_id: int, body: ActionChange, written: Written
) -> Answer:
    """Its request is given anew, as a whole; a client secret that is left out stays, as does a header shown as ``***``.

    Credentials that stay go to no other server: where the scheme, host or port of a URL changes, they are given again.
    A name, operation or description that is left out stays.
    """
    kept = {name: getattr(body, name) for name in ("name", "operation", "description")}
    changed = {name: value for name, value in kept.items() if value is not None}
    if "reply_to" in body.model_fields_set:
        changed["reply_to"] = body.reply_to or None
    call = _call(body, written)
    await gateway.in_time(actions_of(gateway).update_action(action_id, call, by=caller.id, **changed))
    return done()


@router.delete(
    "/action/{action_id}", status_code=201, summary="Delete an action", dependencies=needs("action:delete"), **ANSWERS
)
async def delete_action(gateway: TheGateway, action_id: int) -> Answer:
    """One that no contract runs."""
    await gateway.in_time(actions_of(gateway).delete_action(action_id))
    return done()


def action_row(action: Action) -> dict[str, Any]:
    """An action as the original's table has it, without its request."""
    return {
        "id": action.id,
        "system_id": action.system_id,
        "identifier": action.identifier,
        "name": action.name,
        "operation": action.operation,
        "description": action.description,
        "deleted": action.deleted,
        "created_at": iso(action.created_at),
        "updated_at": iso(action.updated_at),
    }


def _listed(view: CatalogView, action: Action) -> dict[str, Any]:
    system = numbered(view, System, action.system_id)
    return {**action_row(action), "reply_to": action.reply_to, "system_name": system and system.name}


def _call(body: ActionRequest, written: _Written) -> Call:
    if body.raw_function_body:
        raise Refused(_NO_FUNCTIONS, "rawFunctionBody: JavaScript functions are not run; use rawBody with ${.body.x}")
    members = _members(body.body, written.body)
    raw = _raw(body.raw_body, written.raw_body)
    if not raw and any(not isinstance(each.value, str) for each in body.body):
        # A number stays one: as a member's text it would arrive as a string.
        texts = _texts(body.body, written.body)
        raw, members = _json({each.key: msgspec.Raw(text) for each, text in zip(body.body, texts, strict=True)}), ()
    request = RequestTemplate(
        headers=_members(body.headers, written.headers),
        query=_members(body.query_url_params, written.query_url_params),
        body=() if raw else members,
        raw_body=raw,
    )
    oauth = body.security_type is SecurityType.OAUTH2_CLIENT
    return Call(
        url=body.url,
        method=body.method.value,
        request=request,
        token_url=(body.security_url or "") if oauth else None,
        client_id=body.client_id if oauth else None,
        client_secret=(body.client_secret or None) if oauth else None,
    )


def _raw(given: dict[str, Any] | list[Any] | str | None, written: msgspec.Raw) -> str | None:
    """As text. An empty object is none, as in the original: it is what an action without a body shows."""
    if not given:
        return None
    if isinstance(given, str):
        text = given
    else:
        text = msgspec.json.format(bytes(written) or _json(given).encode(), indent=-1).decode()
    return None if text.strip() == "{}" else text


def _members(given: tuple[Member, ...], written: tuple[_WrittenMember, ...]) -> tuple[NameValue, ...]:
    """Values as text; a number as it was written."""
    return tuple(
        NameValue(name=each.key, value=each.value if isinstance(each.value, str) else text.decode())
        for each, text in zip(given, _texts(given, written), strict=True)
    )


def _texts(given: tuple[Member, ...], written: tuple[_WrittenMember, ...]) -> list[bytes]:
    """The JSON text of each member's value; the members may have come under another name than the document's."""
    if len(given) != len(written):
        return [_json(each.value).encode() for each in given]
    return [bytes(each.value) for each in written]


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    template = endpoint.request or RequestTemplate()
    raw = template.raw_body
    data = {each.name: each.value for each in template.body} if raw is None else as_json(raw)
    return {
        "url": endpoint.url,
        "method": endpoint.method.lower(),
        "headers": _hidden(template.headers),
        "params": _hidden(template.query),
        "data": data,
    }


def _hidden(members: tuple[NameValue, ...]) -> dict[str, str]:
    """By name, without credentials; a template of one is none."""
    values = {each.name: each.value for each in members}
    return {
        name: values[name] if "${." in values[name] else value for name, value in without_credentials(values).items()
    }


def _security(endpoint: Endpoint) -> dict[str, Any]:
    authorization = endpoint.authorization
    if authorization is None:
        return {"type": "custom", "httpConfiguration": {}}
    data = {"client_id": authorization.user, "grant_type": "client_credentials"}
    return {
        "type": "oauth2_client",
        "httpConfiguration": {"url": authorization.token_url, "method": "post", "data": data},
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
