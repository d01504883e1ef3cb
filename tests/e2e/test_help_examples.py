"""Every command's ``--help`` has an example, and every example runs.

The list comes from the command line itself: a command without an example fails, and so does an example that fails.
"""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from operations.cli import app
from schemas.model.ids import delivery_id
from tests.support.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.running_gateway import RunningGateway

TESTS = Path(__file__).parents[1]

ELSEWHERE = {
    # Processes, which run until they are stopped.
    **dict.fromkeys(
        ("broker", "connector", "ingest", "ledger", "monitor", "processors", "replayer", "router", "up"),
        "e2e/test_up.py",
    ),
    "fixtures": "component/operations/test_fixtures.py",
    "tour": "e2e/test_up.py",
    # They work on Kafka itself, or change the secrets that other tests are using.
    "backup": "e2e/test_backup.py",
    "restore": "e2e/test_backup.py",
    "consumer-user": "component/operations/test_access.py",
    "kafka-access": "component/operations/test_access.py",
    "ledger rebuild": "unit/stream_processors/indexing/test_rebuild.py",
    "reseal": "component/operations/test_reseal.py",
    # They need a realtime node, or wait for what only a connector and a replayer do.
    "listen": "e2e/test_listen.py",
    "receiver": "e2e/test_missing_events.py",
    "redrive": "e2e/test_sending_again.py",
    "replay": "e2e/test_sending_again.py",
    "resend": "e2e/test_sending_again.py",
    "runs follow": "e2e/test_sending_again.py",
    "runs retry": "e2e/test_sending_again.py",
}
"""Commands whose examples cannot run beside other tests, and the test that runs the command."""

REFUSED = {
    "dead-letters show 3-1042": "no dead letter",
    "dead-letters discard 3-1042": "There is nothing at",
    "partitions grow events.default.crmls.Offer 12 --keep-order --dry-run": "no partition key",
    "partitions cancel events.default.crmls.Offer": "There is no growth",
    "groups reset team-a.billing --to-time 2h --dry-run": "There is no group",
}
"""Examples about what is not there, and what they are answered here."""

MAY_FIND_SOMETHING = ("balance", "doctor", "endpoints test", "groups list", "lag", "partitions show", "topics list")
"""Commands whose exit code tells what they found; whether they run matters here."""

PLACEHOLDER = re.compile(r"<id>|<endpoint>|0190f0a0-0000-7000-8000-\d{12}|events\.default\.crmls\.Offer")


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its name."""
    if path and (getattr(command, "invoke_without_command", False) or not hasattr(command, "commands")):
        yield " ".join(path), command
    for name, each in getattr(command, "commands", {}).items():
        yield from leaves(each, (*path, name))


COMMANDS = dict(leaves(get_command(app)))


def examples(name: str) -> list[list[str]]:
    """The arguments of each example of a command."""
    found = re.fullmatch(r"Examples?[^:]*: (.*)", COMMANDS[name].epilog or "", re.DOTALL)
    assert found, f"headrace {name} --help has no example"
    texts = re.split(r"; (?=(?:[A-Z_]+=\S+ )?headrace\b)", found[1])
    return [shlex.split(re.split(r"(?:^| )headrace(?: |$)", text, maxsplit=1)[1]) for text in texts]


class World:
    """A workspace with one of everything, and an administrator of it."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.headrace = Commands(gateway)
        self.headrace.environment["HEADRACE_KEY"] = gateway.create_client(self.headrace.workspace, "admin")[1]
        for name in ("types create", "clients create", "workspaces create"):
            for arguments in examples(name):
                self.headrace(*arguments)
        published = [self.headrace.json(*examples("events publish")[0]) for _ in range(5)]
        self._event = published[0]["event_id"]
        self._topic = published[0]["topic"]
        self._endpoint = self.endpoint()
        deadline = time.monotonic() + 120
        for each in published:
            while self.headrace.api.get(f"/headrace/v1/events/{each['event_id']}").status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.2)

    def endpoint(self) -> str:
        made = self.headrace.json("endpoints", "create", "e", "https://example.com/hooks", "--events", "order.paid")
        return str(made["id"])

    def paused(self) -> str:
        endpoint = self.endpoint()
        self.headrace("endpoints", "pause", endpoint)
        return endpoint

    def filter(self) -> str:
        body = {"name": "f", "types": [{"code": "order.paid"}]}
        return str(self.headrace.api.post("/headrace/v1/filters", json=body).raise_for_status().json()["id"])

    def key(self) -> str:
        return str(self.headrace.json("keys", "create", "web-shop")["id"])

    def run(self) -> str:
        body = {"from": "earliest", "dry_run": False}
        answer = self.headrace.api.post(f"/headrace/v1/endpoints/{self.endpoint()}/replay", json=body)
        return str(answer.raise_for_status().json()["id"])

    def run_paused(self) -> str:
        run = self.run()
        self.headrace("runs", "pause", run)
        return run

    def delivery(self) -> str:
        """Of an event that is routed to an endpoint now."""
        endpoint = self.endpoint()
        event = self.headrace.json(*examples("events publish")[0])["event_id"]
        found = delivery_id(event, endpoint)
        self.headrace.until(lambda shown: found in str(shown["deliveries"]), "events", "show", event)
        return found

    def value(self, name: str, placeholder: str) -> str:
        """What stands for a placeholder in an example of a command."""
        if placeholder.startswith("events."):
            return str(self._topic)
        made: dict[str, Callable[[], str]] = {
            "endpoints resume": self.paused,
            "endpoints": self.endpoint,
            "events": lambda: str(self._event),
            "deliveries show": self.delivery,
            "filters": self.filter,
            "keys": self.key,
            "runs resume": self.run_paused,
            "runs": self.run,
        }
        kind = next((each for each in made if name == each or name.startswith(f"{each} ")), None)
        return self._endpoint if kind is None else made[kind]()


@pytest.fixture(scope="module")
def world(gateway: RunningGateway, processors: None) -> Iterator[World]:
    made = World(gateway)
    yield made
    made.headrace.api.close()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_has_an_example_of_it(name: str) -> None:
    for arguments in examples(name):
        assert " ".join(arguments).startswith(name)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_commands_that_do_not_run_here_run_in_another_test(name: str) -> None:
    assert name in COMMANDS
    assert (TESTS / ELSEWHERE[name]).exists()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ELSEWHERE])
def test_every_example_runs(world: World, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("order.json").write_text('{"orderId": "A-1"}')
    for file in ("catalog.yaml", "acme.yaml"):
        if name == "import":
            world.headrace("export", "--to", file)
    for arguments in examples(name):
        filled = [PLACEHOLDER.sub(lambda found: world.value(name, found[0]), each) for each in arguments]
        refusal = REFUSED.get(" ".join(arguments))
        if refusal is not None:
            assert refusal in world.headrace(*filled, status=1)
        elif name in MAY_FIND_SOMETHING:
            world.headrace.any_status(*filled)
        else:
            world.headrace(*filled)
