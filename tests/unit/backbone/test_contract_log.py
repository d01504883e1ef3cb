from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine

from backbone.catalog.secrets import SecretBox
from backbone.contract_log import Executions
from backbone.ledger.contract_calls import ExecutionQueries
from schemas.model.contract_call import Call, CallAnswer, Execution

ACCOUNT = Execution(
    request=Call(method="POST", url="http://there"), response=CallAnswer(status=200, start_time="1", end_time="2")
)


@pytest.mark.parametrize(("keys", "shown"), [(["new", "old"], ACCOUNT), (["new"], None)])
async def test_an_account_whose_key_is_gone_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, keys: list[str], shown: Execution | None
) -> None:
    sealed = SecretBox(["old"]).seal(ACCOUNT.to_json())
    monkeypatch.setattr(ExecutionQueries, "execution", lambda *_: sealed)
    nothing: Any = None
    executions = Executions(
        ledger=create_engine("sqlite://"),
        secrets=SecretBox(keys),
        publisher=nothing,
        idempotency=nothing,
        producer=nothing,
    )

    assert await executions.account("d") == shown
