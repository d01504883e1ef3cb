"""Each plane with a user of its own that has the rights of the table, and no other.

What such a run leaves behind is looked through for every secret that it used.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
from aiohttp import web

from operations.broker.guard import Guard
from operations.broker.jar_broker import JarBroker
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.broker.listeners import login_options
from operations.broker.selection import running
from operations.kafka_users.access import Users
from operations.kafka_users.plane_acls import PLANE_ACLS
from operations.supervisor.ports import free_port
from tests.support.credentials import crmls_token
from tests.support.eventhos_calls import eventhos_on
from tests.support.eventhos_log import EventLog
from tests.support.running_gateway import ADMIN_KEY, SECRET_KEYS, TOKEN_SECRET, RunningGateway, running_gateway
from tests.support.running_plane import running_plane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.component.connectors.receiver import Mailbox, Receiver

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("jars")]

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
PLANES = {
    "router": ("router",),
    "ledger": ("ledger",),
    "replayer": ("replayer",),
    "monitor": ("monitor",),
    "webhook": ("connector", "webhook"),
    "websocket": ("connector", "websocket"),
    "file": ("connector", "file"),
}


class Limited(NamedTuple):
    gateway: RunningGateway
    log: Path
    ports: dict[str, int]
    """Where each plane but ingest says whether it is ready."""
    secrets: list[str]

    def secret(self) -> str:
        """One more secret of the run."""
        self.secrets.append(f"s3cret-{uuid4().hex}")
        return self.secrets[-1]

    def refused(self) -> list[str]:
        """What the broker's log says of refusals to planes."""
        return [line for line in self.log.read_text().splitlines() if "Denied" in line and "User:plane-" in line]


@pytest.fixture(scope="module")
def limited(jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limited]:
    home = tmp_path_factory.mktemp("limited")
    guard = Guard(home / "kafka", sasl_port=free_port())
    parts: dict[str, Any] = {"java": find_java(), "jars": kafka_jars(user_cache(), print)}
    broker = JarBroker(home / "kafka", port=free_port(), guard=guard, **parts)
    with running(broker, home / "broker.log"), contextlib.ExitStack() as stack:
        users = Users(broker.bootstrap_servers, guard.security.broker_options)
        for plane, acls in PLANE_ACLS.items():
            users.make(f"plane-{plane}", f"password-of-{plane}", acls)

        def options(plane: str) -> dict[str, str]:
            return {
                "HEADRACE_KAFKA_OPTIONS": json.dumps(
                    login_options("SCRAM-SHA-256", f"plane-{plane}", f"password-of-{plane}")
                ),
                "HEADRACE_WEBHOOK_ALLOW": "127.0.0.0/8",
            }

        gateway = stack.enter_context(running_gateway(broker.bootstrap_servers, home, **options("ingest")))
        ports = {plane: free_port() for plane in PLANES}
        own = {
            "HEADRACE_TOKEN_SECRET": TOKEN_SECRET,
            "HEADRACE_REALTIME_PORT": str(ports["websocket"]),
            "HEADRACE_PROCESSORS_WEB_PORT": str(ports["router"]),
            "HEADRACE_PROCESSORS_LEDGER_WEB_PORT": str(ports["ledger"]),
            "HEADRACE_PROCESSORS_REPLAYER_WEB_PORT": str(ports["replayer"]),
            "HEADRACE_PROCESSORS_MONITOR_WEB_PORT": str(ports["monitor"]),
            "HEADRACE_FILE_MAX_AGE": "0.3",
        }
        for plane, command in PLANES.items():
            port = {} if plane == "websocket" else {"HEADRACE_CONNECTOR_METRICS_PORT": str(ports[plane])}
            variables = {**own, **port, **options(plane)}
            stack.enter_context(running_plane(broker.bootstrap_servers, home, *command, **variables))
        passwords = [f"password-of-{plane}" for plane in PLANE_ACLS]
        own_secrets = [guard.security.broker_password, guard.security.planes_password, *passwords]
        yield Limited(gateway, home / "broker.log", ports, [ADMIN_KEY, TOKEN_SECRET, SECRET_KEYS, *own_secrets])


@pytest.fixture
def token_server(limited: Limited, receiver: Receiver) -> Mailbox:
    """It gives an access token to whoever asks."""
    mailbox = receiver.mailbox(f"tokens-{uuid4()}")

    async def answer(_request: web.Request, _number: int) -> web.Response:
        return web.json_response({"access_token": limited.secret(), "expires_in": 60})

    mailbox.answering = answer
    return mailbox


