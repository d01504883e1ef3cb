"""The pages without a browser: who gets in, what each role is shown, and that no text becomes markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from fastapi.routing import APIRoute

from backbone.ledger.rows import EventRow, LedgerRows
from backbone.ledger.writer import LedgerWriter
from families.console.http import entrance, sessions
from families.console.http.family import ROUTERS
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.ids import delivery_id
from tests.support.console_login import logged_in, token
from tests.support.local_gateway import LocalGateway, local_gateway
from tests.support.running_gateway import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


HOSTILE = """<script>alert(1)</script><img src=x onerror=alert(2)>'"&"""
CODE = "<img src=x onerror=alert(3)>'&"
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
OPEN = {"/", "/console", "/console/login", "/console/static/{name}"}
"""Paths that need no session."""

LISTS = (
    "",
    "/balance",
    "/events",
    "/tail",
    "/deliveries",
    "/endpoints",
    "/dead-letters",
    "/runs",
    "/types",
    "/topics",
    "/groups",
    "/clients",
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("console")


@pytest.fixture(scope="module")
def local(directory: Path) -> Iterator[LocalGateway]:
    with pytest.MonkeyPatch.context() as environment:
        yield local_gateway(directory, environment)


def json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def path_of(route: APIRoute) -> str:
    return re.sub(r"\{[\w:]+\}", "x", route.path)


async def stored_event(local: LocalGateway, workspace: str, event_id: str, **members: Any) -> str:
    """An event of the workspace in the ledger with a delivery to each endpoint of it; the event's id."""
    topic = f"events.{workspace}.n.c"
    row = EventRow(
        workspace=workspace,
        id=event_id,
        topic=topic,
        source_offset=f"{topic}/0/1",
        namespace="n",
        code="c",
        source="s",
        subject=None,
        time=1,
        received_at=1,
        channel=None,
        identifiers="[]",
        data="1",
        producer_id=None,
    )
    deliveries = [
        Delivery(
            id=delivery_id(event_id, endpoint.id),
            event=event_id,
            endpoint=endpoint.id,
            workspace=workspace,
            source=SourceOffset(topic, 0, 1),
            subscriptions=(),
            run="live",
            routed_at=1_700_000_000_000_000,
        )
        for endpoint in local.gateway.catalog.view.endpoints(workspace)
    ]
    rows = LedgerRows(events=[msgspec.structs.replace(row, **members)], deliveries=deliveries)
    LedgerWriter(local.gateway.clients.ledger).write(rows)
    return event_id


async def test_every_page_but_the_entrance_needs_a_session(local: LocalGateway) -> None:
    await local.begin()
    async with local.client(None) as http:
        for route in ROUTES:
            for method in route.methods:
                answer = await http.request(method, path_of(route))
                if route.path in OPEN:
                    assert answer.status_code != 401, route.path
                else:
                    place = (answer.status_code, answer.headers.get("location"))
                    assert place == (303, "/console/login"), (method, route.path)


async def test_every_form_needs_the_sessions_token(local: LocalGateway) -> None:
    await local.begin()
    async with logged_in(local, ADMIN_KEY) as http, logged_in(local, ADMIN_KEY) as other:
        foreign = token(await other.get("/console/"))
        posts = [route for route in ROUTES if "POST" in route.methods and route.path not in OPEN]
        assert len(posts) > 10
        for route in posts:
            for given in ({}, {"csrf": foreign}):
                answer = await http.post(path_of(route), data={**given, "confirmed": "yes"})
                assert answer.status_code == 403, route.path
                assert "does not belong to this session" in answer.text


async def test_the_cookie_is_for_the_server_alone(local: LocalGateway) -> None:
    await local.begin()
    async with local.client(None) as http:
        form = await http.get("/console/login")
        # A form of another site brings no cookie of ours.
        http.cookies.clear()
        assert (await http.post("/console/login", data={"csrf": token(form), "key": ADMIN_KEY})).status_code == 403
        form = await http.get("/console/login")
        headers = {"X-Forwarded-Proto": "https"}
        answer = await http.post("/console/login", data={"csrf": token(form), "key": ADMIN_KEY}, headers=headers)
        cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("headrace_console="))
    assert {"HttpOnly", "SameSite=strict", "Secure", "Path=/console"} <= set(cookie.split("; "))
    assert ADMIN_KEY not in cookie


