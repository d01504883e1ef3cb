"""The way in: the start page, login, logout, and the files that pages load."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.routing import Match

from families.console.http.forms import read_form
from families.console.http.own_api import PREFIX
from families.console.http.rendering import page
from families.console.http.sessions import (
    ENTRANCE_COOKIE,
    PATH,
    TOKEN,
    check_token,
    end_session,
    keep_session,
    new_session,
    read_session,
)
from families.console.http.visits import TheForm, TheVisit
from ingest_api.management.dependencies import TheGateway, gateway_of
from ingest_api.problems import HttpProblem
from schemas.model.access import HEADRACE
from schemas.model.errors import PermissionDenied, Unauthenticated
from schemas.security.reading import check_has_a_role

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_STATIC = Path(__file__).parent / "static"
FILES = {
    "console.css": _STATIC / "console.css",
    "icon.svg": _STATIC / "icon.svg",
    "htmx.min.js": Path(str(files("js_lib_htmx"))) / "static" / "htmx" / "htmx.min.js",
}
"""What pages load, and where it is; nothing comes from another host."""

_ENDED = "Your session has ended: its key was revoked, or has expired."

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class BrowserRoute(APIRoute):
    """A route for browsers alone: other clients get what the path says without it."""

    def matches(self, scope: MutableMapping[str, Any]) -> tuple[Match, MutableMapping[str, Any]]:
        """Match a request that asks for HTML by name."""
        accepted = (value for name, value in scope.get("headers", ()) if name == b"accept")
        if not any(b"text/html" in value for value in accepted):
            return Match.NONE, {}
        return super().matches(scope)


start = APIRouter(route_class=BrowserRoute, include_in_schema=False)
router = APIRouter(prefix=PATH, include_in_schema=False)


@start.get("/")
async def start_page() -> Response:
    """Where everything is. It shows nothing of the installation."""
    return page("start.html", None, title="Headrace", api=PREFIX)


@router.get("/login")
async def login_page(request: Request, gateway: TheGateway) -> Response:
    """The form that asks for a key."""
    if read_session(gateway.secrets, request.cookies) is not None and "ended" not in request.query_params:
        return RedirectResponse(f"{PATH}/", 303)
    problem = (
        "Your session has ended: its key was revoked, or has expired." if "ended" in request.query_params else None
    )
    return _login(request, problem)


def _login(request: Request, problem: str | None = None, status: int = 200) -> Response:
    session = new_session()
    answer = page("login.html", None, status=status, title="Log in", problem=problem, token=session.token)
    keep_session(gateway_of(request).secrets, request, answer, session, ENTRANCE_COOKIE)
    if problem is not None:
        end_session(answer)
    return answer


@router.post("/login")
async def login(request: Request, gateway: TheGateway) -> Response:
    """Begin a session with a key that the API takes."""
    form = await read_form(request)
    try:
        check_token(read_session(gateway.secrets, request.cookies, ENTRANCE_COOKIE), form.text(TOKEN))
        client = await gateway.authenticator.by_key(form.text("key"), HEADRACE)
        check_has_a_role(client)
    except Unauthenticated:
        return _login(request, "This key is not known, or it was revoked.", 401)
    except PermissionDenied as error:
        return _login(request, str(error), 403)
    answer = RedirectResponse(f"{PATH}/", 303)
    keep_session(gateway.secrets, request, answer, new_session(form.text("key")))
    end_session(answer, ENTRANCE_COOKIE)
    return answer


@router.post("/logout")
async def logout(_form: TheForm) -> Response:
    """End the session: the browser forgets the cookie."""
    answer = RedirectResponse(f"{PATH}/login", 303)
    end_session(answer)
    return answer


@router.post("/workspace")
async def choose_workspace(visit: TheVisit, form: TheForm, gateway: TheGateway) -> Response:
    """Let an administrator look at another workspace."""
    name = form.text("workspace")
    chosen = None if name in ("", visit.client.workspace) else await gateway.workspace(visit.client, name)
    session = new_session(visit.session.key)
    session = type(session)(key=session.key, token=session.token, expires_at=visit.session.expires_at, workspace=chosen)
    answer = visit.go("/", "workspace")
    keep_session(gateway.secrets, visit.request, answer, session)
    return answer


@router.get("/static/{name}")
async def static_file(name: str) -> Response:
    """A file that pages load."""
    path = FILES.get(name)
    if path is None:
        raise HttpProblem(404, f"There is no file {name}.")
    headers = {"x-content-type-options": "nosniff", "cache-control": "public, max-age=300"}
    return FileResponse(str(path), media_type=_TYPES[path.suffix], headers=headers)


@router.get("", name="console")
async def without_slash() -> Response:
    """The overview, with the slash that its links need."""
    return RedirectResponse(f"{PATH}/", 303)
