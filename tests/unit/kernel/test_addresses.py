from __future__ import annotations

import pytest

from popoff.kernel.addresses import is_near, place_of


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_one_subscriber_is_one_place(address: str, place: str) -> None:
    assert place_of(address) == place


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.1.9", True),
        ("::1", True),
        ("fd00::1", True),
        ("::ffff:10.1.2.3", True),
        ("93.184.216.34", False),
        ("::ffff:93.184.216.34", False),
        ("2606:2800:220:1::1", False),
        ("unknown", False),
        ("1.2.3.4:5678", False),
        ("", False),
    ],
)
def test_near_is_this_machine_and_its_private_network(address: str, near: bool) -> None:
    assert is_near(address) is near
