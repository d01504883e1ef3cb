"""The tour's eventhos part: one system tells of a hire, and a contract opens an account for it in another system."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

from operations.eventhos import EVERYTHING, EventhosApi, family_client, token

if TYPE_CHECKING:
    import aiohttp

    from operations.api import OwnApi
    from operations.narrator import Narrator
    from operations.receiver import Receiver

SYSTEM, ACTION, CONTRACT = "tour-system", "tour-open-account", "tour-contract"
SENDER, EVENT = "tour-sender", "tour hire"
HIRE = {"name": "Morpheush", "job": "Leader", "createdAt": "2020-02-20T11:00:28.107Z"}

_LOOK_EVERY = 0.2


async def play(
    session: aiohttp.ClientSession, api: OwnApi, receiver: Receiver, narrator: Narrator, patience: float
) -> None:
    """Set the contract up, send an event, and check the call and its log; ``patience`` in seconds for each arrival."""
    narrator.step("A manager connects two systems, over the eventhos API")
    manager = await family_client(api, session, "TOUR", [EVERYTHING])
    calls = EventhosApi(session, api.url, manager["key"])
    number, access_key = await _sender(session, calls, api.url)
    narrator.show("client", f"{SENDER}, access token {access_key[:24]}…")
    event = await _contract(calls, number, receiver)
    narrator.show("event", event)
    narrator.show("contract", f"PUT {receiver.accounts_url}/${{.body.id}} with body name=${{.body.name}}")

    narrator.step("The first system sends an event, the contract calls the second")
    account = str(uuid.uuid4())
    query, headers = {"event-identifier": event}, {"access-key": access_key}
    body = {"id": account, **HIRE}
    async with session.post(f"{api.url}/event/send", params=query, headers=headers, json=body) as answer:
        said = await answer.json()
    narrator.check(f"POST /event/send, {said}", accepted=said == {"code": 200000, "message": "success"})
    made = await receiver.call(account, patience)
    narrator.check(
        f"contract call {receiver.accounts_url}/{account}",
        arrived=made is not None,
        templates_filled_in=made is not None
        and (made.method, made.query) == ("PUT", {"since": HIRE["createdAt"]})
        and (made.headers.get("x-job"), made.body) == (HIRE["job"], {"name": HIRE["name"], "job": HIRE["job"]}),
    )
    received = await _received(calls, event, account, patience)
    states = [each["state"] for each in received["executedEventContracts"]]
    narrator.check(
        f"GET /event/received/{received['receivedEvent']['id']}",
        shows_the_event=received["receivedEvent"]["received_request"]["body"] == body,
        contract_processed=states == ["processed"],
    )


async def _sender(session: aiohttp.ClientSession, calls: EventhosApi, url: str) -> tuple[int, str]:
    """The number of the client that sends, and an access token of it."""
    found = await calls.find("/auth/client", "identifier", SENDER)
    if found is None:
        made = await calls.post("/auth/client", identifier=SENDER, name=SENDER, roles=[])
        number, client, secret = made["id"], made["clientId"], made["clientSecret"]
    else:
        number, client = found["id"], found["client_id"]
        secret = (await calls.put(f"/auth/client/{number}/secret"))["clientSecret"]
    return number, (await token(session, url, client, secret))["jwt_token"]


async def _contract(calls: EventhosApi, client: int, receiver: Receiver) -> str:
    """The identifier of an event of a system of the client; its contract calls this tour's receiver."""
    system = await _made(calls, "/system", SYSTEM, name="tour", type="tour", systemClass="hybrid", clientId=client)
    if await calls.find("/event", "name", EVENT) is None:
        await calls.create("/event", system_id=system, identifier="new-hire", name=EVENT, operation="new")
    event = await calls.find("/event", "name", EVENT) or {}
    request = {
        "url": f"{receiver.accounts_url}/${{.body.id}}",
        "method": "put",
        "headers": [{"key": "X-Job", "value": "${.body.job}"}],
        "queryUrlParams": [{"key": "since", "value": "${.body.createdAt}"}],
        "body": [{"key": "name", "value": "${.body.name}"}, {"key": "job", "value": "${.body.job}"}],
    }
    action = await _made(calls, "/action", ACTION, system_id=system, name="tour", operation="process", **request)
    # One of an earlier tour calls the port that this one's receiver had.
    await calls.put(f"/action/{action}", **request)
    await _made(calls, "/contract", CONTRACT, eventId=event["id"], actionId=action, name="tour", order=1)
    identifier: str = event["identifier"]
    return identifier


async def _made(calls: EventhosApi, path: str, identifier: str, **members: Any) -> int:
    """The id of what has that identifier, made when there is none."""
    found = await calls.find(path, "identifier", identifier)
    return found["id"] if found else await calls.create(path, identifier=identifier, **members)


async def _received(calls: EventhosApi, event: str, account: str, patience: float) -> dict[str, Any]:
    """What the log says of the event once a contract has been run for it, or at last."""
    deadline = time.monotonic() + patience
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
