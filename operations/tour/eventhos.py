"""eventhos in the tour and the fixtures: a client of its API, contracts, and a hire that calls another system."""

from __future__ import annotations

import asyncio
import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from operations.errors import CallFailed
from schemas.model.access import DEFAULT_WORKSPACE
from schemas.model.ids import derived

if TYPE_CHECKING:
    from collections.abc import Sequence

    import aiohttp

    from operations.api.client import OwnApi
    from operations.tour.receiver import Receiver
    from operations.tour.reporter import Narrator

TARGET_URL = "http://127.0.0.1:8090/eventhos"
"""Where the contract of the fixtures posts to; whoever tries it listens there."""

NOWHERE_URL = "http://receiver.example:8090/eventhos"
"""The same where webhooks to this machine are not allowed: nothing arrives."""

EVERYTHING = "OAUTH2_global:*"
"""The permission that stands for all."""

TOUR_SYSTEM, TOUR_ACTION, TOUR_CONTRACT = "tour-system", "tour-open-account", "tour-contract"
TOUR_SENDER, TOUR_EVENT = "tour-sender", "tour hire"
HIRE = {"name": "Morpheush", "job": "Leader", "createdAt": "2020-02-20T11:00:28.107Z"}

_LOOK_EVERY = 0.2


class EventhosApi:
    """The eventhos API of a running gateway, as one client."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def find(self, path: str, name: str, value: str) -> Any | None:
        """The row of a list whose member ``name`` has a value."""
        page = 0
        while True:
            query = {"itemsPerPage": "1000", "pageIndex": str(page)}
            content = await self.get(path, **query)
            for row in content["items"]:
                if row[name] == value:
                    return row
            page += 1
            if page >= content["totalPages"]:
                return None

    async def restore(self, path: str, name: str, value: str, /, **members: Any) -> int:
        """Create what a list has no row of with that value, or give it these members again; its id."""
        found = await self.find(path, name, value)
        if found is None:
            return await self.create(path, **members)
        await self.put(f"{path}/{found['id']}", **members)
        return int(found["id"])

    async def get(self, path: str, **query: str) -> Any:
        """The content at a path."""
        return await call(self._session, "GET", self._url + path, params=query, headers=self._headers)

    async def create(self, path: str, **body: Any) -> int:
        """Create something; its id."""
        (made,) = (await self.post(path, **body)).values()
        return int(made)

    async def post(self, path: str, **body: Any) -> Any:
        """The content of the answer to a body."""
        return await call(self._session, "POST", self._url + path, json=body, headers=self._headers)

    async def put(self, path: str, **body: Any) -> Any:
        """Change what is at a path; the content of the answer."""
        return await call(self._session, "PUT", self._url + path, json=body, headers=self._headers)


async def call(session: aiohttp.ClientSession, method: str, url: str, **options: Any) -> Any:
    """The content of an answer.

    Raises:
        CallFailed: it is not a success.
    """
    async with session.request(method, url, **options) as response:
        if not response.ok:
            raise CallFailed(f"{method} {url}", response.status, await response.text())
        return (await response.json()).get("content")


async def token(session: aiohttp.ClientSession, url: str, client: str, secret: str) -> Any:
    """What ``POST /auth/token`` answers to a client's credentials; ``jwt_token`` is the access token."""
    fields = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    return await call(session, "POST", f"{url}/auth/token", data=fields)


