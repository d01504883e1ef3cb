"""``headrace quickstart``: what it prints works when it is pasted into a shell, in each language."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from operations.cli import app
from operations.commands.quickstart import EXAMPLES, Language
from operations.supervisor.ports import free_port
from tests.support.running_gateway import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.running_gateway import RunningGateway

NEEDS = {Language.CURL: ("curl", "kcat"), Language.PYTHON: ("python3",), Language.JAVASCRIPT: ("node",)}
ORDERS = {Language.CURL: "A-1", Language.PYTHON: "A-2", Language.JAVASCRIPT: "A-3"}


def quickstart(gateway: RunningGateway, workspace: str, *arguments: str) -> str:
    unset = {name: None for name in os.environ if name.startswith("HEADRACE_")}
    environment = {
        **unset,
        "HEADRACE_URL": gateway.url,
        "HEADRACE_KEY": ADMIN_KEY,
        "HEADRACE_DATA_DIR": str(gateway.directory),
        "KAFKA_BOOTSTRAP_SERVERS": gateway.bootstrap,
    }
    done = CliRunner().invoke(app, ["quickstart", "--workspace", workspace, *arguments], env=environment)
    assert done.exit_code == 0, done.output
    return done.stdout


class Printed:
    """What a first run printed: the lines for every shell, and the recipes."""

    def __init__(self, text: str) -> None:
        self.shell, _, rest = text.partition("\n\n")
        self.port = int(self.shell.partition("export PORT=")[2].split()[0])
        parts = rest.split("# Receive its webhooks, in a shell of its own:\n")[1:]
        self.recipes = dict(zip(Language, map(self._tasks, parts), strict=True))

    def _tasks(self, text: str) -> tuple[str, str, str]:
        receive, _, text = text.partition("# Publish an event:\n")
        publish, _, text = text.partition("# Consume it from Kafka; Ctrl-C ends it:\n")
        return receive, publish, text


@pytest.fixture(scope="module")
def workspace(gateway: RunningGateway, processors: None, webhooks: None) -> str:
    return gateway.create_workspace()


@pytest.fixture(scope="module")
def printed(gateway: RunningGateway, workspace: str) -> Printed:
    return Printed(quickstart(gateway, workspace, "--receive", f"http://127.0.0.1:{free_port()}/"))


@contextlib.contextmanager
def pasted(shell: str, recipe: str, **options: Any) -> Iterator[list[str]]:
    """The lines that a recipe has printed so far, while it runs in a shell."""
    command = ["bash", "-c", f"{shell}\n{recipe}"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        **options,
    ) as process:
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))  # type: ignore[union-attr]  # it is a pipe
        reader.start()
        try:
            yield lines
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            reader.join()


def wait_for(text: str, lines: list[str]) -> None:
    deadline = time.monotonic() + 60
    while not any(text in line for line in list(lines)):
        assert time.monotonic() < deadline, (text, lines)
        time.sleep(0.05)


def wait_until_it_listens(port: int, lines: list[str]) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)


@pytest.mark.parametrize("language", Language)
def test_an_event_is_published_received_and_consumed(printed: Printed, language: Language) -> None:
    missing = [name for name in NEEDS[language] if shutil.which(name) is None]
    if missing:
        pytest.skip(f"NOT RUN, FOR WANT OF {' AND '.join(missing)}")
    receive, publish, consume = printed.recipes[language]
    with pasted(printed.shell, receive) as received:
        wait_until_it_listens(printed.port, received)
        with pasted(printed.shell, publish) as published:
            wait_for("events.", published)  # the topic in the answer
        wait_for(f'"orderId":"{ORDERS[language]}"', received)
    if language is Language.JAVASCRIPT and not (EXAMPLES / "node_modules" / "kafkajs").exists():
        pytest.skip("CONSUMING NOT RUN, FOR WANT OF kafkajs: npm install --prefix examples")
    with pasted(printed.shell, consume, cwd=EXAMPLES) as consumed:
        wait_for(ORDERS[language], consumed)


def test_what_is_not_signed_is_not_believed(printed: Printed) -> None:
    for language in (Language.PYTHON, Language.JAVASCRIPT):
        if shutil.which(NEEDS[language][0]) is None:
            continue
        with pasted(printed.shell, printed.recipes[language][0]) as received:
            wait_until_it_listens(printed.port, received)
            url = f"http://127.0.0.1:{printed.port}/"
            now = int(time.time())
            for signature in ("v1,AAAA", f"v1,{'A' * 43}=", ""):
                headers = ["webhook-id: 1", f"webhook-timestamp: {now}", f"webhook-signature: {signature}"]
                options = [part for header in headers for part in ("-H", header)]
                post = ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "-d", "{}", *options, url]
                assert subprocess.run(post, capture_output=True, text=True, check=True, timeout=60).stdout == "401"
            assert not any("received" in line for line in received)


def test_a_second_run_says_what_there_is_and_shows_no_secret_again(
    gateway: RunningGateway, workspace: str, printed: Printed
) -> None:
    receive = ("--receive", f"http://127.0.0.1:{printed.port}/", "--language", "curl")
    again = quickstart(gateway, workspace, *receive)
    assert "Nothing is new" in again
    assert "hrk_" not in again
    assert "whsec_" not in again
    assert "python3" not in again
    fresh = quickstart(gateway, workspace, *receive, "--new-secrets")
    assert fresh.count("export HEADRACE_KEY=") == fresh.count("export WEBHOOK_SECRET=whsec_") == 1
    assert fresh.partition("\n\n")[0] != printed.shell


def test_without_a_receiver_there_is_no_endpoint(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    said = quickstart(gateway, workspace, "--receive", "")
    assert "Receive" not in said
    with gateway.client(params={"workspace": workspace}) as admin:
        assert admin.get("/headrace/v1/endpoints").json()["items"] == []
        refused = admin.post("/headrace/v1/quickstart", json={"url": "http://169.254.169.254/"})
        assert (refused.status_code, refused.json()["errors"][0]["path"]) == (400, "$.url")
        assert admin.get("/headrace/v1/endpoints").json()["items"] == []


def test_a_client_of_that_name_that_is_another_stays_as_it_is(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    with gateway.client(params={"workspace": workspace}) as admin:
        admin.post(
            "/headrace/v1/clients", json={"name": "x", "id": "quickstart", "roles": ["admin"]}
        ).raise_for_status()
        assert admin.post("/headrace/v1/quickstart").status_code == 409
        assert admin.get("/headrace/v1/clients/quickstart/keys").json()["items"] == []
        assert admin.get("/headrace/v1/event-types").json()["items"] == []


def test_calls_at_once_issue_one_key_and_one_secret(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    with gateway.client(params={"workspace": workspace}) as admin, ThreadPoolExecutor(8) as threads:
        body = {"url": "http://127.0.0.1:1/"}
        answers = list(threads.map(lambda _: admin.post("/headrace/v1/quickstart", json=body), range(8)))
        assert {each.status_code for each in answers} == {201}, [each.text for each in answers]
        found = [each.json() for each in answers]
        (key,) = admin.get("/headrace/v1/clients/quickstart/keys").json()["items"]
        (endpoint,) = admin.get("/headrace/v1/endpoints").json()["items"]
    assert sum(each["key"] is not None for each in found) == 1
    assert sum("key" in each["created"] for each in found) == 1
    assert sum(each["endpoint"]["signing_secret"] is not None for each in found) == 1
    assert {each["endpoint"]["id"] for each in found} == {endpoint["id"]}
    (shown,) = (each["key"] for each in found if each["key"])
    with gateway.client(shown) as http:
        assert http.get("/headrace/v1/endpoints").is_success
    assert key["client"] == "quickstart"


def test_its_key_lasts_no_longer_than_the_one_of_the_call(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    operator, _ = gateway.create_client(workspace, "operator")
    with gateway.client(params={"workspace": workspace}) as admin:
        short = admin.post(f"/headrace/v1/clients/{operator}/keys", json={"lifetime": 600}).json()
    with gateway.client(short["key"]) as http:
        http.post("/headrace/v1/quickstart").raise_for_status()
        (made,) = http.get("/headrace/v1/clients/quickstart/keys").json()["items"]
    assert made["expires_at"] == short["expires_at"]
