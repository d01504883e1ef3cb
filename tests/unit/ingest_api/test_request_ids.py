"""Every answer has an id, and the access log says no secret."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from families.http import families
from ingest_api.app import create_app
from ingest_api.request_ids import RequestIds
from tests.support.local_gateway import LocalGateway, local_gateway
from tests.support.running_gateway import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest_api.http import Receive, Scope, Send

ORIGIN = "https://app.example"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGateway]:
    with pytest.MonkeyPatch.context() as environment:
        settings = {"HEADRACE_INGEST_ACCESS_LOG": "true", "HEADRACE_CORS_ORIGINS": ORIGIN}
        yield local_gateway(tmp_path_factory.mktemp("gateway"), environment, **settings)


@pytest.fixture
async def http(opened: LocalGateway) -> httpx.AsyncClient:
    await opened.begin()
    app = create_app(opened.gateway, families(), contextlib.nullcontext)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")  # type: ignore[arg-type]


async def test_every_answer_of_every_family_has_one_errors_too(http: httpx.AsyncClient) -> None:
    calls = [("POST", route.path) for family in families() for route in family.hot]
    calls += [("GET", f"{prefix}/nothing") for family in families() for prefix in family.prefixes]
    calls += [("GET", "/healthz"), ("GET", "/nowhere"), ("GET", "/%ff"), ("OPTIONS", "/headrace/v1/events")]
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    answers = [await http.request(method, path, headers=preflight) for method, path in calls]
    ids = [answer.headers.get_list("x-request-id") for answer in answers]
    assert [len(each) for each in ids] == [1] * len(calls)
    assert len({each for (each,) in ids}) == len(calls)
    assert {answer.status_code for answer in answers} >= {200, 400, 401, 404}
    assert "X-Request-Id" in (await http.get("/healthz", headers=preflight)).headers["access-control-expose-headers"]


@pytest.mark.parametrize("given", ["a1", "01890a5d-ac96-774b-bcce-b302099a8057", "Root=1-67891233-abcdef", "x" * 128])
async def test_one_that_can_be_logged_is_taken_over(http: httpx.AsyncClient, given: str) -> None:
    assert (await http.get("/nowhere", headers={"X-Request-Id": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 129, "a b", 'a"b', "<b>", "a\tb", "\xe4"])
async def test_any_other_is_replaced(http: httpx.AsyncClient, given: str) -> None:
    answer = await http.get("/nowhere", headers={"X-Request-Id": given.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


async def test_the_access_log_says_what_was_asked_and_no_secret(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "headrace.access"):
        await http.post(
            "/event/send?access-key=s3cret",
            json={"password": "s3cret"},
            headers={"X-Request-Id": "r-1", "Authorization": f"Bearer {ADMIN_KEY}"},
        )
    (line,) = caplog.records
    shown = {name: getattr(line, name) for name in ("method", "path", "status", "client")}
    assert shown == {"method": "POST", "path": "/event/send", "status": 400, "client": "127.0.0.1"}
    assert line.seconds > 0  # type: ignore[attr-defined]
    assert line.answer_bytes > 10  # type: ignore[attr-defined]
    assert "s3cret" not in str(vars(line))
    assert ADMIN_KEY not in str(vars(line))


async def test_a_client_that_has_gone_is_logged_without_a_status(caplog: pytest.LogCaptureFixture) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        """Answer nothing."""

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/" * 5_000, "headers": [], "client": None}
    with caplog.at_level(logging.INFO, "headrace.access"):
        await RequestIds(app, access_log=True)(scope, _never, _never)
        await RequestIds(app, access_log=False)(scope, _never, _never)
    (line,) = caplog.records
    assert (line.status, len(line.path)) == (None, 1_000)  # type: ignore[attr-defined]


async def _never(*_: Any) -> Any:
    raise AssertionError
