"""The Exchange document's cases of event files: what a pull subscriber lists, gets and deletes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from backbone.event_files import EventFiles
from tests.support.running_installation import EVENTS_IN_A_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from tests.support.exchange_account import ExchangeAccount, ExchangeEndpoint

FILES = "/v1/eventfiles"
PULL = {"enabled": True, "destinationType": "pull"}
WHEN = "2015-02-28T20:16:12.000Z"


@pytest.fixture(scope="module")
def account(exchange: ExchangeAccount, processors: None, files: None) -> ExchangeAccount:
    """An account with the planes behind its gateway that make files."""
    return exchange


class Pair:
    """A publisher, and a consumer that pulls what it subscribed to."""

    def __init__(self, account: ExchangeAccount) -> None:
        self.account = account
        self.publisher = account.endpoint(source=True, identifiers=("email",), provider="Acme")
        self.consumer = account.endpoint(destination=PULL)
        self.code = f"code-{uuid4()}"
        self.publisher.register(self.code).raise_for_status()
        account.subscribe(self.consumer, self.publisher, self.code)
        self.published = 0
        self._files = EventFiles(account.gateway.directory / "files")

    def publish(self, count: int) -> None:
        """So many events, numbered through, with a total that is kept as text."""
        events = [event(self.code, self.published + number) for number in range(count)]
        post(self.publisher, events)
        self.published += count

    def names(self) -> list[str]:
        """All files of the consumer, also those that the list does not show."""
        return self._files.names(self.consumer.id, 1_000_000)

    def cut(self, files: int) -> list[str]:
        """Publish what makes at least so many files; their names."""
        self.publish(files * EVENTS_IN_A_FILE)
        wait(lambda: len(self.stored()) == self.published, "everything is in files")
        return self.names()

    def stored(self) -> list[dict[str, Any]]:
        """The lines of all files."""
        found = []
        for name in self.names():
            with self._files.open(self.consumer.id, name) as file:
                found += [json.loads(line) for line in file.read().splitlines()]
        return found


@pytest.fixture
def pair(account: ExchangeAccount) -> Pair:
    return Pair(account)


@pytest.fixture(scope="module")
def twelve(account: ExchangeAccount) -> Pair:
    """A consumer with twelve files, for tests that delete none."""
    made = Pair(account)
    made.cut(12)
    assert len(made.names()) >= 12
    return made


def event(code: str, number: int) -> dict[str, Any]:
    return {
        "code": code,
        "timestamp": WHEN,
        "channel": "mobile",
        "identifiers": [{"name": "email", "value": f"person-{number}@example.org"}],
        "attributes": [
            {"name": "productID", "value": f"P-{number}", "type": "string"},
            {"name": "orderTotal", "value": "125.50", "type": "number"},
        ],
    }


def post(publisher: ExchangeEndpoint, events: Sequence[dict[str, Any]]) -> None:
    with publisher.client() as http:
        http.post("/v1/event", json={"events": events}).raise_for_status()


def wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"not within two minutes: {what}"
        time.sleep(0.05)


def listed(http: httpx.Client, **params: Any) -> list[str]:
    names: list[str] = http.get(FILES, params=params).raise_for_status().json()
    return names


def assert_error(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    body = answer.json()
    assert list(body) == ["message", "code", "errors"]
    assert body["code"] == status
    assert body["message"]


def test_A_100_no_files_yet(pair: Pair) -> None:
    with pair.consumer.client() as http:
        answer = http.get(FILES)
    assert (answer.status_code, answer.json()) == (200, [])


def test_A_101_published_events_come_as_a_file(pair: Pair) -> None:
    pair.publish(1)
    with pair.consumer.client() as http:
        wait(lambda: bool(listed(http)), "a file is listed")
        answer = http.get(FILES)
    assert answer.headers["content-type"] == "application/json"
    assert all(isinstance(name, str) for name in answer.json())


def test_A_102_ten_names_at_most(twelve: Pair) -> None:
    with twelve.consumer.client() as http:
        names = listed(http)
    assert names == twelve.names()[:10]
    assert len(set(names)) == 10


def test_A_103_fewer_names_when_asked(twelve: Pair) -> None:
    with twelve.consumer.client() as http:
        assert listed(http, numFiles=5) == twelve.names()[:5]


def test_A_104_fewer_files_than_asked_for(pair: Pair) -> None:
    names = pair.cut(2)
    assert len(names) < 10
    with pair.consumer.client() as http:
        assert listed(http, numFiles=len(names) + 1) == names


def test_A_105_more_than_ten_asked_for(twelve: Pair) -> None:
    with twelve.consumer.client() as http:
        assert len(listed(http, numFiles=50)) == 10
        assert len(listed(http, numFiles="9" * 5_000)) == 10


@pytest.mark.parametrize("text", ["0", "000", "-1", "five", "2.5", "", " 5", "\N{SUPERSCRIPT TWO}"])
def test_A_106_a_number_of_files_that_is_none(twelve: Pair, text: str) -> None:
    with twelve.consumer.client() as http:
        answer = http.get(FILES, params={"numFiles": text})
    assert_error(answer, 400)
    assert answer.json()["errors"][0]["path"] == "numFiles"


def test_A_107_a_file_has_the_events_with_their_attributes(pair: Pair) -> None:
    (name, *_) = pair.cut(1)
    with pair.consumer.client() as http:
        answer = http.get(f"{FILES}/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.content.endswith(b"\n")
    line = json.loads(answer.content.splitlines()[0])
    assert line.pop("offset") >= 0
    assert line.pop("x1Id")
    number = line["identifiers"][0]["value"].removeprefix("person-").removesuffix("@example.org")
    assert line == {
        "provider": "Acme",
        "source": pair.publisher.name,
        "channel": "mobile",
        "identifiers": [{"name": "email", "value": f"person-{number}@example.org"}],
        "events": [
            {
                "code": pair.code,
                "timestamp": WHEN,
                "attributes": [
                    {"name": "productID", "value": f"P-{number}", "type": "String"},
                    {"name": "orderTotal", "value": "125.50", "type": "Number"},
                ],
            }
        ],
    }


def test_A_108_getting_a_file_leaves_it_on_the_list(twelve: Pair) -> None:
    with twelve.consumer.client() as http:
        before = listed(http)
        http.get(f"{FILES}/{before[0]}").raise_for_status()
        assert listed(http) == before


def test_A_109_a_file_can_be_got_again(twelve: Pair) -> None:
    with twelve.consumer.client() as http:
        (name,) = listed(http, numFiles=1)
        assert http.get(f"{FILES}/{name}").content == http.get(f"{FILES}/{name}").content


def test_A_110_a_deleted_file_is_off_the_list(pair: Pair) -> None:
    names = pair.cut(2)
    with pair.consumer.client() as http:
        answer = http.delete(f"{FILES}/{names[0]}")
        assert answer.is_success
        assert listed(http) == names[1:]


def test_A_111_files_that_are_not_deleted_hide_later_ones(twelve: Pair) -> None:
    with twelve.consumer.client() as http:
        names = listed(http)
        for name in names:
            http.get(f"{FILES}/{name}").raise_for_status()
        assert listed(http) == names
    hidden = twelve.names()[10:]
    assert len(hidden) >= 2
    assert not set(hidden) & set(names)


def test_A_112_deleting_files_uncovers_later_ones(pair: Pair) -> None:
    names = pair.cut(12)
    with pair.consumer.client() as http:
        for name in names[:2]:
            http.delete(f"{FILES}/{name}").raise_for_status()
        assert listed(http) == names[2:12]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "name",
    ["unknown", f"{7:020d}-p0-nobody.jsonl", "..%2F..%2Fadmin-key", "a%2F..%2F..%2Fadmin-key", "%00", "x" * 5_000],
)
def test_A_113_an_unknown_name(twelve: Pair, method: str, name: str) -> None:
    with twelve.consumer.client() as http:
        assert_error(http.request(method, f"{FILES}/{name}"), 404)


def test_A_113_a_deleted_file(pair: Pair) -> None:
    (name, *_) = pair.cut(1)
    with pair.consumer.client() as http:
        assert http.delete(f"{FILES}/{name}").status_code == 200
        assert_error(http.get(f"{FILES}/{name}"), 404)
        assert_error(http.delete(f"{FILES}/{name}"), 404)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_A_114_another_endpoints_file(twelve: Pair, pair: Pair, method: str) -> None:
    name = twelve.names()[0]
    with pair.consumer.client() as http:
        assert_error(http.request(method, f"{FILES}/{name}"), 404)
        assert_error(http.request(method, f"{FILES}/..%2F{twelve.consumer.id}%2F{name}"), 404)
    assert twelve.names()[0] == name


def test_A_115_the_path_as_the_text_spells_it(pair: Pair) -> None:
    (name, *_) = pair.cut(1)
    with pair.consumer.client() as http:
        assert http.delete(f"/v1/eventfile/{name}").status_code == 200
        assert name not in listed(http)


@pytest.mark.parametrize(("method", "path"), [("GET", FILES), ("GET", f"{FILES}/a"), ("DELETE", f"{FILES}/a")])
class TestKeys:
    def test_A_116_no_key(self, account: ExchangeAccount, method: str, path: str) -> None:
        with account.gateway.client(None) as http:
            assert_error(http.request(method, path), 401)
        with account.gateway.client("unknown:US") as http:
            assert_error(http.request(method, path), 401)

    def test_A_117_a_key_of_another_level(self, account: ExchangeAccount, method: str, path: str) -> None:
        for key in (account.account_key, account.application_key):
            with account.gateway.client(key) as http:
                assert_error(http.request(method, path), 403)

    def test_A_118_an_endpoint_that_does_not_pull(self, account: ExchangeAccount, method: str, path: str) -> None:
        push = account.endpoint(destination={"enabled": True, "url": "https://example.org"})
        for endpoint in (push, account.endpoint(source=True)):
            with endpoint.client() as http:
                assert_error(http.request(method, path), 403)


def test_A_119_only_what_is_subscribed_to_is_in_files(pair: Pair) -> None:
    unsubscribed = f"code-{uuid4()}"
    pair.publisher.register(unsubscribed).raise_for_status()
    other = pair.account.endpoint(source=True, identifiers=("email",))
    other.register(pair.code).raise_for_status()
    post(pair.publisher, [event(unsubscribed, 1)])
    post(other, [event(pair.code, 2)])
    pair.publish(1)
    wait(lambda: bool(pair.names()), "a file")
    pair.publish(1)
    wait(lambda: len(pair.stored()) == 2, "both events are in files")
    assert {line["events"][0]["code"] for line in pair.stored()} == {pair.code}
    assert {line["source"] for line in pair.stored()} == {pair.publisher.name}


def test_A_120_every_event_is_in_exactly_one_file(pair: Pair) -> None:
    for _ in range(10):
        pair.publish(1_000)
    found: list[str] = []

    def everything_came() -> bool:
        for name in listed(http):
            content = http.get(f"{FILES}/{name}").raise_for_status().content
            found.extend(json.loads(line)["events"][0]["attributes"][0]["value"] for line in content.splitlines())
            http.delete(f"{FILES}/{name}").raise_for_status()
        return len(found) >= 10_000

    with pair.consumer.client() as http:
        wait(everything_came, "ten thousand events")
        # Time for what should not come.
        pair.publish(1)
        wait(lambda: everything_came() and f"P-{10_000}" in found, "one more event")
    assert sorted(found) == sorted(f"P-{number}" for number in range(10_001))


def test_A_121_a_pull_subscriber_sees_the_event_of_each_publisher(pair: Pair) -> None:
    other = pair.account.endpoint(source=True, identifiers=("email",), provider="Other")
    other.register(pair.code).raise_for_status()
    pair.account.subscribe(pair.consumer, other, pair.code)
    pair.publish(3)
    post(other, [event(pair.code, 7)])
    wait(lambda: len(pair.stored()) == 4, "everything is in files")
    assert {line["provider"] for line in pair.stored()} == {"Acme", "Other"}
    # Files are of one publisher each.
    assert len(pair.names()) >= 2
