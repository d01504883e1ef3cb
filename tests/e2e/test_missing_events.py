"""``docs/missing-events.md``, step by step: find why an endpoint got nothing, mend it, send again, see the balance."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

from operations.cli import app
from tests.support.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.component.connectors.receiver import Mailbox
    from tests.support.running_gateway import RunningGateway

PAGE = (Path(__file__).parents[2] / "docs" / "missing-events.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def headrace(gateway: RunningGateway, processors: None, webhooks: None, replayer: None) -> Iterator[Commands]:
    commands = Commands(gateway)
    commands.api.post("/headrace/v1/event-types", json={"code": "order", "open": True}).raise_for_status()
    yield commands
    commands.api.close()


def test_from_nothing_to_a_balance_of_zero(headrace: Commands, mailbox: Mailbox) -> None:
    mailbox.answers = [500]
    large = '{"data": {"total": [{"numeric": [">=", 100]}]}}'
    wanted = ("--events", "order", "--condition", large, "--set", "retry_schedule=[]")
    endpoint = headrace.json("endpoints", "create", "billing", mailbox.url, *wanted)["id"]
    small = headrace.json("events", "publish", "order", "--data", '{"total": 99}')["event_id"]
    lost = headrace.json("events", "publish", "order", "--data", '{"total": 100}')["event_id"]

    # Where did the events stop?
    (dead,) = headrace.until(
        lambda found: [each["outcome"] for each in found] == ["dead"], "deliveries", "list", "--endpoint", endpoint
    )
    assert "server_error" in headrace("deliveries", "list", "--reason", "server_error", "--json")
    tried = {each["event_id"]: each["matches"] for each in headrace.json("endpoints", "dry-run", endpoint)}
    assert tried == {small: False, lost: True}
    # Why?
    shown = headrace("deliveries", "show", dead["id"])
    assert f"POST {mailbox.url}" in shown
    assert "500" in shown
    assert "answer 1" in shown
    health = headrace.until(lambda found: found["last_error"] is not None, "endpoints", "health", endpoint)
    assert health["last_error"]["status"] == 500
    assert "last_error" in headrace("endpoints", "health", endpoint)

    # Mended, and sent again: what was given up, one delivery, and all.
    mailbox.answers = [204]
    (letter,) = headrace.until(lambda found: len(found) == 1, "dead-letters", "list", "--endpoint", endpoint)
    assert dead["id"] in headrace("dead-letters", "show", letter["id"])
    assert "Send them?" in headrace("redrive", "--endpoint", endpoint, status=1, answer="n\n")
    assert headrace.json("redrive", letter["id"], "--yes", "--follow")["deliveries"] == 1
    first, again = mailbox.wait(2)
    assert again.id == first.id
    assert headrace.json("redrive", letter["id"], "--yes", "--follow")["deliveries"] == 0
    said = headrace("resend", dead["id"], "--follow")
    assert "is DONE. It has sent 1" in said
    assert mailbox.wait(3)[2].id == first.id
    assert "Send them?" in headrace("replay", endpoint, "--from", "1h", status=1, answer="n\n")
    counted = headrace.json("replay", endpoint, "--from", "1h", "--dry-run")
    assert (counted["dry_run"], counted["deliveries"], counted["looked_at"]) == (True, 1, 2)
    done = headrace.json("replay", endpoint, "--from", "1h", "--yes", "--follow")
    assert (done["state"], done["deliveries"]) == ("DONE", 1)
    assert mailbox.wait(4)[3].id == first.id
    assert "DONE" in headrace("runs", "list", "--kind", "replay", "--endpoint", endpoint)
    assert "REPLAY" in headrace("runs", "show", done["id"])
    headrace("runs", "follow", done["id"])

    # Is anything missing?
    (row,) = headrace.until(
        lambda rows: [each["matched"] for each in rows] == [1], "balance", "--endpoint", endpoint, "--since", "2h"
    )
    assert (row["difference"], row["dead"]) == (0, 1)
    headrace("balance", "--endpoint", endpoint, "--since", "2h")
    assert endpoint in headrace("deliveries", "count", "--since", "2h")


def test_a_pause_keeps_what_comes(headrace: Commands, mailbox: Mailbox) -> None:
    endpoint = headrace.json("endpoints", "create", "paused", mailbox.url, "--events", "order")["id"]
    assert "are kept since" in headrace("endpoints", "pause", endpoint)
    assert headrace.json("endpoints", "list", "--status", "paused")[0]["id"] == endpoint
    kept = headrace.json("events", "publish", "order", "--data", '{"kept": 1}')["event_id"]
    assert "is DONE. It has sent" in headrace("endpoints", "resume", endpoint, "--follow")
    arrived = [json.loads(each.body)["id"] for each in mailbox.wait(1)]
    assert arrived == [kept]
    assert "is not paused" in headrace("endpoints", "resume", endpoint, status=1)


def test_every_command_of_the_page_exists() -> None:
    commands = set(re.findall(r"headrace ([a-z-]+(?: [a-z-]+)?)(?= |`|$)", PAGE, re.MULTILINE))
    root = typer.main.get_command(app)
    for command in commands:
        group, *name = command.split()
        known = root.commands[group]  # type: ignore[attr-defined]  # a group
        assert not hasattr(known, "commands") or not name or name[0] in known.commands, command
    assert len(commands) > 10
