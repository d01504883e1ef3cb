"""A client of our own HTTP API, with the few calls that the tour and the fixtures make."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp

from operations.errors import CallFailed, CannotStart
from schemas.access import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operations.settings import OperationsSettings

TIMEOUT = aiohttp.ClientTimeout(total=20)


class OwnApi:
    """``/headrace/v1`` of a running gateway, as its administrator.

    Attributes:
        url: of the gateway, without a path.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self.url = url
        self._session = session
        self._headers = {"Authorization": f"Bearer {key}"}

    async def get(self, path: str, **query: str) -> Any:
        """The resource or page at ``path``.

        Raises:
            CallFailed: the answer is not a success; also for the other calls.
        """
        return await self._call("GET", path, query)

    async def find(self, path: str, **query: str) -> Any | None:
        """The resource at ``path``, or None when there is none."""
        try:
            return await self._call("GET", path, query)
        except CallFailed as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def post(self, path: str, body: Any, **query: str) -> Any:
        """Create what ``body`` describes."""
        return await self._call("POST", path, query, body)

    async def publish(self, data: Any, *, workspace: str, **attributes: str) -> str:
        """Publish a CloudEvent with these attributes besides its version; the id that it got."""
        headers = {f"ce-{name}": value for name, value in {"specversion": "1.0", **attributes}.items()}
        published: str = (await self._call("POST", "/events", {"workspace": workspace}, data, headers))["id"]
        return published

    async def change(self, path: str, body: Any, **query: str) -> Any:
        """Change of what is at ``path`` the members that ``body`` has."""
        return await self._call("PATCH", path, query, body)

    async def delete(self, path: str, **query: str) -> None:
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
        self, method: str, path: str, query: dict[str, str], body: Any = None, more: Mapping[str, str] | None = None
    ) -> Any:
        url = f"{self.url}/headrace/v1{path}"
        headers = {**self._headers, **(more or {})}
        async with self._session.request(method, url, params=query, json=body, headers=headers) as response:
            if not response.ok:
                raise CallFailed(f"{method} {url}", response.status, await response.text())
            return await response.json() if response.content_type.endswith("json") else None


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
