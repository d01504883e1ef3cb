"""A client of our own HTTP API: for the command line, the tour and the fixtures."""

from __future__ import annotations

import contextlib
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from operations.errors import CallFailed, CannotStart, Unreachable
from schemas.model.access import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from operations.settings import OperationsSettings

TIMEOUT = aiohttp.ClientTimeout(total=20)

_LARGE = aiohttp.ClientTimeout(total=600)
"""Of a call about a whole catalog."""

_LARGEST_PAGE = 100


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list; its items are JSON as it came, so that numbers stay as they were written."""

    items: list[msgspec.Raw]
    next_cursor: str | None = None


class OwnApi:
    """``/headrace/v1`` of a running gateway.

    Args:
        session: for the calls.
        url: of the gateway, without a path.
        key: an API key.
        workspace: that every call is about; None means the key's own.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str, workspace: str | None = None) -> None:
        self.url = url
        self.workspace_name = workspace
        self._session = session
        self._headers = {"Authorization": f"Bearer {key}"}
        self._query = {} if workspace is None else {"workspace": workspace}

    async def get(self, path: str, **query: str | list[str]) -> Any:
        """The resource or page at ``path``.

        Raises:
            CallFailed: the answer is not a success; also for the other calls.
        """
        return _value(await self._call("GET", path, query))

    async def text(self, path: str, **query: str | list[str]) -> bytes:
        """The text at ``path``; in JSON, numbers are as they were written."""
        return await self._call("GET", path, query)

    async def large_text(self, path: str, **query: str | list[str]) -> bytes:
        """The text at ``path``, which the gateway may need minutes to make."""
        return await self._call("GET", path, query, limit=_LARGE)

    async def find(self, path: str, **query: str | list[str]) -> Any | None:
        """The resource at ``path``, or None when there is none."""
        try:
            return await self.get(path, **query)
        except CallFailed as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def page(self, path: str, **query: str | list[str]) -> Page:
        """One page of the list at ``path``."""
        return msgspec.json.decode(await self._call("GET", path, query), type=Page)

    async def items(self, path: str, most: int, **query: str | list[str]) -> list[msgspec.Raw]:
        """The first ``most`` items of the list at ``path``, from as many pages as that takes."""
        found: list[msgspec.Raw] = []
        cursor: dict[str, str] = {}
        while len(found) < most:
            limit = str(min(most - len(found), _LARGEST_PAGE))
            page = await self.page(path, **query, **cursor, limit=limit)
            found += page.items
            if page.next_cursor is None:
                break
            cursor = {"cursor": page.next_cursor}
        return found

    async def post(self, path: str, body: Any = None, **query: str | list[str]) -> Any:
        """Create what ``body`` describes, or do what the path says."""
        return _value(await self._call("POST", path, query, body=body))

    async def publish(self, data: Any, *, workspace: str | None = None, **attributes: str) -> str:
        """Publish a CloudEvent with these attributes besides its version; the id that it got."""
        headers = {f"ce-{name}": value for name, value in {"specversion": "1.0", **attributes}.items()}
        query = {} if workspace is None else {"workspace": workspace}
        published: str = _value(await self._call("POST", "/events", query, body=data, more=headers))["id"]
        return published

    async def publish_text(self, event: bytes, key: str | None = None) -> Any:
        """Publish a CloudEvent that is JSON already, with an idempotency key if there is one; what was answered."""
        headers = {"Content-Type": "application/cloudevents+json"} | ({} if key is None else {"Idempotency-Key": key})
        return _value(await self._call("POST", "/events", {}, more=headers, text=event))

    async def send(self, path: str, text: bytes, media_type: str, **query: str | list[str]) -> Any:
        """Post a text of a media type, which may be a large one."""
        more = {"Content-Type": media_type}
        return _value(await self._call("POST", path, query, more=more, text=text, limit=_LARGE))

    async def change(self, path: str, body: Any, **query: str | list[str]) -> Any:
        """Change of what is at ``path`` the members that ``body`` has."""
        return _value(await self._call("PATCH", path, query, body=body))

    async def put(self, path: str, body: Any) -> Any:
        """Replace what is at ``path``."""
        return _value(await self._call("PUT", path, {}, body=body))

    async def delete(self, path: str, **query: str | list[str]) -> None:
        """Remove the resource at ``path``."""
        await self._call("DELETE", path, query)

    async def client(self, client: str, *, workspace: str = DEFAULT_WORKSPACE, **properties: Any) -> Any:
        """The client with that id, created when there is none; else enabled, and with these roles and scopes again."""
        found = await self.find(f"/clients/{client}", workspace=workspace)
        if found is None:
            return await self.post("/clients", {"id": client, **properties}, workspace=workspace)
        wanted = {"disabled": False} | {
            name: list(properties[name]) for name in ("roles", "scopes") if name in properties
        }
        if all(found[name] == value for name, value in wanted.items()):
            return found
        return await self.change(f"/clients/{client}", wanted, workspace=workspace)

    async def new_key(self, client: str, *, workspace: str = DEFAULT_WORKSPACE) -> str:
        """An API key for a client that has no other when this returns."""
        old = await self.get(f"/clients/{client}/keys", workspace=workspace)
        made = await self.post(f"/clients/{client}/keys", {}, workspace=workspace)
        for key in old["items"]:
            await self.delete(f"/clients/{client}/keys/{key['id']}", workspace=workspace)
        text: str = made["key"]
        return text

    async def workspace(self, name: str) -> Any:
        """The workspace of that name, created when there is none."""
        return await self.find(f"/workspaces/{name}") or await self.post("/workspaces", {"name": name})

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | list[str]],
        *,
        body: Any = None,
        more: Mapping[str, str] | None = None,
        text: bytes | None = None,
        limit: aiohttp.ClientTimeout = TIMEOUT,
    ) -> bytes:
        """The answer's JSON or YAML; empty where it has none. The body is ``body`` as JSON, or ``text``."""
        url = f"{self.url}/headrace/v1{path}"
        options: dict[str, Any] = {
            "params": {**self._query, **query},
            "headers": {**self._headers, **(more or {})},
            "timeout": limit,
            **({"json": body} if text is None else {"data": text}),
        }
        try:
            async with self._session.request(method, url, **options) as response:
                if not response.ok:
                    raise CallFailed(f"{method} {url}", response.status, await response.text())
                return await response.read() if response.content_type.endswith(("json", "yaml")) else b""
        except TimeoutError as error:
            raise Unreachable(self.url) from error


@contextlib.asynccontextmanager
async def connected(url: str, key: str, workspace: str | None = None) -> AsyncIterator[OwnApi]:
    """A client of the gateway at a URL, while the context is open.

    Raises:
        Unreachable: no gateway answers; within the context too.
    """
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT, json_serialize=_json) as session:
            yield OwnApi(session, url, key, workspace)
    except aiohttp.ClientConnectionError as error:
        raise Unreachable(url) from error


def admin_key(settings: OperationsSettings) -> str:
    """The administrator's API key: that of the environment, else the one in the data directory.

    Raises:
        CannotStart: there is none: nothing was ever started with that data directory.
    """
    if settings.admin_key:
        return settings.admin_key
    path = settings.data_dir / "admin-key"
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CannotStart(
            f"{path} cannot be read ({error.strerror}). Is Headrace up with this data directory?"
        ) from error


def _value(answer: bytes) -> Any:
    return json.loads(answer) if answer else None


def _json(value: Any) -> str:
    """JSON in which a ``msgspec.Raw`` stands as it is."""
    return msgspec.json.encode(value).decode()