async def eventhos_clients(api: OwnApi, session: aiohttp.ClientSession) -> dict[str, dict[str, Any]]:
    """Two clients with a system each; that of the first has an event with a contract and one without.

    The first client may manage everything, the second nothing. The key of a client is an access token of the eventhos
    API for a day; secrets and keys are new each time.
    """
    made = {
        "C1": await family_client(api, session, "C1", [EVERYTHING]),
        "C2": await family_client(api, session, "C2", []),
    }
    calls = EventhosApi(session, api.url, made["C1"]["key"])
    for system, client in (("S1", "C1"), ("S2", "C2")):
        made[system] = await _system(calls, system, made[client]["id"])
    made["EV"] = await _event(calls, "EV", made["S1"]["id"])
    made["EV2"] = await _event(calls, "EV2", made["S1"]["id"])
    url = TARGET_URL
    try:
        action = await _action(calls, made["S1"]["id"], url)
    except CallFailed as error:
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        url = NOWHERE_URL
        action = await _action(calls, made["S1"]["id"], url)
    made["EV"] |= {"contract": await _contract(calls, made["EV"], action), "action": action, "url": url}
    return made


async def family_client(
    api: OwnApi, session: aiohttp.ClientSession, name: str, permissions: Sequence[str]
) -> dict[str, Any]:
    """A client that our own API makes, with a new secret and token."""
    client = derived("fixture", "eventhos", name)
    await api.client(client, name=f"eventhos {name}", realm="eventhos", roles=[], scopes=list(permissions))
    secret = await api.new_key(client)
    content = await token(session, api.url, client, secret)
    return {
        "id": content["client_id"],
        "workspace": DEFAULT_WORKSPACE,
        "client_id": client,
        "client_secret": secret,
        "key": content["jwt_token"],
    }


async def _system(calls: EventhosApi, name: str, client: int) -> dict[str, Any]:
    identifier = f"fixtures-{name}"
    members = {"identifier": identifier, "name": name, "type": "fixtures", "systemClass": "hybrid", "clientId": client}
    return {"id": await calls.restore("/system", "identifier", identifier, **members), "identifier": identifier}


async def _event(calls: EventhosApi, name: str, system: int) -> dict[str, Any]:
    """By its name: its identifier has a suffix that nobody can foresee."""
    event_name = f"fixtures {name}"
    if await calls.find("/event", "name", event_name) is None:
        await calls.create("/event", system_id=system, identifier="new-bomb", name=event_name, operation="new")
    found = await calls.find("/event", "name", event_name)
    return {"id": found["id"], "identifier": found["identifier"], "system": system}  # type: ignore[index]  # just made


async def _action(calls: EventhosApi, system: int, url: str) -> int:
    members = {"name": "fixtures", "operation": "process", "url": url, "method": "post"}
    identifier = "fixtures-action"
    return await calls.restore("/action", "identifier", identifier, identifier=identifier, system_id=system, **members)


async def _contract(calls: EventhosApi, event: dict[str, Any], action: int) -> int:
    members = {"eventId": event["id"], "actionId": action, "name": "fixtures", "order": 1, "active": True}
    identifier = f"fixtures-contract-{event['id']}"
    return await calls.restore("/contract", "identifier", identifier, identifier=identifier, **members)


async def play(
    session: aiohttp.ClientSession, api: OwnApi, receiver: Receiver, narrator: Narrator, longest_wait: float
) -> None:
    """Set the contract up, send an event, and check the call and its log; ``longest_wait`` in seconds, for each."""
    narrator.step("A manager connects two systems, over the eventhos API")
    manager = await family_client(api, session, "TOUR", [EVERYTHING])
    calls = EventhosApi(session, api.url, manager["key"])
    number, access_key = await _sender(session, calls, api.url)
    narrator.show("client", f"{TOUR_SENDER}, access token {access_key[:24]}…")
    event = await _contracted_event(calls, number, receiver)
    narrator.show("event", event)
    narrator.show("contract", f"PUT {receiver.accounts_url}/${{.body.id}} with body name=${{.body.name}}")

    narrator.step("The first system sends an event, the contract calls the second")
    account = str(uuid.uuid4())
    query, headers = {"event-identifier": event}, {"access-key": access_key}
    body = {"id": account, **HIRE}
    async with session.post(f"{api.url}/event/send", params=query, headers=headers, json=body) as answer:
        said = await answer.json()
    narrator.check(f"POST /event/send, {said}", accepted=said == {"code": 200000, "message": "success"})
    made = await receiver.call(account, longest_wait)
    narrator.check(
        f"contract call {receiver.accounts_url}/{account}",
        arrived=made is not None,
        templates_filled_in=made is not None
        and (made.method, made.query) == ("PUT", {"since": HIRE["createdAt"]})
        and (made.headers.get("x-job"), made.body) == (HIRE["job"], {"name": HIRE["name"], "job": HIRE["job"]}),
    )
    received = await _received(calls, event, account, longest_wait)
    states = [each["state"] for each in received["executedEventContracts"]]
    narrator.check(
        f"GET /event/received/{received['receivedEvent']['id']}",
        shows_the_event=received["receivedEvent"]["received_request"]["body"] == body,
        contract_processed=states == ["processed"],
    )


