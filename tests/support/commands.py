"""``headrace`` in this process, against a running gateway."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from typer.testing import CliRunner

from operations.cli import app
from operations.commands import asking

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.running_gateway import RunningGateway

UNSET = {name: None for name in os.environ if name.startswith(("HEADRACE_", "KAFKA_"))}


class Commands:
    """``headrace``, with a key of a workspace of the test's own."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.workspace = gateway.create_workspace()
        _, key = gateway.create_client(self.workspace, "operator")
        self.environment = {
            **UNSET,
            "HEADRACE_URL": gateway.url,
            "HEADRACE_KEY": key,
            "HEADRACE_DATA_DIR": str(gateway.directory),
        }
        self.api = gateway.client(key)

    def __call__(self, *arguments: str, status: int = 0, answer: str | None = None) -> str:
        """What a command prints; an answer is given on a terminal."""
        with patch.object(asking, "has_terminal", return_value=answer is not None):
            done = CliRunner().invoke(app, arguments, env=self.environment, input=answer)
        assert (done.exit_code, done.exception is None or status != 0) == (status, True), done.output
        return done.stdout if status == 0 else done.stderr

    def any_status(self, *arguments: str) -> str:
        """What a command prints whose exit code tells what it found."""
        done = CliRunner().invoke(app, arguments, env=self.environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
        return done.output

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def until(self, found: Callable[[Any], bool], *arguments: str) -> Any:
        """What a command prints as JSON, once it is as wanted."""
        deadline = time.monotonic() + 60
        while True:
            done = CliRunner().invoke(app, [*arguments, "--json"], env=self.environment)
            if done.exit_code == 0 and found(json.loads(done.stdout)):
                return json.loads(done.stdout)
            assert time.monotonic() < deadline, done.output
            time.sleep(0.1)
