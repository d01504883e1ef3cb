from __future__ import annotations

import pytest

from families.envoy.model import OrganisationChannel, channel_name, read_channel


@pytest.mark.parametrize(
    ("channel", "namespace", "users"),
    [
        ("shipments:org_1", "shipments", None),
        ("shipments:org_1#usr_1", "shipments", ("usr_1",)),
        ("shipments:org_1#usr_1,usr_2", "shipments", ("usr_1", "usr_2")),
        ("shipments:org_1#", "shipments", ("",)),
        ("a:b:org_1", "a:b", None),
    ],
)
def test_a_channel_says_its_namespace_and_users(channel: str, namespace: str, users: tuple[str, ...] | None) -> None:
    assert read_channel(channel, "org_1") == OrganisationChannel(namespace, users)
    assert channel_name(namespace, "org_1", *(users or ())) == channel


@pytest.mark.parametrize(
    "channel",
    [
        "",
        "shipments",
        "org_1",
        ":org_1",
        "shipments:org_12",
        "shipments:org_1:x",
        "shipments:org_2#usr_1",
        "shipments#org_1",
    ],
)
def test_other_channels_are_of_another_organisation(channel: str) -> None:
    assert read_channel(channel, "org_1") is None
