"""What commands ask before they change something, and of whom."""

from __future__ import annotations

import io
import sys

import pytest
import typer

from operations.commands.asking import confirm
from operations.errors import NotConfirmed


class Terminal(io.StringIO):
    """A terminal on which somebody types."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert confirm("Delete acme?")
    assert "Delete acme?" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    with pytest.raises(typer.Abort):
        confirm("Delete acme?")


@pytest.mark.parametrize("stdin", [io.StringIO("y\n"), io.StringIO(), None])
def test_a_pipe_is_never_asked(stdin: io.StringIO | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(NotConfirmed, match=r"Delete acme\? Nothing was done: .* --yes"):
        confirm("Delete acme?")
