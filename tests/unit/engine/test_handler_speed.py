"""Which handlers count as quick."""

from __future__ import annotations

from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.heuristics import QUICK_HANDLER_S, SLOW_HANDLER_S, SPEED_KNOWN_AFTER

BETWEEN_S = (QUICK_HANDLER_S + SLOW_HANDLER_S) / 2


def seen(*took_s: float) -> HandlerSpeed:
    """The handler took so long, so often that its speed is believed."""
    speed = HandlerSpeed()
    for each in took_s:
        for _ in range(10 * SPEED_KNOWN_AFTER):
            speed.observe("h", each)
    return speed


def test_nothing_is_quick_that_has_hardly_been_seen() -> None:
    """One quick call says little."""
    speed = HandlerSpeed()
    for _ in range(SPEED_KNOWN_AFTER - 1):
        speed.observe("h", QUICK_HANDLER_S / 2)
    assert not speed.is_quick("h")
    speed.observe("h", QUICK_HANDLER_S / 2)
    assert speed.is_quick("h")


def test_a_quick_handler_stays_quick_until_it_is_clearly_slow() -> None:
    """A busy machine does not move it to and fro."""
    assert seen(QUICK_HANDLER_S / 2, BETWEEN_S).is_quick("h")
    assert not seen(QUICK_HANDLER_S / 2, 2 * SLOW_HANDLER_S).is_quick("h")


def test_a_slow_handler_stays_slow_until_it_is_quick() -> None:
    """To be near the limit does not suffice."""
    assert not seen(BETWEEN_S).is_quick("h")
    assert not seen(2 * SLOW_HANDLER_S, BETWEEN_S).is_quick("h")
    assert seen(2 * SLOW_HANDLER_S, QUICK_HANDLER_S / 2).is_quick("h")
