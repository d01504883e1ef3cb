"""Pages from templates. Every value is escaped, and no page may load or run anything that is not ours."""

from __future__ import annotations

import functools
from contextvars import ContextVar
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from families.console.http import formats
from families.console.http.own_api import Missing, Refused
from families.console.http.sessions import PATH, TOKEN
from ingest_api import problems
from ingest_api.http import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest_api.http import Receive, Scope, Send
    from schemas.model.errors import HeadraceError

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": _POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}

_HTML = b"text/html; charset=utf-8"


class Shell(NamedTuple):
    """What surrounds a page: who looks, where, and the token of forms."""

    user: str
    roles: tuple[str, ...]
    workspace: str
    is_admin: bool
    token: str
    path: str


SHELL: ContextVar[Shell | None] = ContextVar("shell", default=None)
"""That of the request, for its error page."""


class Section(NamedTuple):
    """A page of the navigation."""

    name: str
    path: str


NAVIGATION = (
    ("", (Section("Overview", "/"),)),
    (
        "Flow",
        (
            Section("Events", "/events"),
            Section("Deliveries", "/deliveries"),
            Section("Live tail", "/tail"),
            Section("Endpoints", "/endpoints"),
            Section("Dead letters", "/dead-letters"),
            Section("Runs", "/runs"),
        ),
    ),
    (
        "Kafka",
        (Section("Event types", "/types"), Section("Topics", "/topics"), Section("Groups", "/groups")),
    ),
    ("Access", (Section("Clients", "/clients"), Section("Audit", "/audit"))),
)


@functools.cache
def environment() -> Environment:
    """The templates, made at the first page. A name that a template misspells is an error, not a blank."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(formats.FILTERS)
    made.tests["missing"] = lambda value: isinstance(value, Missing)
    made.globals.update(root=PATH, navigation=NAVIGATION, token_field=TOKEN)
    return made


class Page(HTMLResponse):
    """A page that is made in slices when it is sent: one of megabytes would hold up everybody's requests.

    Args:
        parts: of its text.
        status: of the answer.
    """

    def __init__(self, parts: Iterator[str], status: int) -> None:
        super().__init__("", status, HEADERS)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make it, and send it."""
        work = scope["app"].state.gateway.slices.begin()
        made = []
        for part in self._parts:
            made.append(part)
            await work.pause()
        self.body = "".join(made).encode()
        self.headers["content-length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


def page(template: str, shell: Shell | None, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, with the headers that keep it from loading what is not ours."""
    return Page(environment().get_template(template).generate(shell=shell, **values), status)


def render_error(error: HeadraceError) -> Response:
    """The page of an error: what happened, and what to do. An error that redirects has no page."""
    status = problems.status_of(error)
    headers = problems.headers_of(error)
    if status < HTTPStatus.BAD_REQUEST:
        return Response(status.value, b"", _HTML, headers)
    places = error.places if isinstance(error, Refused) else _places(error)
    text = _text(
        "error.html",
        SHELL.get(),
        title=status.phrase,
        status=status.value,
        detail=problems.told(error),
        places=places,
    )
    policy = tuple((name.encode(), value.encode()) for name, value in HEADERS.items())
    return Response(status.value, text.encode(), _HTML, headers + policy)


def _places(error: HeadraceError) -> tuple[str, ...]:
    return tuple(f"{each.path}: {each.message}" for each in problems.problems_of(error))


def _text(template: str, shell: Shell | None, **values: Any) -> str:
    return environment().get_template(template).render(shell=shell, **values)
