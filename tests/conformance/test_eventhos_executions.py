"""In which order eventhos runs the contracts of a received event, and what becomes of those that fail."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from aiohttp import web

from tests.support.eventhos_calls import SEED_BODY, refused
from tests.support.eventhos_log import EventLog

if TYPE_CHECKING:
    from tests.component.connectors.receiver import Mailbox, Receiver

pytestmark = pytest.mark.usefixtures("processors", "webhooks")


def failing(mailbox: Mailbox) -> str:
    """The URL of a target that does not work."""
    mailbox.answers = [500]
    return mailbox.url


def test_E_60_groups_run_one_after_another(log: EventLog, receiver: Receiver) -> None:
    boxes = [receiver.mailbox(f"group-{uuid4()}") for _ in range(3)]
    ended: list[float] = []

    async def slow(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(0.4)
        ended.append(time.monotonic())
        return web.Response()

    for box, order in zip(boxes, (3, 1, 2), strict=True):
        box.answering = slow
        log.contract(box.url, order)

    log.send()

    last, first, second = (box.wait()[0].at for box in boxes)
    assert first < ended[0] <= second < ended[1] <= last
    assert len(log.details("processed", "processed", "processed")) == 3


def test_E_61_contracts_of_one_order_overlap(log: EventLog, receiver: Receiver) -> None:
    boxes = [receiver.mailbox(f"side-by-side-{uuid4()}") for _ in range(2)]

    both = asyncio.Barrier(2)

    async def wait_for_both(_request: web.Request, _number: int) -> web.Response:
        async with asyncio.timeout(20):
            await both.wait()
        return web.Response()

    for box in boxes:
        box.answering = wait_for_both
        log.contract(box.url)

    log.send()

    log.row("processed", "processed")


def test_E_62_a_failed_contract_does_not_stop_the_next_group(log: EventLog, receiver: Receiver) -> None:
    bad, good = (receiver.mailbox(f"{name}-{uuid4()}") for name in ("bad", "good"))
    log.contract(failing(bad), 1)
    log.contract(good.url, 2)

    log.send()

    failed, processed = log.details("error", "processed")
    assert (failed["state"], processed["state"]) == ("error", "processed")
    assert log.execution(failed)["response"]["status"] == 500
    assert len(bad.received) == 1


def test_E_63_a_contract_has_one_try(log: EventLog, mailbox: Mailbox) -> None:
    log.contract(failing(mailbox))
    log.send()

    (detail,) = log.details("error")

    assert (detail["attempts"], detail["isAborted"]) == (0, False)
    assert log.execution(detail)["response"]["body"] == "answer 1"
    assert len(mailbox.received) == 1


def test_E_63_a_target_that_does_not_answer_is_an_error(log: EventLog) -> None:
    log.contract("http://127.0.0.1:9/nobody-listens")
    log.send()

    (detail,) = log.details("error")

    response = log.execution(detail)["response"]
    assert response["status"] is None
    assert "cannot connect" in response["statusText"]


def test_E_64_a_failed_contract_is_sent_again_once(log: EventLog, receiver: Receiver) -> None:
    target, other = (receiver.mailbox(f"{name}-{uuid4()}") for name in ("target", "other"))
    target.answers = [500, 200]
    log.contract(target.url, 1)
    log.contract(other.url, 2)
    log.send(params={"color": "red"})
    received = log.row("error", "processed")
    detail, _ = log.details("error", "processed")

    answer = log.retry(received, detail)

    assert (answer.status_code, answer.json()) == (200, {"code": 200000, "message": "success"})
    refused(log.retry(received, detail), 400206)
    again = log.row("processed", which=1)
    assert again["id"] != received["id"]
    assert again["received_request"]["body"] == SEED_BODY
    assert again["received_request"]["query"]["color"] == "red"
    assert json.loads(target.wait(2)[1].body) == SEED_BODY
    marked, _ = log.details("retried", "processed")
    assert (marked["detailId"], marked["attempts"]) == (detail["detailId"], 1)
    refused(log.retry(received, detail), 400206)
    refused(log.abort(detail), 400203)
    assert len(other.received) == 1


def test_E_64_only_a_failed_contract_of_the_event_is_sent_again(log: EventLog, mailbox: Mailbox) -> None:
    mailbox.answers = [200, 500]
    log.contract(mailbox.url)
    log.send()
    (processed,) = log.details("processed")
    first = log.row("processed")
    log.send()
    (failed,) = log.details("error", which=1)
    second = log.row("error", which=1)
    elsewhere = EventLog(eventhos=log.eventhos, event=log.eventhos.event(log.event.system, log.event.client))

    refused(log.retry(first, processed), 400206)
    refused(log.retry(first, failed), 400206)
    refused(log.retry(second, {**failed, "detailId": str(uuid4())}), 400206)
    refused(log.retry(second, {**failed, "contractId": failed["contractId"] + 1_000_000}), 400204)
    refused(log.retry(second, failed, contractDetailId=None), 400203)
    refused(log.retry(second, failed, receivedEventId=None), 400203)
    refused(elsewhere.retry(second, failed), 400206)
    assert log.eventhos.stored(log.event) == 2


def test_E_65_a_failed_contract_is_aborted_and_not_sent_again(log: EventLog, mailbox: Mailbox) -> None:
    log.contract(failing(mailbox))
    log.send()
    (detail,) = log.details("error")
    received = log.row("error")

    refused(log.abort(detail, **{"access-key": "of nobody"}), 401202)
    answer = log.abort(detail)

    assert (answer.status_code, answer.json()["code"]) == (200, 200000)
    refused(log.retry(received, detail), 400206)
    refused(log.abort(detail), 400203)
    (aborted,) = log.details("aborted")
    assert (aborted["isAborted"], aborted["attempts"]) == (True, 0)
    assert log.execution(aborted)["is_aborted"] is True
    assert log.page(state="aborted")["totalItems"] == 1
    assert log.page(state="error")["totalItems"] == 0
    refused(log.abort(aborted, **{"access-key": log.event.token}), 400203)
    assert log.eventhos.stored(log.event) == 1