async def test_a_cookie_of_others_is_none(local: LocalGateway) -> None:
    await local.begin()
    sealed = local.gateway.secrets.seal('{"an": "endpoint\'s secret"}')
    async with local.client(None) as http:
        for value in ("x", sealed):
            answer = await http.get("/console/", headers={"Cookie": f"{sessions.COOKIE}={value}"})
            assert answer.headers["location"] == "/console/login"


async def test_a_session_ends_with_its_time(local: LocalGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    await local.begin()
    monkeypatch.setattr(sessions, "LIFETIME", -1)
    async with local.client(None) as http:
        old = sessions.new_session(ADMIN_KEY)
        sealed = local.gateway.secrets.seal(json(old))
        answer = await http.get("/console/", headers={"Cookie": f"{sessions.COOKIE}={sealed}"})
        assert answer.headers["location"] == "/console/login"


async def test_a_revoked_key_ends_the_session_at_once(local: LocalGateway) -> None:
    await local.begin()
    workspace = await local.workspace()
    client_id, key = await local.new_client(workspace, "operator")
    async with logged_in(local, key) as http, local.client(params={"workspace": workspace}) as admin:
        assert (await http.get("/console/")).status_code == 200
        (found,) = (await admin.get(f"/headrace/v1/clients/{client_id}/keys")).json()["items"]
        await admin.delete(f"/headrace/v1/clients/{client_id}/keys/{found['id']}")
        answer = await http.get("/console/")
        assert answer.headers["location"] == "/console/login?ended=1"
        answer = await http.get("/console/login?ended=1")
        assert "Your session has ended" in answer.text
        assert sessions.COOKIE not in http.cookies


async def test_a_logout_ends_the_session(local: LocalGateway) -> None:
    await local.begin()
    async with logged_in(local, ADMIN_KEY) as http:
        await http.post("/console/logout", data={"csrf": token(await http.get("/console/"))})
        assert (await http.get("/console/")).status_code == 303


async def test_a_wrong_key_and_one_without_a_role(local: LocalGateway) -> None:
    await local.begin()
    _, powerless = await local.new_client(await local.workspace())
    async with local.client(None) as http:
        for key, status, text in (("nope", 401, "not known"), (powerless, 403, "no role"), ("", 401, "not known")):
            form = await http.get("/console/login")
            answer = await http.post("/console/login", data={"csrf": token(form), "key": key})
            assert answer.status_code == status
            assert text in answer.text
            assert sessions.COOKIE not in http.cookies


async def test_the_start_page_is_for_browsers(local: LocalGateway) -> None:
    await local.begin()
    async with local.client(None) as http:
        assert (await http.get("/")).text == "Ok"
        assert (await http.get("/", headers={"Accept": "*/*"})).text == "Ok"
        page = await http.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert "/console/" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")


async def test_pages_load_nothing_that_is_not_ours(local: LocalGateway) -> None:
    await local.begin()
    async with logged_in(local, ADMIN_KEY) as http:
        for path in LISTS:
            page = await http.get(f"/console{path or '/'}")
            assert page.status_code == 200, (path, page.text)
            assert "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
            assert "unsafe" not in page.headers["content-security-policy"]
            assert page.headers["cache-control"] == "no-store"
            assert re.findall(r"(?:src|href)=\"(?!/|#)", page.text) == []
            assert re.findall(r"<script(?! src=)|\sstyle=|\son\w+=", page.text) == []
        for name in entrance.FILES:
            found = await http.get(f"/console/static/{name}")
            assert (found.status_code, found.headers["x-content-type-options"]) == (200, "nosniff")
        assert (await http.get("/console/static/..%2fvisits.py")).status_code == 404


async def test_a_viewer_sees_the_workspace_and_no_button(local: LocalGateway) -> None:
    await local.begin()
    workspace = await local.workspace()
    _, key = await local.new_client(workspace, "viewer")
    async with local.client(params={"workspace": workspace}) as admin:
        made = (await admin.post("/headrace/v1/endpoints", json={"name": "hook", "url": "https://example.com/"})).json()
    event_id = await stored_event(local, workspace, "e-viewed")
    delivery = delivery_id(event_id, made["id"])
    async with logged_in(local, key) as http:
        for path in (*LISTS, f"/endpoints/{made['id']}", f"/events/{event_id}", f"/deliveries/{delivery}"):
            page = await http.get(f"/console{path or '/'}")
            assert page.status_code == 200, (path, page.text)
            assert re.findall(r'method="post" action="([^"]+)"', page.text) == ["/console/logout"], path
        page = await http.post(
            f"/console/endpoints/{made['id']}/pause",
            data={"csrf": token(await http.get("/console/")), "confirmed": "yes"},
        )
        assert page.status_code == 403
        assert "This needs the role subscriber or operator" in page.text


async def test_a_page_without_the_right_says_which_role_it_needs(local: LocalGateway) -> None:
    await local.begin()
    _, key = await local.new_client(await local.workspace(), "producer")
    async with logged_in(local, key) as http:
        for path in ("/endpoints", "/deliveries", "/dead-letters", "/runs"):
            page = await http.get(f"/console{path}")
            assert page.status_code == 403
            assert "This needs the role subscriber or viewer or operator or admin" in page.text
        for path in ("/", "/events", "/types", "/clients"):
            assert (await http.get(f"/console{path}")).status_code == 200


async def test_ids_of_another_workspace_are_not_found(local: LocalGateway) -> None:
    await local.begin()
    mine, others = await local.workspace(), await local.workspace()
    _, key = await local.new_client(mine, "operator")
    client_id, _ = await local.new_client(others, "operator")
    async with local.client(params={"workspace": others}) as admin:
        made = (await admin.post("/headrace/v1/endpoints", json={"name": "hook", "url": "https://example.com/"})).json()
        await admin.post("/headrace/v1/event-types", json={"namespace": "n", "code": "c"})
    event_id = await stored_event(local, others, "e-foreign")
    pages = (
        f"/endpoints/{made['id']}",
        f"/events/{event_id}",
        f"/deliveries/{delivery_id(event_id, made['id'])}",
        f"/clients/{client_id}",
        "/types/n/c",
    )
    async with logged_in(local, key) as http, logged_in(local, ADMIN_KEY) as admin_http:
        for path in pages:
            page = await http.get(f"/console{path}")
            assert page.status_code == 404, path
            assert made["id"] not in page.text.replace(path, "") or path.endswith(made["id"])
        proof = {"csrf": token(await http.get("/console/"))}
        for name in ("pause", "replay", "disable", "rotate-secret"):
            answer = await http.post(f"/console/endpoints/{made['id']}/{name}", data={**proof, "confirmed": "yes"})
            assert answer.status_code == 404, name
        assert (await http.post("/console/workspace", data={**proof, "workspace": others})).status_code == 403
        # An administrator looks at another workspace by choosing it.
        proof = {"csrf": token(await admin_http.get("/console/"))}
        answer = await admin_http.post("/console/workspace", data={**proof, "workspace": others})
        assert answer.headers["location"] == "/console/?done=workspace"
        for path in pages[:4]:
            assert (await admin_http.get(f"/console{path}")).status_code == 200, path


async def test_hostile_texts_stay_texts(local: LocalGateway) -> None:
    await local.begin()
    workspace = await local.workspace()
    client_id, key = await local.new_client(workspace, "operator", name=f"Client {HOSTILE}")
    async with local.client(key) as http:
        made = await http.post(
            "/headrace/v1/endpoints",
            json={
                "name": HOSTILE,
                "description": HOSTILE,
                "url": "https://example.com/?q=<script>",
                "headers": {"X-Shop": HOSTILE},
            },
        )
        endpoint = made.raise_for_status().json()["id"]
        attribute = {"name": CODE, "type": "String"}
        made = await http.post(
            "/headrace/v1/event-types",
            json={"namespace": "n", "code": CODE, "description": HOSTILE, "attributes": [attribute]},
        )
        assert made.is_success, made.text
        types = [{"namespace": "n", "code": CODE}]
        chosen = await http.post("/headrace/v1/filters", json={"name": HOSTILE, "types": types})
        link = {"filter": chosen.raise_for_status().json()["id"], "endpoint": endpoint}
        (await http.post("/headrace/v1/subscriptions", json=link)).raise_for_status()
    event_id = await stored_event(
        local,
        workspace,
        "e-hostile",
        type=HOSTILE,
        ce_source=HOSTILE,
        channel=HOSTILE,
        producer_id=HOSTILE,
        subject=HOSTILE,
        identifiers=json([{"name": HOSTILE, "value": HOSTILE}]),
        extensions=json({"trace": HOSTILE}),
        data=json({HOSTILE: HOSTILE}),
    )
    async with logged_in(local, key) as http:
        paths = (
            *LISTS,
            f"/events/{event_id}",
            f"/endpoints/{endpoint}",
            f"/clients/{client_id}",
            f"/deliveries/{delivery_id(event_id, endpoint)}",
            f"/events?type={HOSTILE}&cursor=",
            f"/dead-letters?reason={HOSTILE}",
            f"/?done={HOSTILE}",
            f"/endpoints?status={HOSTILE}",
            f"/nothing/{HOSTILE.replace('/', '')}",
        )
        shown = 0
        for path in paths:
            page = await http.get(f"/console{path or '/'}")
            assert page.status_code < 500, path
            assert "<script>" not in page.text, path
            assert "<img src=x" not in page.text, path
            shown += "&lt;script&gt;" in page.text
        assert shown > 10


async def test_bad_input_is_a_page_of_400(local: LocalGateway) -> None:
    await local.begin()
    async with logged_in(local, ADMIN_KEY) as http:
        for path in (
            "/events?since=yesterday",
            "/deliveries?status=x",
            "/events?cursor=%00",
            "/runs?kind=nothing",
            "/balance?since=2026&unbalanced=maybe",
        ):
            page = await http.get(f"/console{path}")
            assert page.status_code == 400, path
            assert "text/html" in page.headers["content-type"]
        proof = token(await http.get("/console/"))
        for body, kind, status in (
            ({"csrf": proof}, "multipart/form-data; boundary=x", 415),
            ({"csrf": proof, **{f"f{each}": "" for each in range(2_100)}}, None, 400),
            ({"csrf": proof, "reason": "x" * 1_000_000}, None, 413),
        ):
            headers = {"Content-Type": kind} if kind else {}
            answer = await http.post("/console/dead-letters/redrive", data=body, headers=headers)
            assert answer.status_code == status
        answer = await http.post("/console/endpoints/x/test", data={"csrf": proof, "type": "a/b", "data": "{"})
        assert (answer.status_code, "The data is no JSON" in answer.text) == (400, True)


@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "1e400", "1e300"])
async def test_a_number_that_json_has_not_is_refused(local: LocalGateway, text: str) -> None:
    await local.begin()
    forms = {
        "/dead-letters/redrive": "rate",
        "/endpoints/x/resume": "rate",
        "/topics/x/partitions": "partitions",
        "/topics/x/retention": "days",
        "/groups/x/offsets": "number",
    }
    async with logged_in(local, ADMIN_KEY) as http:
        proof = {"csrf": token(await http.get("/console/")), "confirmed": "yes", "to": "offset"}
        for path, name in forms.items():
            answer = await http.post(f"/console{path}", data={**proof, name: text})
            assert answer.status_code in (400, 404), (path, answer.text)
        # As null it would have been no limit.
        assert (await http.post("/console/dead-letters/redrive", data={**proof, "rate": text})).status_code == 400