def test_events_arrive_with_no_right_that_the_table_does_not_have(
    limited: Limited, mailbox: Mailbox, token_server: Mailbox
) -> None:
    code = f"Code{uuid4().hex}"
    # Twice refused: through a retry tier and back.
    mailbox.answers = [500, 200]
    with limited.gateway.client(params={"workspace": limited.gateway.create_workspace()}) as admin:

        def make(what: str, **body: Any) -> str:
            answer = admin.post(f"/headrace/v1/{what}", json=body)
            return str(answer.raise_for_status().json().get("id"))

        make("event-types", code=code, open=True)
        authorization = {"type": "client_credentials", "user": "me", "secret": limited.secret()}
        hook = make(
            "endpoints",
            name="hook",
            url=mailbox.url,
            retry_schedule=[5],
            headers={"X-Api-Key": limited.secret()},
            authorization=authorization | {"token_url": token_server.url},
        )
        file = make("endpoints", name="file", type="FILE")
        chosen = make("filters", name="all", types=[{"code": code}])
        for endpoint in (hook, file):
            make("subscriptions", filter=chosen, endpoint=endpoint)
        headers = {"Content-Type": "application/cloudevents+json"}
        event = {"specversion": "1.0", "type": code, "id": "1", "source": "test", "data": {"a": 1}}
        sent = admin.post("/headrace/v1/events", json=event, headers=headers).raise_for_status().json()["id"]
        mailbox.wait(2)
        admin.post("/headrace/v1/filters/dry-run", json={"types": [{"code": code}]})

        def delivered() -> bool:
            found = admin.get(f"/headrace/v1/events/{sent}")
            tries = [one for each in found.json().get("deliveries", ()) for one in each["tries"]]
            files = admin.get(f"/headrace/v1/endpoints/{file}/files").raise_for_status().json()["items"]
            return found.is_success and len(tries) >= 2 and bool(files)

        deadline = time.monotonic() + 120
        while not delivered():
            assert time.monotonic() < deadline, limited.refused()
            time.sleep(0.2)
    ready = {plane: httpx.get(f"http://127.0.0.1:{port}/readyz").text for plane, port in limited.ports.items()}
    assert {plane: json.loads(said)["status"] for plane, said in ready.items()} == dict.fromkeys(PLANES, "ready"), ready
    assert "authorization" in mailbox.received[-1].headers
    assert limited.refused() == []


def test_no_secret_of_the_run_is_in_a_log_in_kafka_or_in_the_ledger(
    limited: Limited, mailbox: Mailbox, token_server: Mailbox
) -> None:
    """Nobody compresses what goes to Kafka, so its files show what it keeps."""
    gateway = limited.gateway
    _, key = gateway.create_client(gateway.create_workspace(), "producer", realm="crmls")
    limited.secrets.extend([key, crmls_token(gateway, key)])
    eventhos = eventhos_on(gateway)
    log = EventLog(eventhos=eventhos, event=eventhos.event())
    limited.secrets.extend([log.event.token, log.event.client.secret])
    oauth = {
        "securityType": 1,
        "securityUrl": token_server.url,
        "clientId": "me",
        "clientSecret": limited.secret(),
    }
    eventhos.contract(log.event, eventhos.action(log.event.system, mailbox.url, **oauth))
    keyed = {"access-key": log.event.token, "authorization": f"Bearer {limited.secret()}"}
    assert eventhos.send(log.event, headers=keyed, params={"access-key": log.event.token}).status_code < 300
    assert log.row("processed")

    home = gateway.directory
    files = [*home.glob("*.log"), *home.glob("ledger.sqlite3*"), *(home / "kafka" / "data").rglob("*.log")]
    assert len([file for file in files if file.stat().st_size]) > 20
    contents = {file: file.read_bytes() for file in files}
    found = {
        (str(file.relative_to(home)), number)
        for number, secret in enumerate(limited.secrets)
        for file, content in contents.items()
        if secret.encode() in content
    }
    assert found == set()
    # What is not secret is there: the search finds what it looks for.
    assert any(b"X-Api-Key" in content for content in contents.values())


def test_the_page_shows_the_table() -> None:
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0] in {f"`{plane}`" for plane in PLANE_ACLS}:
            rows.setdefault(cells[0].strip("`"), set()).add((cells[1], cells[2].strip("`"), cells[3]))
    table = {}
    for plane, acls in PLANE_ACLS.items():
        rights: dict[tuple[str, str], list[str]] = {}
        for each in acls:
            name = each.name + ("*" if each.prefixed else "")
            rights.setdefault((each.resource.replace("_", " "), name), []).append(each.operation.replace("_", " "))
        table[plane] = {(kind, name, ", ".join(found)) for (kind, name), found in rights.items()}
    assert rows == table


def test_the_table_names_no_resource_that_is_not_there() -> None:
    assert all(re.fullmatch(r"[a-z_.*-]+", acl.name) for acls in PLANE_ACLS.values() for acl in acls)
