"""A visit: one request to a page, with the user behind it. Every page asks for one."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request, Security
from fastapi.responses import RedirectResponse, Response
from fastapi.security import APIKeyCookie

from families.console.http.forms import Form, read_form
from families.console.http.notices import NOTICES
from families.console.http.own_api import OwnApi
from families.console.http.rendering import SHELL, Shell, page
from families.console.http.sessions import COOKIE, PATH, TOKEN, Session, check_token, read_session
from ingest_api.management.dependencies import TheGateway
from ingest_api.problems import HttpProblem
from schemas.model.access import HEADRACE, Client, Role
from schemas.model.errors import PermissionDenied, Unauthenticated
from schemas.security.permissions import Operation, check

if TYPE_CHECKING:
    from collections.abc import Mapping

_COOKIE = APIKeyCookie(name=COOKIE, auto_error=False)
"""Says that the routes are not open, so that the user is known before the body is read."""


class LoginNeeded(HttpProblem):
    """There is no session, or it ended: the browser is sent to the login, and from there back.

    Attributes:
        ended: there was one, whose key is not good any more.
    """

    def __init__(self, *, ended: bool) -> None:
        super().__init__(303, "Log in first.")
        self.ended = ended
        self.headers = ((b"location", f"{PATH}/login{'?ended=1' if ended else ''}".encode()),)


class Visit:
    """One request of a user.

    Attributes:
        request: as it came.
        session: of the user.
        client: behind the session's key, as the catalog has it now.
        api: our own, with the user's key.
        shell: what surrounds every page.
    """

    def __init__(self, request: Request, session: Session, client: Client) -> None:
        self.request = request
        self.session = session
        self.client = client
        self.workspace = session.workspace or client.workspace
        self.api = OwnApi(request.app, session.key, session.workspace)
        self.shell = Shell(
            user=client.name or client.id,
            roles=tuple(role.value for role in client.roles),
            workspace=self.workspace,
            is_admin=Role.ADMIN in client.roles,
            token=session.token,
            path=quote(request.scope["path"]),
        )

    def may(self, operation: Operation) -> bool:
        """Whether the user may do something, at least to what is its own: decides whether a button is shown."""
        try:
            check(self.client, operation)
        except PermissionDenied:
            return False
        return True

    @property
    def sends_again(self) -> bool:
        """Whether the user may resend, replay, redrive and test."""
        return self.may(Operation.SEND_AGAIN)

    @property
    def changes_routes(self) -> bool:
        """Whether the user may change endpoints."""
        return self.may(Operation.CHANGE_ROUTES)

    @property
    def operates(self) -> bool:
        """Whether the user may change topics and groups: an operator of the workspace."""
        return not {Role.OPERATOR, Role.ADMIN}.isdisjoint(self.client.roles)

    def param(self, name: str) -> str:
        """A parameter of the query; empty without one."""
        return self.request.query_params.get(name, "").strip()

    def params(self, *names: str) -> dict[str, str]:
        """Parameters of the query that are not empty."""
        return {name: self.param(name) for name in names if self.param(name)}

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page; ``?done=`` chooses a sentence that says what was done just now."""
        notice = NOTICES.get(self.param("done"))
        return page(template, self.shell, status=status, visit=self, notice=notice, **values)

    def go(self, path: str, done: str = "") -> Response:
        """Send the browser to a page, so that a reload repeats nothing."""
        return RedirectResponse(f"{PATH}{path}{f'?done={done}' if done else ''}", 303)

    def confirm(
        self,
        title: str,
        label: str,
        *,
        explain: tuple[str, ...] = (),
        facts: Mapping[str, Any] | None = None,
        fields: Mapping[str, Any] | None = None,
        back: str,
        is_danger: bool = False,
    ) -> Response:
        """Ask whether something shall be done, after saying what it does; a form with the same fields confirms it.

        Args:
            title: what is asked.
            label: of the button.
            explain: what it does, a sentence each.
            facts: the figures of its preview.
            fields: that go along.
            back: the page to go back to.
            is_danger: it cannot be undone.
        """
        hidden = [
            (name, text)
            for name, value in (fields or {}).items()
            for text in (value if isinstance(value, list) else [value])
            if text not in (None, "")
        ]
        return self.page(
            "confirm.html",
            title=title,
            label=label,
            explain=explain,
            facts=facts or {},
            hidden=[*hidden, ("confirmed", "yes"), ("once", secrets.token_urlsafe(16))],
            back=f"{PATH}{back}",
            is_danger=is_danger,
        )


async def visit_of(request: Request, gateway: TheGateway, _scheme: Annotated[object, Security(_COOKIE)]) -> Visit:
    """The visit of a user who logged in. A key that was revoked ends its sessions at their next request.

    Raises:
        LoginNeeded: nobody did.
    """
    session = read_session(gateway.secrets, request.cookies)
    if session is None:
        raise LoginNeeded(ended=False)
    try:
        client = await gateway.authenticator.by_key(session.key, HEADRACE)
    except Unauthenticated:
        raise LoginNeeded(ended=True) from None
    visit = Visit(request, session, client)
    SHELL.set(visit.shell)
    return visit


TheVisit = Annotated[Visit, Depends(visit_of)]


async def form_of(visit: TheVisit) -> Form:
    """The form that a page of this session sent.

    Raises:
        PermissionDenied: another page sent it.
    """
    form = await read_form(visit.request)
    check_token(visit.session, form.text(TOKEN))
    return form


TheForm = Annotated[Form, Depends(form_of)]
