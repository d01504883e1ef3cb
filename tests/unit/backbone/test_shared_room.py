"""The room that workspaces share."""

from __future__ import annotations

import pytest

from backbone.shared_room import SharedRoom


def filled(room: SharedRoom, *workspaces: str) -> list[int]:
    """What each has when all take one after the other as long as they may."""
    while any(taking := [each for each in workspaces if room.has_for(each, 1)]):
        for each in taking:
            if room.has_for(each, 1):
                room.take(each, 1)
    return [room.used_by(each) for each in workspaces]


@pytest.mark.parametrize("number", [1, 2, 3, 10])
def test_each_has_the_same_and_there_is_room_for_another(number: int) -> None:
    room = SharedRoom(1_000)
    workspaces = [f"w{each}" for each in range(number)]
    shares = filled(room, *workspaces)
    assert min(shares) >= 0.7 * 1_000 / number
    assert max(shares) - min(shares) <= 1
    assert 0 < room.used < 1_000
    (another,) = filled(room, "another")
    assert another > 0
    assert room.used < 1_000


def test_what_is_given_back_is_free_again() -> None:
    room = SharedRoom(10)
    filled(room, "a")
    room.give_back("a", 8)
    assert (room.used, room.used_by("a"), room.has_for("a", 8)) == (0, 0, True)


def test_one_that_has_nothing_may_take_more_than_its_share() -> None:
    room = SharedRoom(10)
    assert room.has_for("a", 100)
    room.take("a", 1)
    assert not room.has_for("a", 8)
