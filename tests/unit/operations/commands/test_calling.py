"""What every command that calls the API has in common, tried on one that calls nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from operations.cli import app
from operations.commands.calling import Json, calling
from operations.commands.shown import show_items

if TYPE_CHECKING:
    from pathlib import Path

UNSET = {name: None for name in os.environ if name.startswith(("HEADRACE_", "KAFKA_"))}
TITLES = {"id": "id", "total": "data.total"}
ITEMS = [msgspec.Raw(b'{"id":"A-1","data":{"total":125.50}}'), msgspec.Raw(b'{"id":"A-2","data":null}')]


def run(command: Any, *arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    one = typer.Typer(rich_markup_mode=None)
    one.command()(command)
    done = CliRunner().invoke(one, arguments, env={**UNSET, **(environment or {})})
    return done.exit_code, done.stdout, done.stderr


@calling
async def show_list(
    api: Any, name: Annotated[str, typer.Argument()], *, empty: bool = False, as_json: Json = False
) -> None:
    typer.echo(f"{api.url} {name}")
    show_items([] if empty else ITEMS, TITLES, as_json=as_json, none="None.")


@calling
async def reach(api: Any) -> None:
    await api.get("/workspaces")


def test_a_command_has_its_own_parameters_and_those_of_the_connection() -> None:
    status, out, _ = run(show_list, "list", "--url", "http://127.0.0.1:1", "--key", "k")
    assert status == 0
    assert [line.split() for line in out.splitlines()] == [
        ["http://127.0.0.1:1", "list"],
        ["id", "total"],
        ["A-1", "125.5"],
        ["A-2"],
    ]


def test_json_has_numbers_as_they_were_written() -> None:
    _, out, _ = run(show_list, "list", "--json", "--url", "http://127.0.0.1:1", "--key", "k")
    assert '"total": 125.50' in out


def test_an_empty_list_is_told_beside_the_output() -> None:
    status, out, error = run(show_list, "list", "--empty", "--url", "http://127.0.0.1:1", "--key", "k")
    assert (status, out.splitlines()[1:], error) == (0, [], "None.\n")


def test_a_gateway_that_does_not_answer_has_a_status_of_its_own() -> None:
    status, _, error = run(reach, "--url", "http://127.0.0.1:1", "--key", "k")
    assert status == 3
    assert error.startswith("No gateway answers at http://127.0.0.1:1. Start one with: headrace up")


def test_a_wrong_argument_has_a_status_of_its_own() -> None:
    status, _, error = run(reach, "--url", "nowhere", "--key", "k")
    assert (status, error.startswith("'nowhere' is no URL")) == (2, True)


def test_without_a_key_it_says_where_keys_are(tmp_path: Path) -> None:
    status, _, error = run(reach, environment={"HEADRACE_DATA_DIR": str(tmp_path)})
    assert (status, "Is Headrace up with this data directory?" in error) == (1, True)


def leaves(group: Any, *path: str) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        found += leaves(command, *path, name) if hasattr(command, "commands") else [(*path, name)]
    return found


API = (
    "quickstart",
    "listen",
    "receiver",
    "events",
    "deliveries",
    "balance",
    "endpoints",
    "dead-letters",
    "resend",
    "replay",
    "redrive",
    "runs",
)


@pytest.mark.parametrize("path", [path for path in leaves(typer.main.get_command(app)) if path[0] in API], ids=" ".join)
def test_the_help_of_every_command_has_an_example(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*path, "--help"], env=UNSET)
    assert done.exit_code == 0
    example = " ".join(done.stdout.partition("Example")[2].split())
    assert f"headrace {' '.join(path)}" in example


def test_the_help_lists_commands_by_section() -> None:
    done = CliRunner().invoke(app, ["--help"], env=UNSET)
    titles = [line for line in done.stdout.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles == [
        "Options:",
        "Run:",
        "Try it out:",
        "See what became of events:",
        "Steer deliveries:",
        "Administer:",
    ]
