"""Checks of the gateway over HTTP: does it answer, is it ready, and what does it know to be wrong?"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from operations.api.client import connected
from operations.doctor.findings import fault, warning
from operations.errors import CallFailed, NotKnown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from operations.doctor.findings import Finding
    from operations.doctor.site import Site

_SECONDS = 5.0
_SKEW = 3.0
"""Seconds: a Date header has whole ones, and the answer was on its way."""

_FAULTS = {"no_progress", "retention"}
_KNOWN_OTHERWISE = {"no_leader", "under_replicated"}
"""Problems that Kafka is asked about directly, for all topics at once."""


def answers(site: Site) -> Iterator[Finding]:
    """Find a gateway that does not answer, is not ready, refuses our key, or whose clock differs from ours."""
    try:
        status, headers, body = _get(f"{site.url}/readyz")
    except OSError as error:
        why = getattr(error, "reason", error)
        yield fault(
            "missing-plane",
            f"No gateway answers at {site.url}, so nothing can be published: {why}.",
            "Start it with headrace ingest; on one machine headrace up runs all planes. If it is elsewhere, set"
            " HEADRACE_URL.",
        )
        return
    if status != HTTPStatus.OK:
        yield fault(
            "not-ready",
            f"The gateway at {site.url} cannot work: {_reason(body)}",
            "Mend what it names; it is ready again by itself. Its log is logs/ingest.log of its data directory.",
        )
    yield from _clock(site, headers)


def credential(site: Site) -> Iterator[Finding]:
    """Find an API key that the gateway does not know: it runs with other secrets, or with another data directory."""
    try:
        _called(site, "/workspaces", limit="1")
    except CallFailed as error:
        if error.status != HTTPStatus.UNAUTHORIZED:
            raise NotKnown(str(error)) from error
        yield fault(
            "wrong-key",
            f"The gateway at {site.url} does not know our API key.",
            "Set HEADRACE_KEY, or HEADRACE_ADMIN_KEY to the gateway's, or HEADRACE_DATA_DIR to its data directory.",
        )


def snapshot(site: Site) -> Iterator[Finding]:
    """Find what the gateway's figures show: hot keys, lag, partitions without progress."""
    try:
        found = _called(site, "/operations")
    except CallFailed as error:
        raise NotKnown(str(error)) from error
    for problem in found["problems"]:
        if problem["kind"] not in _KNOWN_OTHERWISE:
            kind = fault if problem["kind"] in _FAULTS else warning
            yield kind(problem["kind"].replace("_", "-"), f"{problem['what']} {problem['cause']}", problem["cure"])


def _clock(site: Site, headers: Message) -> Iterator[Finding]:
    told = headers.get("Date")
    if told is None:
        return
    skew = parsedate_to_datetime(told).timestamp() - site.now()
    if abs(skew) > _SKEW:
        yield warning(
            "clock-skew",
            f"The clock of the gateway at {site.url} is {abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} this"
            " machine's.",
            "Run chronyc makestep (or timedatectl set-ntp true) on both machines.",
        )


def _called(site: Site, path: str, **query: str) -> Any:
    target = site.target
    if target is None:
        raise NotKnown(site.no_target)

    async def call() -> Any:
        async with connected(target.url, target.key) as api, asyncio.timeout(_SECONDS):
            return await api.get(path, **query)

    try:
        return asyncio.run(call())
    except TimeoutError as error:
        raise NotKnown(f"The gateway did not answer {path} within {_SECONDS:g} s.") from error


def _get(url: str) -> tuple[int, Message, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  # a gateway's, which is http(s)
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def _reason(body: bytes) -> str:
    try:
        told = json.loads(body)
        return str(told.get("reason") or told.get("detail") or told)
    except (ValueError, AttributeError):
        return body.decode(errors="replace")[:500]
