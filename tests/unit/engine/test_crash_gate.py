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
    gate, line = _gate()
    exchanges = [["WATCH", "GET"], ["MULTI", "SET", "EXEC"], ["ZADD"]]
    for exchange in exchanges:
        gate.pass_through(line, [(name,) for name in exchange])
    assert gate.apart == [
        *((way, 1) for way in BEFORE),
        ("fail_before", 3),
        *((way, 5) for way in AFTER),
        ("fail_before", 6),
        *((way, 6) for way in AFTER),
    ]
    assert {way for way, _ in gate.apart} == set(WAYS)


def test_a_process_that_has_stored_nothing_since_dies_once() -> None:
    """An error differs with each exchange that hears of it. A death differs with what has been stored, by it
    or by another process, and with what its process has begun."""
    gate, line = _gate()
    other = Line("worker", gate)
    for who, name in ((line, "GET"), (line, "HGET"), (other, "GET"), (other, "SET"), (line, "GET")):
        gate.pass_through(who, [(name,)])
    gate.acts()
    gate.pass_through(line, [("GET",)])
    deaths = [(way, at) for way, at in gate.apart if way.startswith("die")]
    ways = ("die_before", "die_before", "die_after", "die_before", "die_before")
    assert deaths == list(zip(ways, (1, 3, 4, 5, 6), strict=True))
    assert [at for way, at in gate.apart if way == "fail_before"] == [1, 2, 3, 4, 5, 6]


def _gate() -> tuple[Gate, Line]:
    gate = Gate()
    return gate, Line("api", gate)
