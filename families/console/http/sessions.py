"""Sessions: an API key, encrypted in a cookie that scripts and other sites cannot use."""

from __future__ import annotations

import hmac
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from schemas.model.errors import Misconfigured, PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request
    from fastapi.responses import Response

    from backbone.catalog.secrets import SecretBox

PATH = "/console"
COOKIE = "headrace_console"
ENTRANCE_COOKIE = "headrace_console_login"
"""Before the login there is a session without a key: its token proves that the form came from us."""

LIFETIME = 8 * 3600
"""Seconds until a user has to log in again."""

TOKEN = "csrf"  # noqa: S105  # the name of a field
_TOKEN_BYTES = 24


class Session(msgspec.Struct, frozen=True, kw_only=True, tag="console"):
    """What the cookie holds.

    Attributes:
        key: the user's API key; empty before the login.
        token: goes with every form.
        expires_at: seconds since the epoch.
        workspace: that an administrator chose; None is the client's own.
    """

    key: str
    token: str
    expires_at: float
    workspace: str | None = None


def new_session(key: str = "") -> Session:
    """A session that begins now."""
    return Session(key=key, token=secrets.token_urlsafe(_TOKEN_BYTES), expires_at=time.time() + LIFETIME)


def read_session(box: SecretBox, cookies: Mapping[str, str], name: str = COOKIE) -> Session | None:
    """The session of a request; None without one, or with one that expired or that we did not make."""
    sealed = cookies.get(name)
    if sealed is None:
        return None
    try:
        session = msgspec.json.decode(box.open(sealed), type=Session)
    except (Misconfigured, msgspec.MsgspecError):
        return None
    return session if session.expires_at > time.time() else None


def keep_session(box: SecretBox, request: Request, response: Response, session: Session, name: str = COOKIE) -> None:
    """Give the browser the session's cookie. Over HTTPS, the browser sends it over HTTPS only."""
    is_https = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
    response.set_cookie(
        name,
        box.seal(msgspec.json.encode(session).decode()),
        max_age=max(0, int(session.expires_at - time.time())),
        path=PATH,
        secure=is_https,
        httponly=True,
        samesite="strict",
    )


def end_session(response: Response, name: str = COOKIE) -> None:
    """Have the browser forget the cookie."""
    response.delete_cookie(name, path=PATH, httponly=True, samesite="strict")


def check_token(session: Session | None, given: str) -> None:
    """Let only forms pass that came from a page of this session.

    Raises:
        PermissionDenied: another page sent it, or the page is older than the session.
    """
    if session is None or not hmac.compare_digest(session.token.encode(), given.encode()):
        raise PermissionDenied("The form does not belong to this session. Load the page again, and repeat it there.")
