"""The tour's Envoy part: an organisation is provisioned, and its user is told of shipments on Centrifugo's SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.envoy import ATTRIBUTES, CODE, NAMESPACE, EnvoyApi
from operations.realtime_listener import RealtimeListener

if TYPE_CHECKING:
    import aiohttp

    from operations.api import OwnApi
    from operations.narrator import Narrator

ORGANISATION, USER = "org_HeadraceTour", "usr_HeadraceTour"
SCOPES = (f"{NAMESPACE}:read", f"{NAMESPACE}:read:own")


async def play(
    session: aiohttp.ClientSession, api: OwnApi, realtime_url: str, narrator: Narrator, patience: float
) -> None:
    """Provision, connect, publish and check; ``patience`` in seconds for the arrivals."""
    narrator.step("A user of an organisation connects, over the Envoy API")
    await api.workspace(ORGANISATION)
    await api.client(USER, workspace=ORGANISATION, name=USER, realm="envoy", roles=[], scopes=SCOPES)
    event_type = {"namespace": NAMESPACE, "code": CODE, "attributes": ATTRIBUTES}
    await api.post("/event-types", event_type, workspace=ORGANISATION)
    envoy = EnvoyApi(session, api.url, await api.new_key(USER, workspace=ORGANISATION))
    provisioned = await envoy.provision()
    narrator.check(f"GET /events/provision, {ORGANISATION}", provisioned=provisioned["provisioned"] is True)
    token = await envoy.connection_token()
    narrator.show("token", f"{token[:24]}… for {USER}, scopes {' '.join(SCOPES)}")
    async with RealtimeListener(realtime_url, token) as listener:
        narrator.step(
            "Centrifugo's SDK, subscribed by the server, receives the organisation's shipments and the user's"
        )
        channel = f"{NAMESPACE}:{ORGANISATION}"
        wanted = {
            await _publish(api, "shp_1", None): ("shp_1", channel),
            await _publish(api, "shp_2", USER): ("shp_2", f"{channel}#{USER}"),
        }
        arrivals = await listener.arrivals(set(wanted), patience)
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
    return await api.publish(_data(shipment), workspace=ORGANISATION, type=f"{NAMESPACE}/{CODE}", **subject)


def _data(shipment: str) -> dict[str, str]:
    return {"id": shipment, "status": "delivered"}
