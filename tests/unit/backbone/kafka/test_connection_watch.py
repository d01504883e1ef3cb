"""What a client's log says of its connections."""

from __future__ import annotations

import logging

import pytest

from backbone.kafka.connection_watch import ConnectionWatch

LINE = "%s [%s] %s"


@pytest.mark.parametrize(
    ("said", "broke"),
    [
        ("[thrd:TxnCoordinator]: TxnCoordinator: Broker changed state UP -> DOWN", True),
        ("[thrd:TxnCoordinator]: TxnCoordinator: Broker changed state DOWN -> INIT", False),
        ("[thrd:main]: Wake-up sent to 2 broker threads in state >= UP: flushing", False),
    ],
)
def test_a_connection_that_goes_down_has_broken(
    said: str,
    broke: bool,  # noqa: FBT001  # a parameter of the table
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    watch = ConnectionWatch()
    watch.log(logging.DEBUG, LINE, "STATE", "headrace#producer-1", said)
    assert watch.has_broken is broke
    assert not caplog.records  # what only the watch asked for


def test_debug_lines_that_were_asked_for_are_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    watch = ConnectionWatch(tells_debug=True)
    watch.log(logging.DEBUG, LINE, "STATE", "headrace#producer-1", "[thrd:a]: a: Broker changed state UP -> DOWN")
    assert (watch.has_broken, len(caplog.records)) == (True, 1)


def test_what_matters_is_logged_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    watch = ConnectionWatch()
    watch.log(logging.WARNING, LINE, "FAIL", "headrace#producer-1", "Connect to broker failed -> DOWN")
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert not watch.has_broken
