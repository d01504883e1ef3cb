"""The commands that call our own API, on a running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.component.connectors.receiver import Mailbox
    from tests.support.running_gateway import RunningGateway


@pytest.fixture(scope="module")
def headrace(gateway: RunningGateway, processors: None, webhooks: None) -> Iterator[Commands]:
    commands = Commands(gateway)
    attributes = [{"name": "orderId", "type": "String"}, {"name": "total", "type": "decimal(20,2)"}]
    body = {"code": "order.paid", "attributes": attributes}
    with commands.api as api:
        api.post("/headrace/v1/event-types", json=body).raise_for_status()
        yield commands


def test_an_event_from_publishing_to_its_delivery(headrace: Commands, mailbox: Mailbox) -> None:
    condition = '{"data": {"total": [{"numeric": [">=", 123456789012345678.90]}]}}'
    made = headrace.json(
        "endpoints", "create", "billing", mailbox.url, "--events", "order.paid", "--condition", condition
    )
    shown = headrace("endpoints", "show", made["id"])
    assert "events/order.paid" in shown
    filter_id = made["subscription"]["filter"]
    assert "123456789012345678.90" in headrace.api.get(f"/headrace/v1/filters/{filter_id}").text

    said = headrace("events", "publish", "order.paid", "--data", '{"orderId": "A-1", "total": 123456789012345678.90}')
    event = said.split()[1]
    (arrived,) = mailbox.wait()
    assert b'"total":123456789012345678.90' in arrived.body
    found = headrace.until(lambda event: event["outcomes"] == {"delivered": 1}, "events", "show", event)
    assert found["deliveries"][0]["id"] == arrived.id
    text = headrace("events", "show", arrived.id)
    assert "123456789012345678.90" in text
    assert "delivered" in text
    assert event in headrace("events", "list", "--type", "order.paid", "--since", "1h")
    listed = headrace.json("events", "list", "--until", "0s", "--limit", "5")
    assert event in [each["event_id"] for each in listed]

    (row,) = headrace.until(lambda rows: rows and rows[0]["delivered"] == rows[0]["matched"] == 1, "balance")
    assert (row["endpoint"], row["difference"]) == (made["id"], 0)
    assert made["id"] in headrace("balance", "--endpoint", made["id"], "--since", "1h")
    assert headrace.json("balance", "--unbalanced") == []


def test_an_endpoint_is_edited_disabled_enabled_and_deleted(headrace: Commands) -> None:
    made = headrace.json("endpoints", "create", "edited", "https://example.com/hooks", "--set", "timeout=5")
    assert made["signing_secret"].startswith("whsec_")
    headrace("endpoints", "edit", made["id"], "--name", "edited twice", "--set", "retry_schedule=[5, 30.5]")
    headrace("endpoints", "edit", made["id"], "--header", "X-Team: billing", "--address", "https://example.com/other")
    shown = headrace.json("endpoints", "show", made["id"])
    wanted = {
        "name": "edited twice",
        "url": "https://example.com/other",
        "timeout": 5.0,
        "retry_schedule": [5.0, 30.5],
        "headers": {"X-Team": "billing"},
    }
    assert {name: shown[name] for name in wanted} == wanted

    headrace("endpoints", "disable", made["id"])
    assert [each["id"] for each in headrace.json("endpoints", "list", "--status", "disabled")] == [made["id"]]
    headrace("endpoints", "enable", made["id"])
    assert headrace.json("endpoints", "list", "--status", "disabled") == []
    assert made["id"] in headrace("endpoints", "list")
    headrace("endpoints", "delete", made["id"], status=1, answer="n\n")
    headrace("endpoints", "delete", made["id"], answer="y\n")
    assert "There is no endpoint" in headrace("endpoints", "show", made["id"], status=1)


def test_a_filter_whose_endpoint_is_refused_does_not_stay(headrace: Commands) -> None:
    before = headrace.api.get("/headrace/v1/filters").json()["items"]
    told = headrace("endpoints", "create", "no", "ftp://example.com", "--events", "order.paid", status=1)
    assert "$.url" in told
    assert headrace.api.get("/headrace/v1/filters").json()["items"] == before


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("events", "publish", "order.paid", "--data", "{"), 2, "The data is not JSON"),
        (("events", "publish", "order.paid"), 2, "--data or with --file"),
        (("events", "publish", "no.such.type", "--data", "{}"), 1, "was answered 400"),
        (("events", "publish", "order.paid", "--data", '{"nope": 1}'), 1, "$.data.nope: "),
        (("events", "list", "--since", "soon"), 2, "--since 'soon' is no time"),
        (("events", "list", "--follow", "--until", "1h"), 2, "does not go together"),
        (("events", "show", "nothing"), 1, "The ledger has no event nothing"),
        (("events", "list", "--key", "hrk_wrong"), 1, "Give another key"),
        (("endpoints", "edit", "x"), 2, "Say what shall change"),
        (("endpoints", "edit", "x", "--set", "timeout"), 2, "--set name=JSON"),
        (("endpoints", "create", "x", "https://example.com", "--header", "X"), 2, "--header 'Name: value'"),
        (("endpoints", "create", "x", "https://example.com", "--condition", "{}"), 2, "--events"),
        (("endpoints", "list", "--status", "asleep"), 1, "status"),
    ],
)
def test_what_cannot_be_done_is_told_with_the_reason(
    headrace: Commands, arguments: tuple[str, ...], status: int, told: str
) -> None:
    assert told in headrace(*arguments, status=status)


def test_quotas_are_set_and_listed(headrace: Commands) -> None:
    client = headrace.api.post("/headrace/v1/clients", json={"name": "limited"}).raise_for_status().json()["id"]
    assert "No quota" not in headrace("quotas", "set-client", client, "--events", "500", "--bytes", "unlimited")
    listed = headrace("quotas", "list")
    assert client in listed
    assert "500" in listed
    (shown,) = [each for each in headrace.json("quotas", "list") if each["client"] == client]
    assert (shown["events"]["per_second"], shown["bytes"]) == (500, None)
    assert "without limit" in headrace("quotas", "set-client", client, "--events", "default")
    assert "is no rate" in headrace("quotas", "set-client", client, "--events", "many", status=2)
    assert "Say which" in headrace("quotas", "set-client", client, status=2)
    assert "was answered 403" in headrace("quotas", "set-workspace", headrace.workspace, "--events", "1", status=1)