async def test_a_client_has_two_commands(local: LocalGateway) -> None:
    await local.begin()
    client_id, _ = await local.new_client("default", "viewer")
    async with logged_in(local, ADMIN_KEY) as http, local.client() as api:
        await api.patch(f"/headrace/v1/clients/{client_id}", json={"disabled": True})
        proof = {"csrf": token(await http.get("/console/")), "confirmed": "yes"}
        assert (await http.post(f"/console/clients/{client_id}/switch", data=proof)).status_code == 404
        assert (await api.get(f"/headrace/v1/clients/{client_id}")).json()["disabled"]
        assert (await http.post(f"/console/clients/{client_id}/enable", data=proof)).status_code == 303


async def test_a_large_page_lets_others_have_their_turn(local: LocalGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    await local.begin()
    _, key = await local.new_client(await local.workspace(), "operator")
    async with local.client(key) as api, logged_in(local, key) as http:
        attributes = [{"name": f"a{at}", "type": "String"} for at in range(1_000)]
        body = {"namespace": "n", "code": "c", "attributes": attributes}
        (await api.post("/headrace/v1/event-types", json=body)).raise_for_status()
        assert (await http.get("/console/types/n/c")).status_code == 200
        slices = local.gateway.slices
        turn = slices.turn
        turns: list[None] = []

        async def counted() -> None:
            turns.append(None)
            await turn()

        monkeypatch.setattr(slices, "seconds", 0.0)
        monkeypatch.setattr(slices, "turn", counted)
        assert "a999" in (await http.get("/console/types/n/c")).text
        assert len(turns) > 1_000


async def test_a_change_is_previewed_and_made_once(local: LocalGateway) -> None:
    await local.begin()
    workspace = await local.workspace()
    _, key = await local.new_client(workspace, "operator")
    async with local.client(key) as api:
        made = await api.post("/headrace/v1/endpoints", json={"name": "hook", "url": "https://example.com/"})
        endpoint = made.raise_for_status().json()["id"]
    async with logged_in(local, key) as http:
        proof = {"csrf": token(await http.get("/console/"))}
        replay = {**proof, "from": "2026-11-30T20:00", "matched": "then", "rate": "5"}
        preview = await http.post(f"/console/endpoints/{endpoint}/replay", data=replay)
        assert "Would send" in preview.text
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', preview.text))
        assert (fields["from"], fields["rate"], fields["confirmed"]) == ("2026-11-30T20:00:00Z", "5", "yes")
        places = set()
        for _ in range(2):
            answer = await http.post(f"/console/endpoints/{endpoint}/replay", data=fields)
            assert answer.status_code == 303, answer.text
            places.add(answer.headers["location"])
        (place,) = places
        page = await http.get(place)
        assert "5 a second" in page.text
        for name, done in (("pause", "paused"), ("enable", "enabled"), ("disable", "disabled")):
            path = f"/console/endpoints/{endpoint}/{name}"
            assert "<form" in (await http.post(path, data=proof)).text
            answer = await http.post(path, data={**proof, "confirmed": "yes"})
            assert answer.headers["location"] == f"/console/endpoints/{endpoint}?done={done}", answer.text
        answer = await http.post(
            f"/console/endpoints/{endpoint}/rotate-secret", data={**proof, "confirmed": "yes", "overlap": "60"}
        )
        assert "whsec_" in answer.text


async def test_quotas_are_shown_where_there_are_some(local: LocalGateway) -> None:
    await local.begin()
    workspace = await local.workspace()
    client_id, key = await local.new_client(workspace, "operator")
    async with logged_in(local, key) as http, local.client(key) as api:
        assert "No client is limited" in (await http.get("/console/clients")).text
        made = await api.put(f"/headrace/v1/quotas/clients/{client_id}", json={"events": 1234})
        assert made.is_success, made.text
        assert "1,234" in (await http.get("/console/clients")).text
        assert "binds" not in (await http.get("/console/")).text
