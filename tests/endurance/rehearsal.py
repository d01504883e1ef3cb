"""An installation under load with all its receivers: what ``chaos`` and ``soak`` have in common."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import aiohttp

from operations.api.client import OwnApi
from operations.tour import balance
from tests.endurance import replays
from tests.endurance.checks import Evidence, read_topics
from tests.endurance.faults import Stage
from tests.endurance.load import SENDERS, Load, Sender
from tests.endurance.places import HOOKS, LIMITED, Files, Hooks, Ledger, Listener
from tests.endurance.site import ADMIN_KEY, Site

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import AsyncIterator
    from pathlib import Path

_SETUP = aiohttp.ClientTimeout(total=120)
"""A call before the load may take long where several installations share a machine."""

_RETRIES = [5.0] * 10 + [10.0] * 9
_TIMEOUT = 4.0
_ABOVE_LOAD = 8
"""The rate limit is so many times the requests of the load: some are batches, and what faults delay is caught up on."""
_LOOK_EVERY = 0.25
_BALANCED_WITHIN = 60.0
"""Seconds until the ledger has everything that was delivered."""
_RUNS_WITHIN = 120.0
"""Seconds until the last replay has ended."""
_SERVER_ERRORS = range(500, 600)
_UNAVAILABLE = 503
_DOCUMENTED = "eventhos 500"
"""What that family's document answers instead: 500 with code 500000."""


class Rehearsal:
    """Sends, receives, and knows what is still missing where.

    Attributes:
        stage: for faults.
        limit: of the endpoint that has one.
        troubles: what could not be done.
    """

    def __init__(
        self, stage: Stage, load: Load, listener: Listener, topics: list[str], limit: dict[str, float]
    ) -> None:
        self.stage = stage
        self.limit = limit
        self.load = load
        self.troubles: list[str] = []
        self._listener = listener
        self._topics = topics
        self._files = Files(stage.site.disks["files"])
        self._ledger = Ledger(stage.site.ledger)

    @property
    def places(self) -> dict[str, Counter[str]]:
        """Name of each place to what it has received."""
        hooks = {f"webhook {name}": self.stage.hooks.received[name] for name in HOOKS}
        others = {"socket": self._listener.received, "files": self._files.received, "ledger": self._ledger.received}
        return hooks | others

    def missing(self) -> dict[str, int]:
        """Name of each place that must get everything, to how many accepted events it has not."""
        self._files.look()
        with contextlib.suppress(Exception):
            # Locked, or there is no room for what SQLite needs to read it.
            self._ledger.look()
        wanted = self.load.accepted.keys()
        counts = {name: len(wanted - place.keys()) for name, place in self.places.items() if name != "webhook gone"}
        return {name: count for name, count in counts.items() if count}

    def oldest(self) -> float:
        """Seconds since the oldest event was accepted that is not everywhere yet; 0 if there is none."""
        places = [place for name, place in self.places.items() if name != "webhook gone"]
        waiting = [since for token, since in self.load.accepted.items() if not all(token in place for place in places)]
        return time.monotonic() - min(waiting) if waiting else 0.0

    async def settled(self, limit: float) -> float | None:
        """Wait until everything that was accepted until now is everywhere; the seconds it took, None past the limit."""
        begun = time.monotonic()
        wanted = set(self.load.accepted)
        while time.monotonic() - begun < limit:
            await asyncio.sleep(_LOOK_EVERY)
            self.missing()
            if all(wanted <= place.keys() for name, place in self.places.items() if name != "webhook gone"):
                return time.monotonic() - begun
        self.troubles.append(f"not settled within {limit:.0f} s; missing: {self.missing()}")
        return None

    async def evidence(self) -> Evidence:
        """Everything that was seen, and what is in Kafka; after the load has ended."""
        found = Evidence(
            accepted=set(self.load.accepted),
            refused=self.load.refused,
            places=self.places,
            deliveries=self.stage.hooks.deliveries,
            after_gone=self.stage.hooks.after_gone,
            limited_at=self.stage.hooks.limited_at,
            limit=self.limit,
            unrecovered=self._listener.unrecovered,
            server_errors={name: times for name, times in self.load.answers.items() if _is_server_error(name)},
            troubles=self.troubles,
        )
        left = await replays.ended(self.stage.api, _RUNS_WITHIN)
        found.troubles += [f"a run does not end: {each}" for each in left]
        is_complete, rows, faults = await balance.settled(self.stage.api, _BALANCED_WITHIN)
        found.unbalanced = [] if is_complete else ["the ledger does not have everything"]
        found.unbalanced += [str(each) for each in (*rows, *faults)]
        paused = self.stage.endpoints["poor"]
        await asyncio.to_thread(read_topics, self.stage.site.bootstrap, self._topics, paused, found)
        return found


@contextlib.asynccontextmanager
async def rehearsal(home: Path, *, brokers: int, rate: float) -> AsyncIterator[Rehearsal]:
    """An installation with clients, endpoints and subscriptions of every kind; sends nothing yet."""
    site = Site(home, brokers)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(site.running())
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=_SETUP))
        hooks = await stack.enter_async_context(Hooks())
        api = OwnApi(session, site.url, ADMIN_KEY)
        senders = [sender(api, session) for sender in SENDERS]
        for sender in senders:
            await sender.prepare()
        limit = {"per_second": _ABOVE_LOAD * rate, "burst": 10}
        endpoints, channel = await _subscribe(api, hooks, senders, limit)
        token = (await api.post("/realtime/connection-token", {"channels": [channel]}))["token"]
        listener = await stack.enter_async_context(Listener(site.realtime_url, token))
        types = [await api.get(f"/event-types/{each.namespace}/{each.code}") for each in senders]
        stage = Stage(site=site, hooks=hooks, api=api, endpoints=endpoints)
        yield Rehearsal(stage, Load(senders, rate), listener, [each["topic"] for each in types], limit)


async def _subscribe(
    api: OwnApi, hooks: Hooks, senders: list[Sender], limit: dict[str, float]
) -> tuple[dict[str, str], str]:
    """Subscribe endpoints of all kinds to all events; ids of the webhook endpoints, and the realtime channel."""
    types = [{"namespace": each.namespace, "code": each.code} for each in senders]
    everything = (await api.post("/filters", {"name": "endurance", "types": types}))["id"]
    bodies = [{"name": name, "url": hooks.url(name), "retry_schedule": _RETRIES, "timeout": _TIMEOUT} for name in HOOKS]
    next(body for body in bodies if body["name"] == LIMITED)["rate_limit"] = limit
    bodies += [{"name": "socket", "type": "WEB_SOCKET"}, {"name": "files", "type": "FILE"}]
    made = {body["name"]: (await api.post("/endpoints", body))["id"] for body in bodies}
    for endpoint in made.values():
        await api.post("/subscriptions", {"filter": everything, "endpoint": endpoint})
    return {name: made[name] for name in HOOKS}, f"endpoint:{made['socket']}"


def _is_server_error(answer: str) -> bool:
    status = answer.rpartition(" ")[2]
    return answer != _DOCUMENTED and status.isdigit() and int(status) in _SERVER_ERRORS and int(status) != _UNAVAILABLE
