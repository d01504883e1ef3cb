"""The documents' curl examples, as ``docs/families/try-all.sh`` runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.running_gateway import ADMIN_KEY

if TYPE_CHECKING:
    from tests.support.running_installation import Installation

SCRIPT = Path(__file__).parents[2] / "docs" / "families" / "try-all.sh"
FAMILIES = sorted(path.stem for path in (SCRIPT.parent / "try").glob("*.sh"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("family", FAMILIES)
def test_every_example_is_answered_as_the_document_says(
    installation: Installation, tmp_path: Path, family: str
) -> None:
    environment = {
        **os.environ,
        "PYTHON": sys.executable,
        "HEADRACE_HTTP_PORT": installation.gateway.url.rsplit(":", 1)[1],
        "HEADRACE_REALTIME_PORT": installation.realtime_url.rsplit(":", 1)[1],
        "HEADRACE_ADMIN_KEY": ADMIN_KEY,
        "HEADRACE_DATA_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [SCRIPT, family],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " 0 failed" in done.stdout
