from __future__ import annotations

from backbone.catalog.indexes import Group


def test_keys_are_listed_once_in_the_order_they_were_added() -> None:
    group = Group()
    for key in ("b", "a", "c"):
        group.add("clients", "acme", key)
    group.add("clients", "other", "d")
    group.discard("clients", "acme", "a")
    group.discard("clients", "nobody", "a")
    assert group.keys("clients", "acme") == ("b", "c")
    assert group.keys("clients", "other") == ("d",)
    assert group.keys("clients", "nobody") == group.keys("endpoints", "acme") == ()


def test_a_copy_and_its_original_do_not_follow_each_other() -> None:
    original = Group()
    for key in ("a", "b"):
        original.add("clients", "acme", key)
    copy = original.copy()
    original.discard("clients", "acme", "a")
    copy.add("clients", "acme", "c")
    copy.add("clients", "other", "d")
    assert original.keys("clients", "acme") == ("b",)
    assert original.keys("clients", "other") == ()
    assert copy.keys("clients", "acme") == ("a", "b", "c")
    again = original.copy()
    original.add("clients", "acme", "e")
    original.discard("clients", "acme", "b")
    assert (original.keys("clients", "acme"), again.keys("clients", "acme")) == (("e",), ("b",))
