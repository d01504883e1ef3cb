"""Envoy in the tour and the fixtures: a client of its API, organisations with users, and their shipments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from operations.errors import CallFailed

if TYPE_CHECKING:
    import aiohttp

    from operations.api.client import OwnApi
    from operations.tour.reporter import Narrator

NAMESPACE, CODE = "shipments", "updated"
ATTRIBUTES = ({"name": "id", "type": "String"}, {"name": "status", "type": "String"})
SCOPES = ("shipments:read", "events:manage")

_ORGANISATIONS = {
    # The ids that the document prints, so that its examples can be tried as they are.
    ("O", "U"): ("org_26ZZVNs2QURl4yY6owPARekUbMa", "usr_26ZZVRrmnPTXTcZIuzXLZdnigLW"),
    ("O2", "U2"): ("org_2FixturesOfAnotherCompany00", "usr_2FixturesOfAnotherCompany00"),
}

TOUR_ORGANISATION, TOUR_USER = "org_HeadraceTour", "usr_HeadraceTour"
TOUR_SCOPES = (f"{NAMESPACE}:read", f"{NAMESPACE}:read:own")


class EnvoyApi:
    """The Envoy API of a running gateway, with one access token."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def provision(self) -> Any:
        """Have the organisation's events streamed; what was answered.

        Raises:
            CallFailed: the answer is not a success; also for the other call.
        """
        return await self._call("/events/provision")

    async def connection_token(self) -> str:
        """What the realtime server takes."""
        token: str = (await self._call("/events/connection_token"))["token"]
        return token

    async def _call(self, path: str) -> Any:
        url = self._url + path
        async with self._session.get(url, headers=self._headers) as response:
            if not response.ok:
                raise CallFailed(f"GET {url}", response.status, await response.text())
            return await response.json()


async def envoy_organisations(api: OwnApi, session: aiohttp.ClientSession) -> dict[str, dict[str, Any]]:
    """Two provisioned organisations with a user each, who may see their shipments.

    The key of a user is an access token of the Envoy API, that of an organisation is an operator's: it publishes events
    and sets up webhooks through our own. Both are new each time.
    """
    made: dict[str, dict[str, Any]] = {}
    for (name, user_name), (organisation, user) in _ORGANISATIONS.items():
        await api.workspace(organisation)
        await api.client(user, workspace=organisation, name=user, realm="envoy", roles=[], scopes=SCOPES)
        operator = f"{organisation}-operator"
        await api.client(operator, workspace=organisation, name="operator", roles=["operator"])
        event_type = {"namespace": NAMESPACE, "code": CODE, "attributes": ATTRIBUTES}
        await api.post("/event-types", event_type, workspace=organisation)
        token = await api.new_key(user, workspace=organisation)
        await EnvoyApi(session, api.url, token).provision()
        made[name] = {
            "id": organisation,
            "workspace": organisation,
            "event_type": f"{NAMESPACE}/{CODE}",
            "key": await api.new_key(operator, workspace=organisation),
        }
        made[user_name] = {"id": user, "workspace": organisation, "scopes": list(SCOPES), "key": token}
    return made


async def play(
    session: aiohttp.ClientSession, api: OwnApi, realtime_url: str, narrator: Narrator, longest_wait: float
) -> None:
    """Provision, connect, publish and check; ``longest_wait`` in seconds for the arrivals."""
    from operations.tour.realtime_listener import RealtimeListener  # noqa: PLC0415  # of the extra ``tour``: fixtures do without

    narrator.step("A user of an organisation connects, over the Envoy API")
    await api.workspace(TOUR_ORGANISATION)
    await api.client(
        TOUR_USER, workspace=TOUR_ORGANISATION, name=TOUR_USER, realm="envoy", roles=[], scopes=TOUR_SCOPES
    )
    event_type = {"namespace": NAMESPACE, "code": CODE, "attributes": ATTRIBUTES}
    await api.post("/event-types", event_type, workspace=TOUR_ORGANISATION)
    envoy = EnvoyApi(session, api.url, await api.new_key(TOUR_USER, workspace=TOUR_ORGANISATION))
    provisioned = await envoy.provision()
    narrator.check(f"GET /events/provision, {TOUR_ORGANISATION}", provisioned=provisioned["provisioned"] is True)
    token = await envoy.connection_token()
    narrator.show("token", f"{token[:24]}… for {TOUR_USER}, scopes {' '.join(TOUR_SCOPES)}")
    async with RealtimeListener(realtime_url, token) as listener:
        narrator.step(
            "Centrifugo's SDK, subscribed by the server, receives the organisation's shipments and the user's"
        )
        channel = f"{NAMESPACE}:{TOUR_ORGANISATION}"
        wanted = {
            await _publish(api, "shp_1", None): ("shp_1", channel),
            await _publish(api, "shp_2", TOUR_USER): ("shp_2", f"{channel}#{TOUR_USER}"),
        }
        arrivals = await listener.arrivals(set(wanted), longest_wait)
        for event, (shipment, its_channel) in wanted.items():
            arrival = arrivals.get(event, {})
            narrator.check(
                f"{shipment} on {its_channel}",
                arrived=event in arrivals,
                on_its_channel=listener.channels.get(event) == its_channel,
                data_as_sent=arrival.get("data") == _data(shipment),
            )


async def _publish(api: OwnApi, shipment: str, user: str | None) -> str:
    """Publish that a shipment was delivered, to the organisation or to a user; the event's id."""
    subject = {} if user is None else {"subject": user}
    return await api.publish(_data(shipment), workspace=TOUR_ORGANISATION, type=f"{NAMESPACE}/{CODE}", **subject)


def _data(shipment: str) -> dict[str, str]:
    return {"id": shipment, "status": "delivered"}
