"""A client of the Exchange API, and the endpoints that the fixtures and the tour register with it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from operations.errors import CallFailed
from schemas.access import DEFAULT_WORKSPACE
from schemas.ids import derived

if TYPE_CHECKING:
    from collections.abc import Sequence

    import aiohttp

    from operations.api import OwnApi

PROVIDER = "Headrace fixtures"
EVENT_TYPE = "ibmproductView"
ATTRIBUTES = ({"name": "productID", "type": "String"}, {"name": "orderTotal", "type": "Number"})
IDENTIFIERS = ("email", "cookieId")
PUSH_URL = "http://127.0.0.1:8090/exchange"
"""Where the push consumer of the fixtures says that it listens, until it registers another URL."""

NOWHERE_URL = "http://receiver.example:8090/exchange"
"""The same where webhooks to this machine are not allowed: nothing arrives."""


class ExchangeApi:
    """The Exchange API of a running gateway, with one authentication key."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}

    async def put_endpoint(
        self,
        name: str,
        *,
        source: bool = False,
        identifiers: Sequence[str] = (),
        push_to: str | None = None,
        pull: bool = False,
    ) -> Any:
        """Register the endpoint of the key, or with a key of another level the one of that name.

        Args:
            name: of the endpoint.
            source: whether it publishes.
            identifiers: names of those that its events may carry.
            push_to: the URL under which it receives.
            pull: whether it receives event files.

        Raises:
            CallFailed: the answer is not a success; also for the other calls.
        """
        destination: dict[str, Any] = {"enabled": False}
        if push_to is not None:
            destination = {"enabled": True, "destinationType": "push", "url": push_to}
        elif pull:
            destination = {"enabled": True, "destinationType": "pull"}
        names = [{"name": each} for each in identifiers]
        body = {
            "name": name,
            "providerName": PROVIDER,
            "endpointTypes": {"event": {"source": {"enabled": source}, "destination": destination}},
            "marketingDatabasesDefinition": {"marketingDatabases": [{"name": "people", "identifiers": names}]},
        }
        return await self._call("PUT", "/v1/endpoint", body)

    async def register(self, code: str, *, kind: str = "PUBLISH", attributes: Sequence[Any] = ATTRIBUTES) -> Any:
        """Register an event type for the endpoint of the key, in the place of another of that code."""
        body = {"code": code, "name": code, "registrationType": kind, "attributes": list(attributes)}
        try:
            return await self._call("POST", "/v1/eventtype", body)
        except CallFailed as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        await self._text("DELETE", f"/v1/eventtype/{code}")
        return await self._call("POST", "/v1/eventtype", body)

    async def publish(self, body: Any) -> Any:
        """Publish events in any of the document's three forms."""
        return await self._call("POST", "/v1/event", body)

    async def files(self) -> list[str]:
        """Names of the first event files that wait for the endpoint of the key."""
        names: list[str] = await self._call("GET", "/v1/eventfiles")
        return names

    async def file(self, name: str) -> str:
        """What is in an event file: one JSON object a line."""
        return await self._text("GET", f"/v1/eventfiles/{name}")

    async def delete_file(self, name: str) -> None:
        """Take an event file off the list."""
        await self._text("DELETE", f"/v1/eventfiles/{name}")

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        return json.loads(await self._text(method, path, body))

    async def _text(self, method: str, path: str, body: Any = None) -> str:
        url = f"{self._url}{path}"
        async with self._session.request(method, url, json=body, headers=self._headers) as response:
            text = await response.text()
            if not response.ok:
                raise CallFailed(f"{method} {url}", response.status, text)
            return text


async def exchange_endpoints(api: OwnApi, session: aiohttp.ClientSession) -> dict[str, dict[str, Any]]:
    """A publisher, a push consumer, a pull consumer and the account itself; each gets a new key each time."""
    account = await exchange_client(api, "ACCOUNT", roles=[], level="account")
    publisher = await exchange_client(api, "PUB", roles=["producer"])
    calls = ExchangeApi(session, api.url, publisher["key"])
    await calls.put_endpoint(publisher["name"], source=True, identifiers=IDENTIFIERS)
    await calls.register(EVENT_TYPE)
    made = {"ACCOUNT": account, "PUB": publisher | {"event_type": EVENT_TYPE, "identifiers": list(IDENTIFIERS)}}
    for name in ("SUB", "PULL"):
        consumer = await exchange_client(api, name, roles=["subscriber"])
        calls = ExchangeApi(session, api.url, consumer["key"])
        if name == "SUB":
            consumer["url"] = await _push(calls, consumer["name"])
        else:
            await calls.put_endpoint(consumer["name"], pull=True)
        await calls.register(EVENT_TYPE, kind="SUBSCRIBE")
        made[name] = consumer
    return made


async def _push(calls: ExchangeApi, name: str) -> str:
    """Register where the consumer is pushed to; the URL."""
    try:
        await calls.put_endpoint(name, push_to=PUSH_URL)
    except CallFailed as error:
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        await calls.put_endpoint(name, push_to=NOWHERE_URL)
        return NOWHERE_URL
    return PUSH_URL


async def exchange_client(api: OwnApi, name: str, *, roles: Sequence[str], level: str = "endpoint") -> dict[str, Any]:
    """An Exchange client with a new key; found again by every run. Of an endpoint the client's id is the endpoint's."""
    client, client_name = derived("fixture", "exchange", name), f"Exchange {name}"
    await api.client(client, name=client_name, realm="exchange", roles=list(roles), level=level)
    return {"id": client, "name": client_name, "workspace": DEFAULT_WORKSPACE, "key": await api.new_key(client)}
