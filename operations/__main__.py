"""``headrace``, also as ``python -m operations``: the command line, loaded where Ctrl-C already ends without a traceback."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """The entry point of the ``headrace`` command."""
    try:
        from operations.cli import app  # noqa: PLC0415  # takes a good part of a second

        app()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
