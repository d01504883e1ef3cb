"""Our own API, called in this process with the user's key: pages show and do what the key may, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from ingest_api.problems import HttpProblem

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ingest_api.http import Asgi

PREFIX = "/headrace/v1"
REGISTRY = "/schema-registry"

_MOST_TOLD = 20
"""Places of a refused request that a page lists."""

Params = Mapping[str, Any]
_Headers = list[tuple[bytes, bytes]]


class Refused(HttpProblem):
    """The API refused a request.

    Attributes:
        detail: what it said.
        places: ``path: message`` of each place that it named.
        headers: ``Retry-After``, if it said when to ask again.
    """

    def __init__(
        self, status: int, detail: str, places: tuple[str, ...] = (), headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        super().__init__(status, detail, headers)
        self.detail = detail
        self.places = places


class Missing(NamedTuple):
    """A figure that cannot be shown, and why."""

    status: int
    detail: str


class OwnApi:
    """Requests to our own API.

    Args:
        app: that answers them.
        key: of the user.
        workspace: that an administrator looks at; None is the user's own.
    """

    def __init__(self, app: Asgi, key: str, workspace: str | None) -> None:
        self._app = app
        self._headers = [
            (b"authorization", f"Bearer {key}".encode("latin-1", "replace")),
            (b"content-type", b"application/json"),
            (b"host", b"localhost"),
        ]
        self._workspace = workspace

    async def get(self, path: str, params: Params | None = None) -> Any:
        """What the API answers, decoded.

        Raises:
            Refused: it does not.
        """
        return await self.call("GET", PREFIX + path, params)

    async def post(self, path: str, body: Any = None, params: Params | None = None, *, once: str = "") -> Any:
        """Have something done.

        Args:
            path: behind the API's prefix.
            body: as JSON; None sends no body.
            params: of the query.
            once: an idempotency key: a form that is sent twice does it once.

        Raises:
            Refused: it was not done.
        """
        return await self.call("POST", PREFIX + path, params, body, once=once)

    async def look(self, path: str, params: Params | None = None, *, prefix: str = PREFIX) -> Any:
        """What the API answers, or why it cannot: so that the other figures of a page are shown."""
        try:
            return await self.call("GET", prefix + path, params)
        except Refused as error:
            return Missing(error.status.value, error.detail)

    async def call(
        self, method: str, path: str, params: Params | None = None, body: Any = None, *, once: str = ""
    ) -> Any:
        """Make a request; None and empty parameters are left out.

        Raises:
            Refused: the answer is an error.
        """
        given = {name: value for name, value in (params or {}).items() if value not in (None, "", [])}
        if self._workspace is not None and path.startswith(PREFIX):
            given["workspace"] = self._workspace
        content = b"" if body is None else msgspec.json.encode(body)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": urlencode(given, doseq=True).encode(),
            "root_path": "",
            "headers": self._headers + ([(b"idempotency-key", once.encode())] if once else []),
            "client": None,
            "server": ("localhost", None),
        }
        status, headers, answer = await _answered(self._app, scope, content)
        if status < HTTPStatus.BAD_REQUEST:
            return msgspec.json.decode(answer) if answer else None
        raise _refusal(status, headers, answer)


async def _answered(app: Asgi, scope: dict[str, Any], content: bytes) -> tuple[int, _Headers, bytes]:
    status, headers, parts = 500, [], []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        headers.extend(message.get("headers", ()))
        parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, headers, b"".join(parts)


def _refusal(status: int, headers: _Headers, answer: bytes) -> Refused:
    try:
        told = msgspec.json.decode(answer)
    except msgspec.DecodeError:
        told = {}
    told = told if isinstance(told, dict) else {}
    places = tuple(f"{each.get('path')}: {each.get('message')}" for each in told.get("errors", ())[:_MOST_TOLD])
    # The schema registry has a message, our own API a detail.
    detail = str(told.get("detail") or told.get("message") or HTTPStatus(status).phrase)
    return Refused(status, detail, places, tuple(each for each in headers if each[0].lower() == b"retry-after"))
