"""Exchange in the tour and the fixtures: a client of its API, the endpoints of the fixtures, and product views."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from backbone.kafka.settings import KafkaSettings
from operations.errors import CallFailed
from schemas.model.access import DEFAULT_WORKSPACE
from schemas.model.ids import derived

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    import aiohttp

    from operations.api.client import OwnApi
    from operations.tour.reporter import Narrator

PROVIDER = "Headrace fixtures"
EVENT_TYPE = "ibmproductView"
ATTRIBUTES = ({"name": "productID", "type": "String"}, {"name": "orderTotal", "type": "Number"})
IDENTIFIERS = ("email", "cookieId")
PUSH_URL = "http://127.0.0.1:8090/exchange"
"""Where the push consumer of the fixtures says that it listens, until it registers another URL."""

NOWHERE_URL = "http://receiver.example:8090/exchange"
"""The same where webhooks to this machine are not allowed: nothing arrives."""

TOUR_CODE = "tourProductView"
NAMESPACE = "exchange"
TOUR_TOTALS = ("125.50", "99.00")
"""Sent as text, as this API asks for; kept to the last digit, and a number for who reads the topic."""

_LOOK_EVERY = 0.2


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


async def play(
    session: aiohttp.ClientSession,
    api: OwnApi,
    registry: Mapping[str, str],
    narrator: Narrator,
    longest_wait: float,
) -> None:
    """Publish in the Exchange API, pull the event file, and read the topic; ``longest_wait`` in seconds for each."""
    from operations.tour import avro_reader  # noqa: PLC0415  # of the extra ``tour``: fixtures do without

    async with Viewings(session, api, narrator) as viewings:
        topic = await viewings.publish()
        await viewings.check_files(longest_wait)
    narrator.step("The other team reads this topic too, its attributes typed")
    kafka = KafkaSettings().client_config()
    latest = await asyncio.to_thread(avro_reader.latest, kafka, registry, topic, timeout=longest_wait)
    viewings.check_record(latest)


class Viewings:
    """A publisher and an endpoint that pulls what it publishes, subscribed while the context is open."""

    def __init__(self, session: aiohttp.ClientSession, api: OwnApi, narrator: Narrator) -> None:
        self._session = session
        self._api = api
        self._narrator = narrator
        self._visit = str(uuid.uuid4())
        """Tells this tour's events from those of an earlier one."""

    async def __aenter__(self) -> Self:
        self._narrator.step("Two Exchange endpoints register, over the Exchange API")
        publisher = await exchange_client(self._api, "TOUR-PUB", roles=["producer"])
        self._publisher = ExchangeApi(self._session, self._api.url, publisher["key"])
        await self._publisher.put_endpoint(publisher["name"], source=True, identifiers=IDENTIFIERS)
        await self._publisher.register(TOUR_CODE)
        self._narrator.show("publisher", f"{publisher['name']}, event type {TOUR_CODE}")
        consumer = await exchange_client(self._api, "TOUR-PULL", roles=["subscriber"])
        self._consumer = ExchangeApi(self._session, self._api.url, consumer["key"])
        await self._consumer.put_endpoint(consumer["name"], pull=True)
        self._narrator.show("consumer", f"{consumer['name']}, which pulls event files")
        types = [{"namespace": NAMESPACE, "code": TOUR_CODE}]
        event_filter = await self._api.post("/filters", {"name": "tour", "types": types, "sources": [publisher["id"]]})
        self._filter = event_filter["id"]
        await self._api.post("/subscriptions", {"filter": self._filter, "endpoint": consumer["id"]})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Its subscription goes with the filter.
        await self._api.delete(f"/filters/{self._filter}")

    async def publish(self) -> str:
        """Publish the views in one call; returns the topic that they are on."""
        self._narrator.step("A publisher posts product views, over the Exchange API")
        events = [
            {
                "code": TOUR_CODE,
                "timestamp": "2015-02-28T20:16:12Z",
                "attributes": [
                    {"name": "productID", "value": f"product-{number}", "type": "String"},
                    {"name": "orderTotal", "value": total, "type": "Number"},
                ],
            }
            for number, total in enumerate(TOUR_TOTALS)
        ]
        identifiers = [{"name": "cookieId", "value": self._visit}]
        answer = await self._publisher.publish({"channel": "Web", "identifiers": identifiers, "events": events})
        self._narrator.check(f"{len(events)} events in one call", accepted=answer == {"accepted": len(events)})
        event_type = await self._api.get(f"/event-types/{NAMESPACE}/{TOUR_CODE}")
        topic: str = event_type["topic"]
        return topic

    async def check_files(self, timeout: float) -> None:  # noqa: ASYNC109 - a wait that fails says what is missing
        """Wait until the views are in event files, show them, and delete the files as a subscriber does."""
        self._narrator.step("The other endpoint pulls event files")
        deadline = time.monotonic() + timeout
        found: dict[str, list[str]] = {}
        lines: list[dict[str, Any]] = []
        while len(lines) < len(TOUR_TOTALS) and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_EVERY)
            for name in await self._consumer.files():
                if name not in found:
                    found[name] = (await self._consumer.file(name)).splitlines()
            lines = [line for texts in found.values() for line in map(json.loads, texts) if self._is_mine(line)]
        self._narrator.check(
            f"{len(lines)} lines in {len(found)} file(s)",
            all_arrived=len(lines) == len(TOUR_TOTALS),
            totals_as_sent=sorted(map(_total, lines)) == sorted(TOUR_TOTALS),
        )
        for name, texts in found.items():
            self._narrator.show("file", name)
            for text in texts:
                self._narrator.show("line", text)
            await self._consumer.delete_file(name)
        self._narrator.check(
            "the files, once they are deleted", gone=not set(found) & set(await self._consumer.files())
        )

    def check_record(self, records: list[dict[str, Any]]) -> None:
        """Check the Avro records: totals as numbers, and the texts beside them where they would print otherwise."""
        mine = [record for record in records if self._is_mine(record)]
        totals = sorted(record["data"]["orderTotal"] for record in mine)
        texts = [(record["lexical"] or {}).get("data.orderTotal") for record in mine]
        self._narrator.check(
            f"{len(mine)} records",
            there=len(mine) == len(TOUR_TOTALS),
            totals_as_numbers=totals == sorted(map(float, TOUR_TOTALS)),
            texts_kept=set(texts) == set(TOUR_TOTALS),
        )
        self._narrator.show("record", mine[0])

    def _is_mine(self, event: dict[str, Any]) -> bool:
        return any(identifier["value"] == self._visit for identifier in event["identifiers"])


def _total(line: dict[str, Any]) -> str:
    (event,) = line["events"]
    total: str = {attribute["name"]: attribute["value"] for attribute in event["attributes"]}[ATTRIBUTES[1]["name"]]
    return total
