"""``docs/webhooks.md``: the verifiers that it shows accept what is sent, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from connectors.webhook.signing import signature_headers, signing_key

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ANOTHER = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
BODY = '{"amount":125.50,"name":"Žluťoučký"}'


def verifier(language: str) -> str:
    found = re.search(rf"^```{language} verify\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def requests() -> list[tuple[str, dict[str, str], str, bool]]:
    """Secret, headers and body, and whether they are genuine."""
    now = int(time.time())
    signed = signature_headers([signing_key(NEW), signing_key(OLD)], "msg_1", now, BODY.encode())
    stale = signature_headers([signing_key(NEW)], "msg_1", now - 3_600, BODY.encode())
    early = signature_headers([signing_key(NEW)], "msg_1", now + 3_600, BODY.encode())
    return [
        (NEW, signed, BODY, True),
        (OLD, signed, BODY, True),
        (ANOTHER, signed, BODY, False),
        (NEW, signed, f"{BODY} ", False),
        (NEW, signed | {"webhook-id": "msg_2"}, BODY, False),
        (NEW, signed | {"webhook-signature": "v1,AAAA v1a,x v1"}, BODY, False),
        (NEW, stale, BODY, False),
        (NEW, early, BODY, False),
    ]


@pytest.mark.parametrize("language", ["python", "javascript", "go", "java", "ruby"])
def test_there_is_one_in_each_language(language: str) -> None:
    assert "webhook-signature" in verifier(language)


def test_the_one_in_python() -> None:
    namespace: dict[str, Any] = {}
    exec(verifier("python"), namespace)  # noqa: S102  # it is ours
    verify = namespace["verify"]
    assert [verify(secret, headers, body.encode()) for secret, headers, body, _ in requests()] == [
        genuine for *_, genuine in requests()
    ]


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_the_one_in_javascript() -> None:
    script = f"""{verifier("javascript")}
    const requests = JSON.parse(require("node:fs").readFileSync(0));
    console.log(JSON.stringify(requests.map(([secret, headers, body]) => verify(secret, headers, Buffer.from(body)))));
    """
    given = requests()
    ran = subprocess.run(["node", "-e", script], input=json.dumps(given), capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [genuine for *_, genuine in given]
