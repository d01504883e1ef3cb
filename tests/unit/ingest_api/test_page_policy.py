from __future__ import annotations

import base64
import hashlib

from ingest_api.page_policy import page_headers


def test_a_page_runs_its_own_scripts_only_and_in_no_frame() -> None:
    script = "\n  let it = 1;\n"
    headers = page_headers(f"<p>page</p><script src='/x.js'></script><script>{script}</script>")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = headers["content-security-policy"].split("; ")
    assert f"script-src 'self' 'sha256-{digest}'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-frame-options"] == "DENY"
