"""The tour's second family: product views published in the Exchange API, pulled as event files by another endpoint."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Self

from operations.exchange import ATTRIBUTES, IDENTIFIERS, ExchangeApi, exchange_client

if TYPE_CHECKING:
    from types import TracebackType

    import aiohttp

    from operations.api import OwnApi
    from operations.narrator import Narrator

CODE = "tourProductView"
NAMESPACE = "exchange"
TOTALS = ("125.50", "99.00")
"""Sent as text, as this API asks for; kept to the last digit, and a number for who reads the topic."""

_LOOK_EVERY = 0.2


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
        await self._publisher.register(CODE)
        self._narrator.show("publisher", f"{publisher['name']}, event type {CODE}")
        consumer = await exchange_client(self._api, "TOUR-PULL", roles=["subscriber"])
        self._consumer = ExchangeApi(self._session, self._api.url, consumer["key"])
        await self._consumer.put_endpoint(consumer["name"], pull=True)
        self._narrator.show("consumer", f"{consumer['name']}, which pulls event files")
        types = [{"namespace": NAMESPACE, "code": CODE}]
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
                "code": CODE,
                "timestamp": "2015-02-28T20:16:12Z",
                "attributes": [
                    {"name": "productID", "value": f"product-{number}", "type": "String"},
                    {"name": "orderTotal", "value": total, "type": "Number"},
                ],
            }
            for number, total in enumerate(TOTALS)
        ]
        identifiers = [{"name": "cookieId", "value": self._visit}]
        answer = await self._publisher.publish({"channel": "Web", "identifiers": identifiers, "events": events})
        self._narrator.check(f"{len(events)} events in one call", accepted=answer == {"accepted": len(events)})
        event_type = await self._api.get(f"/event-types/{NAMESPACE}/{CODE}")
        topic: str = event_type["topic"]
        return topic

    async def check_files(self, timeout: float) -> None:  # noqa: ASYNC109 - a wait that fails says what is missing
        """Wait until the views are in event files, show them, and delete the files as a subscriber does."""
        self._narrator.step("The other endpoint pulls event files")
        deadline = time.monotonic() + timeout
        found: dict[str, list[str]] = {}
        lines: list[dict[str, Any]] = []
        while len(lines) < len(TOTALS) and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_EVERY)
            for name in await self._consumer.files():
                if name not in found:
                    found[name] = (await self._consumer.file(name)).splitlines()
            lines = [line for texts in found.values() for line in map(json.loads, texts) if self._is_mine(line)]
        self._narrator.check(
            f"{len(lines)} lines in {len(found)} file(s)",
            all_arrived=len(lines) == len(TOTALS),
            totals_as_sent=sorted(map(_total, lines)) == sorted(TOTALS),
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
            there=len(mine) == len(TOTALS),
            totals_as_numbers=totals == sorted(map(float, TOTALS)),
            texts_kept=set(texts) == set(TOTALS),
        )
        self._narrator.show("record", mine[0])

    def _is_mine(self, event: dict[str, Any]) -> bool:
        return any(identifier["value"] == self._visit for identifier in event["identifiers"])


def _total(line: dict[str, Any]) -> str:
    (event,) = line["events"]
    total: str = {attribute["name"]: attribute["value"] for attribute in event["attributes"]}[ATTRIBUTES[1]["name"]]
    return total
