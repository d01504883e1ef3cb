"""``headrace``, also as ``python -m operations``: loads the command line, and ends quietly if Ctrl-C comes first."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """The entry point of the ``headrace`` command."""
    try:
        from operations.cli import app  # noqa: PLC0415  # takes a good part of a second

        if "_HEADRACE_COMPLETE" in os.environ:
            from typer.completion import completion_init  # type: ignore[attr-defined]  # noqa: PLC0415  # for shells

            completion_init()
        app()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
