"""Which points of an exchange with the server differ in what a process leaves behind that is struck there."""

from __future__ import annotations

import pytest

from tests.support.faults import WAYS, Gate, Line

BEFORE = ["fail_before", "die_before"]
AFTER = ["fail_after", "die_after"]


@pytest.mark.parametrize(
    ("sent", "stores"),
    [
        ("GET", []),
        ("WATCH HGET ZRANGE", []),
        ("SET", [1]),
        ("SET HGET XADD", [1, 3]),
        ("MULTI SET XADD EXEC", [4]),
        ("SET MULTI GET XADD EXEC WATCH HGET", [1, 5]),
        ("MULTI SET EXEC SET", [3, 4]),
        ("NEW", [1]),
    ],
)
def test_points_differ_where_something_is_stored_between_them(sent: str, stores: list[int]) -> None:
    """A read changes nothing, nor does a transaction before its EXEC; what is not known to read may write."""
    gate = Gate()
    assert gate.pass_through(Line("api", gate), [(name.encode(), "key") for name in sent.split()]) is None
    assert gate.apart == [*((way, 1) for way in BEFORE), *((way, at) for at in stores for way in AFTER)]


def test_points_are_numbered_over_all_exchanges() -> None:
    """By the numbers that a gate strikes at; each that it names can be struck."""
    gate = Gate()
    exchanges = [["WATCH", "GET"], ["MULTI", "SET", "EXEC"], ["ZADD"]]
    for exchange in exchanges:
        gate.pass_through(Line("api", gate), [(name,) for name in exchange])
    assert gate.apart == [
        *((way, at) for at in (1,) for way in BEFORE),
        *((way, at) for at in (3,) for way in BEFORE),
        *((way, at) for at in (5,) for way in AFTER),
        *((way, at) for at in (6,) for way in BEFORE),
        *((way, at) for at in (6,) for way in AFTER),
    ]
    assert {way for way, _ in gate.apart} == set(WAYS)
