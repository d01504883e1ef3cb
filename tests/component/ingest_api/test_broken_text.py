"""Text that is not UTF-8, or has half of a character: 400 in the family's own shape, from every operation."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.credentials import EVENTHOS_SENDER, credentials_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

BROKEN = [b"a\xae", b"\xed\xa0\x80", b"\xff", b"\xc0\x80", rb"\ud800", rb"\uDFFF", rb"\ude00\ud83d"]
"""Inside of a JSON string."""

BODIES = [
    b'"%b"',
    b'{"%b": 1}',
    b'{"name": "%b"}',
    b'{"specversion": "1.0", "type": "%b"}',
    b'{"channel": "W", "events": [{"code": "%b"}]}',
    b'{"channel": "W", "eventbatch": [{"events": [{"code": "c", "attributes": [{"name": "n", "value": "%b"}]}]}]}',
    b'{"filter": "%b", "endpoint": "x"}',
    b'{"query": "{ endpoints { totalCount } }", "variables": {"a": ["%b"]}}',
    b'{"schema": "%b"}',
    b'[{"data": {"a": {"b": ["%b"]}}}]',
]

SHAPES = {
    "/headrace": "title",
    "/api": "title",
    "/auth": "code",
    "/event-service": "errors",
    "/events": "error",
    "/event": "code",
    "/system": "code",
    "/action": "code",
    "/contract": "code",
    "/received": "code",
    "/v1": "message",
    "/schema-registry": "error_code",
}
"""By the first segment of a path: a member that errors in its family's shape have."""


PUBLISHING = ("/headrace/v1/events", "/api/app/events", "/event/send", "/v1/event", "/v1/customEvent")


class Callers:
    """A client for each security scheme, and every operation of the document."""

    def __init__(self, gateway: RunningGateway, http: httpx.Client) -> None:
        self._credentials = credentials_on(gateway)
        self.http = http
        document: dict[str, Any] = self.http.get("/openapi.json").json()
        self.operations = [
            (method.upper(), path, next(iter(operation.get("security", [{}])[0]), None), "requestBody" in operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if path.startswith(tuple(SHAPES))
        ]

    def headers(self, scheme: str | None) -> dict[str, str]:
        if scheme is None:
            return {}
        credential = self._credentials[scheme]
        return {"access-key": credential} if scheme == EVENTHOS_SENDER else {"Authorization": f"Bearer {credential}"}


@pytest.fixture(scope="module")
def callers(gateway: RunningGateway) -> Iterator[Callers]:
    with gateway.client(None) as http:
        yield Callers(gateway, http)


def filled(path: str) -> str:
    """A path whose parameters are their own names."""
    return path.replace("{", "").replace("}", "")


def problem_with(answer: httpx.Response, path: str) -> str | None:
    """How an answer differs from a 400 in the shape of the path's family."""
    member = SHAPES["/" + path.split("/")[1]]
    if answer.status_code != 400 or member not in answer.json():
        return f"{answer.status_code} {answer.text[:200]}"
    return None


def test_a_body_is_refused(callers: Callers) -> None:
    every = list(itertools.product(BODIES, BROKEN))
    some = itertools.cycle(every)
    wrong = {}
    for method, path, scheme, has_body in callers.operations:
        if not has_body:
            continue
        media_type = "application/cloudevents+json" if path == "/headrace/v1/events" else "application/json"
        headers = callers.headers(scheme) | {"content-type": media_type}
        for template, broken in every if path in PUBLISHING else (next(some), next(some), next(some)):
            body = template % broken
            answer = callers.http.request(method, filled(path), content=body, headers=headers)
            found = problem_with(answer, path)
            # A resource that is not there may be told of first.
            if found and answer.status_code not in (403, 404):
                wrong[f"{method} {path} {body!r}"] = found
    assert wrong == {}


def test_a_number_of_too_many_digits_is_refused(callers: Callers) -> None:
    """Wherever it stands, and whether or not the operation knows the member."""
    wrong = {}
    bodies = itertools.cycle(
        [b'{"name": %b}', b"[1.%b]", b'{"a": {"b": [-%b]}}', b"1e%b", b'{"query": "{a}", "variables": {"a": %b}}']
    )
    for method, path, scheme, has_body in callers.operations:
        if has_body and path not in PUBLISHING:
            body = next(bodies) % (b"1" * 5_000)
            headers = callers.headers(scheme) | {"content-type": "application/json"}
            answer = callers.http.request(method, filled(path), content=body, headers=headers)
            found = problem_with(answer, path)
            if found and answer.status_code not in (403, 404):
                wrong[f"{method} {path} {body[:30]!r}"] = found
    assert wrong == {}


def test_a_path_and_a_query_are_refused(callers: Callers) -> None:
    wrong = {}
    encodings = itertools.cycle(("%FF", "%ED%A0%80", "%C3"))
    for method, path, scheme, _ in callers.operations:
        headers = callers.headers(scheme)
        for template in ("{}?any={}", "{}?{}=1", "{}/{}"):
            url = template.format(filled(path), next(encodings))
            if found := problem_with(callers.http.request(method, url, headers=headers), path):
                wrong[f"{method} {url}"] = found
    assert wrong == {}


def test_no_header_makes_an_operation_fail(callers: Callers) -> None:
    names = (
        b"authorization",
        b"access-key",
        b"idempotency-key",
        b"content-type",
        b"accept",
        b"traceparent",
        b"ce-subject",
    )
    values = (b"\xff", b"\xed\xa0\x80", b"%FF", b"%ED%A0%80")
    every = list(itertools.product(names, values))
    some = itertools.cycle(every)
    failed = {}
    for method, path, scheme, _ in callers.operations:
        for name, value in every if path in PUBLISHING else (next(some), next(some)):
            headers = {each.lower().encode(): text.encode() for each, text in callers.headers(scheme).items()}
            headers |= {b"content-type": b"application/json", name: value}
            answer = callers.http.request(method, filled(path), content=b"{}", headers=headers)
            if answer.status_code >= 500:
                failed[f"{method} {path} {name!r}"] = answer.text
    assert failed == {}
