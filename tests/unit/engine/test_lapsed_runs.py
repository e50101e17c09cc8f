"""When what is left of a run with queues of its own is handed over, and when that waits."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from flowengine.engine.maintenance.lapsed_runs import LapsedRuns
from flowengine.engine.maintenance.sweep import SweepLoop, SweepStore
from flowengine.errors import StoreUnavailableError
from tests.support.waiting import wait_until

LEASE_S = 12.0


class Runs:
    """An OwnQueueStore of one run that has lapsed, and the clock. `takes_s`: how long an answer takes."""

    def __init__(self) -> None:
        self.at = 100.0
        self.takes_s = 0.0
        self.away = False
        self.asked = 0
        self.handed_over: list[str] = []

    def clock(self) -> float:
        """Seconds."""
        return self.at

    def lapsed(self) -> list[str]:
        """The run."""
        self.asked += 1
        self.at += self.takes_s
        if self.away:
            raise StoreUnavailableError("away")
        return ["run"]

    def hand_over(self, owner: str) -> int:
        """Remembered."""
        self.handed_over.append(owner)
        return 1

    def lapsed_runs(self) -> LapsedRuns:
        """Those of a process that starts now."""
        return LapsedRuns(self, hold_s=LEASE_S, clock=self.clock)


class Away:
    """A store that cannot be asked whether a sweep is due, or that has none due."""

    def __init__(self, fails: bool) -> None:
        self._fails = fails

    def sweep_due(self, every_s: float) -> bool:
        """Never."""
        if self._fails:
            raise StoreUnavailableError("away")
        return False


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def turning(runs: Runs) -> LapsedRuns:
    """A process that has worked for a while."""
    made = runs.lapsed_runs()
    runs.at += LEASE_S
    return made


def test_what_a_lapsed_run_has_left_is_handed_over(runs: Runs, turning: LapsedRuns) -> None:
    """At the next turn."""
    turning.turn()
    assert runs.handed_over == ["run"]


def test_nothing_is_handed_over_for_a_lease_after_the_start(runs: Runs) -> None:
    """The whole machine may have started just now, the run as well."""
    starting = runs.lapsed_runs()
    runs.at += LEASE_S - 0.1
    starting.turn()
    assert runs.handed_over == []
    runs.at += 0.1
    starting.turn()
    assert runs.handed_over == ["run"]


def test_nothing_is_handed_over_for_a_lease_after_an_outage(runs: Runs, turning: LapsedRuns) -> None:
    """The run could not keep its lease either."""
    runs.away = True
    with pytest.raises(StoreUnavailableError):
        turning.turn()
    runs.away = False
    runs.at += LEASE_S - 0.1
    turning.turn()
    assert runs.handed_over == []
    runs.at += 0.1
    turning.turn()
    assert runs.handed_over == ["run"]


@pytest.mark.parametrize("fails", [True, False])
def test_an_outage_that_the_sweep_would_meet_first_holds_it_too(
    runs: Runs, turning: LapsedRuns, fails: bool
) -> None:
    """The loop asks for what has lapsed at each turn, also while no sweep can be asked for."""
    runs.away = True
    stop = threading.Event()
    loop = SweepLoop(cast(SweepStore, Away(fails)), 0.001, stop, lapsed=turning)
    loop.start()
    wait_until(lambda: runs.asked >= 3, what="a few turns")
    stop.set()
    loop.join(30)
    runs.away = False
    runs.at += LEASE_S - 1
    turning.turn()
    assert runs.handed_over == []
    runs.at += 1
    turning.turn()
    assert runs.handed_over == ["run"]


def test_nothing_is_handed_over_for_a_lease_after_a_standstill(runs: Runs, turning: LapsedRuns) -> None:
    """An answer that came late says that the server stood still for everybody."""
    runs.takes_s = LEASE_S / 2
    turning.turn()
    runs.takes_s = 0.0
    turning.turn()
    assert runs.handed_over == []
    runs.at += LEASE_S
    turning.turn()
    assert runs.handed_over == ["run"]


def test_one_that_cannot_be_handed_over_does_not_keep_the_others(runs: Runs, turning: LapsedRuns) -> None:
    """Its queues change faster than they can be emptied, say; it is tried again at the next turn."""
    refused = threading.Event()

    def refuse(owner: str) -> int:
        if owner == "busy" and not refused.is_set():
            refused.set()
            raise RuntimeError("a defect")
        runs.handed_over.append(owner)
        return 1

    runs.hand_over = refuse  # type: ignore[method-assign]
    runs.lapsed = lambda: ["busy", "run"]  # type: ignore[method-assign]
    turning.turn()
    assert runs.handed_over == ["run"]
    turning.turn()
    assert runs.handed_over == ["run", "busy", "run"]
