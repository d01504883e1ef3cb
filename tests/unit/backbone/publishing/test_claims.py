"""Who holds a key, as the log says."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from backbone.process.process_identity import has_ended, this_process
from backbone.publishing.claims import Claim, ClaimRecord, HeldClaims

DIGEST = b"d" * 16
NOW = 1_700_000_000_000


class _OlderAnswers(msgspec.Struct, frozen=True, array_like=True):
    """The value of a record as releases without claims read it."""

    client: str
    answers: list[tuple[bytes, msgspec.Raw]]


def claim(over: int = -1, since: int = 0) -> Claim:
    return Claim(DIGEST, b"b", ((0, 2),), since=since, over=over)


def claims(*made: Claim, **fields: Any) -> ClaimRecord:
    return ClaimRecord("c", claims=made, owner=fields.pop("owner", ""), lease=150.0, topics=("t",), **fields)


def held_at(held: HeldClaims) -> int | None:
    found = held.get(DIGEST)
    return found and found.offset


def test_the_first_claim_holds_the_key_until_it_is_released_or_answered() -> None:
    held = HeldClaims()
    held.apply(claims(claim()), 10, NOW)
    held.apply(claims(claim()), 11, NOW)
    assert held_at(held) == 10
    held.apply(ClaimRecord("c", released=((DIGEST, 11),)), 12, NOW)
    assert held_at(held) == 10
    held.apply(ClaimRecord("c", released=((DIGEST, 10),)), 13, NOW)
    assert held_at(held) is None
    held.apply(claims(claim()), 14, NOW)
    held.answered([DIGEST])
    assert held_at(held) is None


def test_of_those_who_take_a_claim_over_the_first_holds_the_key_and_knows_where_to_look() -> None:
    held = HeldClaims()
    held.apply(claims(claim()), 10, NOW)
    held.apply(claims(claim(over=10, since=NOW)), 20, NOW + 5)
    held.apply(claims(claim(over=10, since=NOW)), 21, NOW + 6)
    found = held.get(DIGEST)
    assert found is not None
    assert (found.offset, found.since, found.places) == (20, NOW, (("t", 2),))


def test_a_key_that_was_taken_over_and_given_up_is_looked_for_by_the_next_one_too() -> None:
    held = HeldClaims()
    held.apply(claims(claim()), 10, NOW)
    held.apply(claims(claim(over=10, since=NOW)), 20, int(time.time() * 1_000))
    held.apply(ClaimRecord("c", released=((DIGEST, 20),)), 21, NOW)
    found = held.get(DIGEST)
    assert found is not None
    assert found.is_void
    assert found.since == NOW


def test_a_claim_is_void_when_its_lease_or_its_worker_has_ended() -> None:
    ended = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = this_process().split("/")
    name[-2] = str(ended.pid)
    name[-1] = Path(f"/proc/{ended.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    other = "/".join(name)
    assert not has_ended(this_process())
    assert not has_ended(other)
    now = int(time.time() * 1_000)
    held = HeldClaims()
    held.apply(claims(claim(), owner=other), 1, now)
    found = held.get(DIGEST)
    assert found is not None
    assert not found.is_void
    assert msgspec.structs.replace(found, at=now - 151_000).is_void
    ended.kill()
    while not has_ended(other):  # also before anybody has waited for it
        time.sleep(0.01)
    assert found.is_void
    ended.communicate()
    assert found.is_void


def test_processes_of_which_nothing_is_known_have_not_ended() -> None:
    for process in ("", "another-boot/pid:[1]/1/2", "x"):
        assert not has_ended(process)


def test_releases_without_claims_find_nothing_in_them() -> None:
    value = msgspec.msgpack.encode(claims(claim()))
    assert msgspec.msgpack.decode(value, type=_OlderAnswers).answers == []


def test_claims_older_than_the_window_are_forgotten() -> None:
    held = HeldClaims()
    held.apply(claims(claim()), 10, NOW)
    held.forget(NOW)
    assert held_at(held) == 10
    held.forget(NOW + 1)
    assert held_at(held) is None
