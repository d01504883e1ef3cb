"""``python -m operations`` is ``headrace``."""

from __future__ import annotations

from operations.cli import main

if __name__ == "__main__":
    main()
