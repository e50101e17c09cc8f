"""The timer loop: when it looks for due timers, which kinds it holds, and what it survives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator

import pytest

from flowengine.engine.maintenance.timer_loop import Pauses, TimerLoop
from flowengine.errors import StoreUnavailableError
from tests.support.waiting import wait_until

Turn = Callable[[], float | None]
Starting = Callable[[TimerLoop], TimerLoop]

HOUR_S = 3600.0
HURRIED = Pauses(idle_s=0.0, after_error_s=0.0, shortest_s=0.0)
PATIENT = Pauses(idle_s=HOUR_S, after_error_s=HOUR_S)
"""Only who is woken takes another turn."""

DEADLINES = frozenset({"deadline", "stop"})
NOTHING = frozenset[str]()


class Timers:
    """A TimerStore whose turns are scripted, with a clock that only the test moves.

    It stops the loop in the turn after the last one of its script.
    """

    def __init__(self, *script: Turn) -> None:
        self.stop = threading.Event()
        self.held: list[frozenset[str]] = []
        self.clock_s = 1000.0
        self.tell: Callable[[int], None] = lambda due: None
        self.script = list(script)

    def fire_due(self, *, holding: Collection[str] = ()) -> float | None:
        """One turn."""
        self.held.append(frozenset(holding))
        if not self.script:
            self.stop.set()
            return 0.0
        return self.script.pop(0)()

    def on_armed(self, tell: Callable[[int], None]) -> None:
        """Whom to tell."""
        self.tell = tell

    def now(self) -> int:
        """The server's clock goes as this machine's does."""
        return int(self.clock_s * 1000)

    def arm(self, *, in_s: float) -> None:
        """This process arms a timer that is due in so many seconds."""
        self.tell(self.now() + int(in_s * 1000))

    def after(self, seconds: float, then: Turn) -> Turn:
        """A turn that finds so many seconds gone."""

        def turn() -> float | None:
            self.clock_s += seconds
            return then()

        return turn

    def loop(self, *, hold_s: float = 0.0, pauses: Pauses = HURRIED) -> TimerLoop:
        """A loop over it, not started."""
        return TimerLoop(self, self.stop, hold_s=hold_s, pauses=pauses, clock=lambda: self.clock_s)


def nothing() -> float | None:
    """A turn that finds no timer."""
    return None


def outage() -> float | None:
    """A turn that does not reach the store."""
    raise StoreUnavailableError("away")


def defect() -> float | None:
    """A turn that fails in a way that nobody expected."""
    raise ValueError("a timer that cannot be read")


# -- what is held


def test_deadlines_are_held_for_a_lease_after_the_start() -> None:
    """The holder of what is overdue may have been cut off too. No other kind waits."""
    timers = Timers()
    timers.script = [timers.after(11.9, nothing), timers.after(0.2, nothing)]
    timers.loop(hold_s=12.0).run()
    assert timers.held == [DEADLINES, DEADLINES, NOTHING]


def test_deadlines_are_held_again_after_an_outage() -> None:
    """From its last failure on, and not from the start."""
    timers = Timers()
    timers.script = [
        timers.after(13.0, nothing),
        timers.after(1.0, outage),
        timers.after(11.9, outage),
        timers.after(11.9, nothing),
        timers.after(0.2, nothing),
    ]
    timers.loop(hold_s=12.0).run()
    assert timers.held == [DEADLINES, NOTHING, DEADLINES, DEADLINES, DEADLINES, NOTHING]


def test_a_defect_holds_nothing() -> None:
    """The store was there: the holder of a task had every chance to report it."""
    timers = Timers()
    timers.script = [timers.after(13.0, nothing), defect]
    timers.loop(hold_s=12.0).run()
    assert timers.held == [DEADLINES, NOTHING, NOTHING]


def test_without_a_hold_nothing_waits() -> None:
    """Not at the start, and not after an outage."""
    timers = Timers(nothing, outage)
    timers.loop().run()
    assert timers.held == [NOTHING] * 3


# -- what it survives


@pytest.mark.parametrize("fails", [outage, defect])
def test_the_loop_goes_on_after_a_turn_that_failed(fails: Turn) -> None:
    """Whatever it was: without its timers an orchestrator would fail no node that hangs."""
    timers = Timers(fails, nothing)
    timers.loop().run()
    assert len(timers.held) == 3


# -- when it looks


@pytest.fixture
def started() -> Iterator[Starting]:
    """Starts a loop, and stops it when the test ends."""
    loops: list[TimerLoop] = []

    def start(loop: TimerLoop) -> TimerLoop:
        loops.append(loop)
        loop.start()
        return loop

    yield start
    for loop in loops:
        loop.stop()
        loop.join(10)
        assert not loop.is_alive(), "the loop did not stop"


def waits(loop: TimerLoop, timers: Timers, turns: int) -> bool:
    """Whether the loop has taken so many turns and waits for the next."""
    return len(timers.held) == turns and timers.clock_s < loop._next_turn_at <= timers.clock_s + HOUR_S


def test_a_timer_that_is_due_before_the_next_turn_wakes_the_loop(started: Starting) -> None:
    """One that is due later is found by that turn."""
    timers = Timers(nothing, nothing, nothing)
    loop = started(timers.loop(pauses=PATIENT))
    wait_until(lambda: waits(loop, timers, 1), what="the loop waits for an hour")
    timers.arm(in_s=2 * HOUR_S)
    assert waits(loop, timers, 1)
    timers.arm(in_s=10)
    wait_until(lambda: waits(loop, timers, 2), what="the loop has looked again")
    timers.arm(in_s=-10)
    wait_until(lambda: waits(loop, timers, 3), what="the loop has looked again")


def test_a_timer_that_is_armed_during_a_turn_wakes_the_loop(started: Starting) -> None:
    """That turn may have looked before the timer was there."""

    def turn() -> float | None:
        timers.arm(in_s=10)
        return None

    timers = Timers(turn, nothing)
    loop = started(timers.loop(pauses=PATIENT))
    wait_until(lambda: waits(loop, timers, 2), what="the loop has looked again")


def test_a_timer_that_is_armed_long_before_its_time_wakes_nobody(started: Starting) -> None:
    """The loop looks when the next timer is due, and at least every second."""
    timers = Timers(lambda: 20.0, nothing)
    loop = started(timers.loop(pauses=Pauses(idle_s=30.0)))
    wait_until(lambda: len(timers.held) == 1 and loop._next_turn_at == timers.clock_s + 20.0, what="it waits")
    timers.arm(in_s=21)
    timers.arm(in_s=20.5)
    assert len(timers.held) == 1
    timers.arm(in_s=19)
    wait_until(lambda: len(timers.held) == 2, what="the loop has looked again")


@pytest.mark.parametrize(
    ("next_due", "pause"), [(None, 1.0), (5.0, 1.0), (1.0, 1.0), (0.3, 0.3), (0.0, 0.01), (-3.0, 0.01)]
)
def test_the_next_turn_comes_when_the_next_timer_is_due(next_due: float | None, pause: float) -> None:
    """After a second at the latest, and never at once."""
    timers = Timers(lambda: next_due)
    assert timers.loop(pauses=Pauses())._turn() == pause


def test_a_loop_that_is_stopped_takes_no_other_turn(started: Starting) -> None:
    """Though it would have waited for an hour."""
    timers = Timers(nothing, nothing)
    loop = started(timers.loop(pauses=PATIENT))
    wait_until(lambda: waits(loop, timers, 1), what="the loop waits")
    loop.stop()
    loop.join(10)
    assert (loop.is_alive(), len(timers.held)) == (False, 1)