async def _sender(session: aiohttp.ClientSession, calls: EventhosApi, url: str) -> tuple[int, str]:
    """The number of the client that sends, and an access token of it."""
    found = await calls.find("/auth/client", "identifier", TOUR_SENDER)
    if found is None:
        made = await calls.post("/auth/client", identifier=TOUR_SENDER, name=TOUR_SENDER, roles=[])
        number, client, secret = made["id"], made["clientId"], made["clientSecret"]
    else:
        number, client = found["id"], found["client_id"]
        secret = (await calls.put(f"/auth/client/{number}/secret"))["clientSecret"]
    return number, (await token(session, url, client, secret))["jwt_token"]


async def _contracted_event(calls: EventhosApi, client: int, receiver: Receiver) -> str:
    """The identifier of an event of a system of the client; its contract calls this tour's receiver."""
    system = await _made(calls, "/system", TOUR_SYSTEM, name="tour", type="tour", systemClass="hybrid", clientId=client)
    if await calls.find("/event", "name", TOUR_EVENT) is None:
        await calls.create("/event", system_id=system, identifier="new-hire", name=TOUR_EVENT, operation="new")
    event = await calls.find("/event", "name", TOUR_EVENT) or {}
    request = {
        "url": f"{receiver.accounts_url}/${{.body.id}}",
        "method": "put",
        "headers": [{"key": "X-Job", "value": "${.body.job}"}],
        "queryUrlParams": [{"key": "since", "value": "${.body.createdAt}"}],
        "body": [{"key": "name", "value": "${.body.name}"}, {"key": "job", "value": "${.body.job}"}],
    }
    action = await _made(calls, "/action", TOUR_ACTION, system_id=system, name="tour", operation="process", **request)
    # One of an earlier tour calls the port that this one's receiver had.
    await calls.put(f"/action/{action}", **request)
    await _made(calls, "/contract", TOUR_CONTRACT, eventId=event["id"], actionId=action, name="tour", order=1)
    identifier: str = event["identifier"]
    return identifier


async def _made(calls: EventhosApi, path: str, identifier: str, **members: Any) -> int:
    """The id of what has that identifier, made when there is none."""
    found = await calls.find(path, "identifier", identifier)
    return found["id"] if found else await calls.create(path, identifier=identifier, **members)


async def _received(calls: EventhosApi, event: str, account: str, longest_wait: float) -> dict[str, Any]:
    """What the log says of the event once a contract has been run for it, or at last."""
    deadline = time.monotonic() + longest_wait
    while True:
        page = await calls.get("/event/received", eventIdentifierSearch=event, order="desc", itemsPerPage="5")
        for row in page["items"]:
            if row["received_request"]["body"]["id"] == account:
                received: dict[str, Any] = await calls.get(f"/event/received/{row['id']}")
                if any(each["state"] for each in received["executedEventContracts"]) or time.monotonic() > deadline:
                    return received
        if time.monotonic() > deadline:
            return {"receivedEvent": {"id": None, "received_request": {"body": None}}, "executedEventContracts": []}
        await asyncio.sleep(_LOOK_EVERY)
