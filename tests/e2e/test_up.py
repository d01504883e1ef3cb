"""One machine from nothing: the broker, the planes and the tour, as ``make run`` and ``make tour`` start them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import httpx
import pytest

from operations.supervisor.health_ports import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("jars")]

HEADRACE = [sys.executable, "-m", "operations"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a machine on which nothing is running: no Kafka is given, and the ports are whatever is free."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HEADRACE_") and name not in {"KAFKA_BOOTSTRAP_SERVERS", "PROMETHEUS_MULTIPROC_DIR"}
    }
    # A busy machine may need minutes for what else takes seconds.
    return {**kept, "HEADRACE_DATA_DIR": str(tmp_path / "data"), "HEADRACE_START_TIMEOUT": "300"}


@contextlib.contextmanager
def up(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*HEADRACE, "up", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(output: IO[str] | None, wanted: str) -> str:
    """What was printed up to that line; pytest's timeout ends a wait in vain."""
    assert output is not None
    said = ""
    for line in output:
        said += line
        if wanted in line:
            return said
    pytest.fail(f"ended without saying {wanted!r}:\n{said}")


def processes_of(data_dir: str) -> dict[int, str]:
    """Every process that was started for the data directory, by id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                environ = (entry / "environ").read_bytes()
                if f"HEADRACE_DATA_DIR={data_dir}\0".encode() in environ:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def decided(environment: dict[str, str]) -> dict[str, str]:
    text = Path(environment["HEADRACE_DATA_DIR"], "run", "environment.json").read_text(encoding="utf-8")
    content: dict[str, str] = json.loads(text)
    return content


def get(environment: dict[str, str], path: str) -> dict[str, list[dict[str, str]]]:
    key = Path(environment["HEADRACE_DATA_DIR"], "admin-key").read_text(encoding="utf-8").strip()
    url = f"http://127.0.0.1:{decided(environment)['HEADRACE_HTTP_PORT']}/headrace/v1{path}"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=20)
    content: dict[str, list[dict[str, str]]] = answer.raise_for_status().json()
    return content


ARRIVALS = {
    "CRMLS webhook": ("arrived, signature verified by standardwebhooks, a CloudEvent of its type, data as sent", 3),
    "CRMLS publication": ("as publication: arrived, a CloudEvent of its type, data as sent", 3),
    "CRMLS Avro record": (" in events.default.crmls.Offer: there, data as sent", 4),
    "CRMLS ledger": ("attempt(s): delivered", 3),
    "Exchange event file": ("file(s): all arrived, totals as sent", 1),
    "Exchange Avro record": ("2 records: there, totals as numbers, texts kept", 1),
    "eventhos answer": ("{'code': 200000, 'message': 'success'}: accepted", 1),
    "eventhos contract call": (": arrived, templates filled in", 1),
    "eventhos log": (": shows the event, contract processed", 1),
    "Envoy organisation channel": ("shp_1 on shipments:org_HeadraceTour: arrived, on its channel, data as sent", 1),
    "Envoy user channel": (
        "shp_2 on shipments:org_HeadraceTour#usr_HeadraceTour: arrived, on its channel, data as sent",
        1,
    ),
    "event service websocket": (
        "CROSSING at gate-1 on the event service's websocket: arrived, other camera kept back, data as sent",
        1,
    ),
}
"""What the tour says of each arrival, and how often."""


def check_arrivals(said: str) -> None:
    """All arrivals of the five families, each as often as it should be."""
    assert {name: said.count(text) for name, (text, _) in ARRIVALS.items()} == {
        name: count for name, (_, count) in ARRIVALS.items()
    }, said
    assert "Every arrival of the five API families was checked" in said


def test_the_tour_checks_every_arrival_and_a_second_one_finds_its_data(environment: dict[str, str]) -> None:
    first = subprocess.run(
        [*HEADRACE, "up", "--tour", "--exit"], env=environment, capture_output=True, text=True, check=False
    )
    assert first.returncode == 0, first.stdout + first.stderr
    check_arrivals(first.stdout)
    assert processes_of(environment["HEADRACE_DATA_DIR"]) == {}

    with up(environment, "--tour") as second:
        said = wait_for_line(second.stdout, "Ctrl-C stops everything")
        check_arrivals(said)
        check_health_of_each_process(environment, said)
        types = get(environment, "/event-types")["items"]
        namespaces = sorted(each["namespace"] for each in types)
        assert namespaces == ["crmls", "eventhos", "exchange"]
        # Of two tours: offers, product views, and a hire. No tour waits until the ledger has the views.
        events = 2 * (4 + 2 + 1)
        wait_until(lambda: len(get(environment, "/events")["items"]) >= events, "all events are in the ledger")
        assert len(get(environment, "/events")["items"]) == events
        check_that_ctrl_c_ends_everything(environment, second, said)


def check_health_of_each_process(environment: dict[str, str], said: str) -> None:
    """Each is asked at the port that was printed, and shows its own figures there; the HTTP port shows all."""
    ports = dict(re.findall(r"^(\w+): ready .*health and metrics at port (\d+)\)$", said, re.MULTILINE))
    assert ports.keys() == VARIABLES.keys(), said
    names = {"webhooks": "webhook", "files": "file"}
    for name, port in ports.items():
        url = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{url}/healthz", timeout=20).json() == {"status": "ok"}
        assert httpx.get(f"{url}/readyz", timeout=20).json() == {"status": "ready"}
        assert processes_shown(url) == {names.get(name, name)}
    shown = processes_shown(f"http://127.0.0.1:{decided(environment)['HEADRACE_HTTP_PORT']}")
    assert shown >= {"ingest", "router", "ledger", "replayer", "webhook", "websocket", "file"}


def processes_shown(url: str) -> set[str]:
    metrics = httpx.get(f"{url}/metrics", timeout=20).raise_for_status().text
    return set(re.findall(r'headrace_build_info{[^}]*process="(\w+)"', metrics))


def check_that_ctrl_c_ends_everything(environment: dict[str, str], up: subprocess.Popen[str], said: str) -> None:
    """``said`` is all that was printed until the last plane was ready."""
    assert "Apache Kafka" in said
    assert str(Path(environment["HEADRACE_DATA_DIR"]) / "admin-key") in said
    assert said.count("curl ") == 3
    # The command itself, the broker and six planes at least.
    started = processes_of(environment["HEADRACE_DATA_DIR"])
    assert len(started) >= 8
    assert {"router", "ledger"} <= {command.split()[-1] for command in started.values()}
    # As `headrace up | tee log` has it: who reads what is said ends by the same Ctrl-C.
    assert up.stdout is not None
    up.stdout.close()
    up.send_signal(signal.SIGINT)
    assert up.wait() == 0
    assert processes_of(environment["HEADRACE_DATA_DIR"]) == {}
    assert Path(environment["HEADRACE_DATA_DIR"], "kafka", "data", ".kafka_cleanshutdown").exists()


def test_nothing_outlives_a_supervisor_that_is_killed(environment: dict[str, str]) -> None:
    key = "hra_given-administrator-key"
    with up(environment | {"HEADRACE_ADMIN_KEY": key}) as process:
        wait_for_line(process.stdout, "Ctrl-C stops everything")
        told = {
            command.replace(sys.executable, "").strip()
            for pid, command in processes_of(environment["HEADRACE_DATA_DIR"]).items()
            if key.encode() in Path(f"/proc/{pid}/environ").read_bytes()
        }
        kafka = Path(environment["HEADRACE_DATA_DIR"], "kafka")
        passwords = [(kafka / f"{name}-password").read_bytes().strip() for name in ("planes", "broker")]
        started = processes_of(environment["HEADRACE_DATA_DIR"])
        assert any("kafka.Kafka" in command for command in started.values())
        for place in ("environ", "cmdline"):
            assert [
                command
                for pid, command in started.items()
                if any(each in Path(f"/proc/{pid}/{place}").read_bytes() for each in passwords)
            ] == []
        # The supervisor itself and the HTTP plane; no connector, and not Kafka.
        assert {command.split()[-1] for command in told} <= {"up", "ingest"}, told
        others = [path for path in Path(environment["HEADRACE_DATA_DIR"]).rglob("*") if path.stat().st_mode & 0o077]
        assert others == []
        process.kill()
        process.wait()
    left = environment["HEADRACE_DATA_DIR"]
    wait_until(lambda: not processes_of(left), "all of its processes have ended")
