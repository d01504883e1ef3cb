"""Makes ``data_of_before.tar.xz``: ``python -m tests.e2e.data_of_before <tree of the older version> <home>``.

The data directory of an installation of that version, as it was when every plane was stopped: some events were
delivered, and some wait for an endpoint that failed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tarfile
import time
from pathlib import Path

from operations.broker.jar_broker import JarBroker
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.broker.selection import running
from operations.supervisor.ports import free_port
from tests.component.connectors.receiver import Receiver
from tests.support.running_gateway import running_gateway
from tests.support.running_plane import running_plane

ARCHIVE = Path(__file__).with_name("data_of_before.tar.xz")
PLANES = (("router",), ("ledger",), ("replayer",), ("connector", "webhook"), ("connector", "file"))
CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}
DELIVERED, WAITING = 5, 7
FOR_EVER = str(100 * 365 * 86_400)
KEPT = {"HEADRACE_EVENT_RETENTION": FOR_EVER, "HEADRACE_DELIVERY_RETENTION": FOR_EVER}
"""So that the data does not age."""

_LEFT_OUT = {".log", ".lock"}


def main() -> None:
    """Run the older version for a while, and pack what it leaves."""
    tree, home = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    # Where Python looks first for the packages of the processes.
    os.chdir(tree)
    receiver = Receiver()
    receiver.start()
    mailbox = receiver.mailbox("before")
    broker = JarBroker(home / "kafka", java=find_java(), jars=kafka_jars(user_cache(), print), port=free_port())
    (home / "logs").mkdir(parents=True)
    with running(broker, home / "logs" / "broker.log"), contextlib.ExitStack() as stack:
        gateway = stack.enter_context(running_gateway(broker.bootstrap_servers, home, start_seconds=600, **KEPT))
        workspace = gateway.create_workspace()
        _, key = gateway.create_client(workspace, "operator")
        with gateway.client(key) as http:

            def make(what: str, **body: object) -> str:
                return str(http.post(f"/headrace/v1/{what}", json=body).raise_for_status().json().get("id"))

            make("event-types", code="order.paid", open=True)
            chosen = make("filters", name="all", types=[{"code": "order.paid"}])
            hook = make("endpoints", name="hook", url=mailbox.url, retry_schedule=[5] * 10)
            file = make("endpoints", name="file", type="FILE")
            for endpoint in (hook, file):
                make("subscriptions", filter=chosen, endpoint=endpoint)
            for plane in PLANES:
                allowed = {"HEADRACE_WEBHOOK_ALLOW": "127.0.0.0/8", "HEADRACE_FILE_MAX_AGE": "0.5"}
                stack.enter_context(running_plane(broker.bootstrap_servers, home, *plane, **allowed))

            def publish(number: int) -> str:
                event = {"specversion": "1.0", "type": "order.paid", "source": "/before", "id": f"before-{number}"}
                return make_event(event | {"data": {"number": number}})

            def make_event(event: dict[str, object]) -> str:
                answer = http.post("/headrace/v1/events", json=event, headers=CLOUDEVENT)
                return str(answer.raise_for_status().json()["id"])

            delivered = [publish(number) for number in range(DELIVERED)]
            mailbox.wait(DELIVERED)
            mailbox.answers = [500]
            waiting = [publish(number) for number in range(DELIVERED, DELIVERED + WAITING)]
            mailbox.wait(DELIVERED + WAITING)
            while not all(http.get(f"/headrace/v1/events/{each}").is_success for each in delivered + waiting):
                time.sleep(0.1)
    receiver.stop()
    facts = {
        "workspace": workspace,
        "key": key,
        "hook": hook,
        "file": file,
        "ids": delivered + waiting,
        "delivered": [f"before-{number}" for number in range(DELIVERED)],
        "waiting": [f"before-{number}" for number in range(DELIVERED, DELIVERED + WAITING)],
    }
    (home / "facts.json").write_text(json.dumps(facts))
    with tarfile.open(ARCHIVE, "w:xz") as archive:
        for each in sorted(home.rglob("*")):
            is_kafkas = (home / "kafka" / "data") in each.parents
            if each.is_file() and (is_kafkas or each.suffix not in _LEFT_OUT) and "ready-" not in each.name:
                archive.add(each, each.relative_to(home))


if __name__ == "__main__":
    main()
