"""What the schemas allow, and what they do not, sent to every operation: no 5xx, no status that is not documented.

The schemas are the OpenAPI document and the event service's GraphQL schema.

``HEADRACE_FUZZ_EXAMPLES`` is the number of requests of each kind to each operation; ``make fuzz`` sends many.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from operations.broker.selection import BrokerKind, Choice, running
from operations.errors import CannotStart
from operations.supervisor.ports import free_port
from tests.support.credentials import EVENT_SERVICE, EVENTHOS_SENDER, credentials_on
from tests.support.running_gateway import running_gateway
from tests.support.without_kafka import not_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import SearchStrategy

EXAMPLES = int(os.environ.get("HEADRACE_FUZZ_EXAMPLES", "3"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    database=None,
    derandomize="HEADRACE_FUZZ_EXAMPLES" not in os.environ,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

_SECONDS = 60
"""For one answer."""

pytestmark = [
    pytest.mark.timeout(0 if "HEADRACE_FUZZ_EXAMPLES" in os.environ else 600),
    # Of the libraries that make the requests.
    pytest.mark.filterwarnings("ignore"),
]


@dataclass(frozen=True, kw_only=True)
class Fuzzed:
    """A gateway that nobody else uses, with a credential for each security scheme."""

    url: str
    credentials: dict[str, str]
    document: dict[str, Any]
    session: requests.Session

    def headers(self, scheme: str | None) -> dict[str, str]:
        """What goes along with a request to an operation of that scheme."""
        if scheme is None:
            return {}
        credential = self.credentials[scheme]
        return {"access-key": credential} if scheme == EVENTHOS_SENDER else {"Authorization": f"Bearer {credential}"}

    def statuses(self, requests_to_send: SearchStrategy[Case], headers: dict[str, str]) -> dict[int, str]:
        """Every status that came, with the first request that was answered so."""
        found: dict[int, str] = {}

        @SETTINGS
        @given(requests_to_send)
        def send(case: Case) -> None:
            answer = case.call(base_url=self.url, session=self.session, headers=headers, timeout=_SECONDS)
            found.setdefault(answer.status_code, f"{case.as_curl_command()}\n{answer.text[:500]}")

        try:
            send()
        except Unsatisfiable:
            return {}  # an operation without parameters can be sent nothing that is wrong
        return found


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """On a broker of its own: what is made up here should not be in other tests' way, nor be deleted from them."""
    home = tmp_path_factory.mktemp("fuzzed")
    try:
        broker = Choice(home, environment={}, report=print, port=free_port(), stand_in=False).broker(BrokerKind.JARS)
    except CannotStart as error:
        not_run("a Kafka of its own", error)
    with (
        running(broker, home / "broker.log"),
        running_gateway(broker.bootstrap_servers, home) as gateway,
        requests.Session() as session,
    ):
        credentials = credentials_on(gateway)
        document = session.get(f"{gateway.url}/openapi.json", timeout=_SECONDS).json()
        yield Fuzzed(url=gateway.url, credentials=credentials, document=document, session=session)


@pytest.fixture(scope="module")
def graphql() -> schemathesis.BaseSchema:
    text = (resources.files("families.event_service.http") / "schema.graphql").read_text()
    return schemathesis.graphql.from_file(text)


def test_graphql_is_answered_with_data_or_with_errors_that_are_the_callers(
    fuzzed: Fuzzed, graphql: schemathesis.BaseSchema
) -> None:
    headers = fuzzed.headers(EVENT_SERVICE)
    fields = [result.ok() for result in graphql.get_all_operations()]
    assert len(fields) >= 10
    for field in fields:

        @SETTINGS
        @given(field.as_strategy())
        def send(case: Case) -> None:
            body = {"query": case.body}
            answer = fuzzed.session.post(
                f"{fuzzed.url}/event-service/graphql", json=body, headers=headers, timeout=_SECONDS
            )
            assert answer.status_code == 200, (case.body, answer.text)
            content = answer.json()
            assert content.keys() & {"data", "errors"}
            # What our own mistakes are told as.
            assert "failed at something of its own" not in answer.text, case.body

        send()


def test_every_operation_answers_only_what_it_documents(fuzzed: Fuzzed) -> None:
    surprises: dict[str, str] = {}
    sent: Counter[int] = Counter()
    for operation in (result.ok() for result in schemathesis.openapi.from_dict(fuzzed.document).get_all_operations()):
        declared = operation.definition.raw
        documented = {int(status) for status in declared["responses"] if int(status) < 500 or status == "503"}
        scheme = next(iter(declared.get("security", [{}])[0]), None)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            found = fuzzed.statuses(operation.as_strategy(generation_mode=mode), fuzzed.headers(scheme))
            sent.update(found.keys())
            surprises |= {
                f"{operation.label}: {status}": example for status, example in found.items() if status not in documented
            }
    assert surprises == {}
    assert {200, 201, 400, 404} <= sent.keys()
