"""The timer loop: due timers become `timer_fired` messages.

Every orchestrator process runs one. Two may both send the same: harmless, the rules decide.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection
from typing import Final, Protocol

import msgspec
import structlog

from flowengine.errors import StoreUnavailableError

log = structlog.stdlib.get_logger()


class Pauses(msgspec.Struct, frozen=True):
    """How long the loop waits between turns, in seconds: while nothing is due, after an error, at least."""

    idle_s: float = 1.0
    after_error_s: float = 2.0
    shortest_s: float = 0.01


PAUSES: Final = Pauses()
HELD_AFTER_A_GAP: Final = frozenset({"deadline", "stop"})
"""Kinds that wait for a lease after a start and after an outage: the holder of what is overdue may have been
cut off too, and has an outcome to report; so have those that were told to stop."""


class TimerStore(Protocol):
    """Where timers live."""

    def fire_due(self, *, holding: Collection[str] = ()) -> float | None:
        """Send what is due; returns the seconds until the next timer, None when there is none."""

    def on_armed(self, tell: Callable[[int], None]) -> None:
        """Call `tell` with the time at which a timer is due that this process has just armed."""

    def now(self) -> int:
        """Redis's time in milliseconds since the epoch."""


class TimerLoop(threading.Thread):
    """Runs until `stop` is set. Survives an unreachable store, and whatever else goes wrong in a turn.

    Deadlines are held back for `hold_s` after its own start and after an outage. A timer that is
    armed in this process and due before the loop's next turn wakes it. `clock` counts seconds.
    """

    def __init__(
        self,
        store: TimerStore,
        stop: threading.Event,
        *,
        hold_s: float = 0.0,
        pauses: Pauses = PAUSES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="timers", daemon=True)
        self._store = store
        self._stop_event = stop
        self._hold_s = hold_s
        self._pauses = pauses
        self._clock = clock
        self._hold_until = 0.0
        self._woken = threading.Event()
        self._next_turn_at = 0.0
        store.on_armed(self._armed)

    def run(self) -> None:
        """Fire, wait until the next is due or a second has passed, again."""
        self._hold()
        while True:
            # A stop or a timer armed from here on wakes the loop: this turn may have read before.
            self._woken.clear()
            if self._stop_event.is_set():
                return
            self._next_turn_at = math.inf
            pause_s = self._turn()
            self._next_turn_at = self._clock() + pause_s
            self._woken.wait(pause_s)

    def stop(self) -> None:
        """End at the next turn, which is now."""
        self._stop_event.set()
        self._woken.set()

    def _armed(self, due: int) -> None:
        left_s = (due - self._store.now()) / 1000
        if self._clock() + left_s < self._next_turn_at:
            self._woken.set()

    def _hold(self) -> None:
        self._hold_until = self._clock() + self._hold_s

    def _turn(self) -> float:
        held = HELD_AFTER_A_GAP if self._clock() < self._hold_until else frozenset[str]()
        try:
            next_due = self._store.fire_due(holding=held)
        except StoreUnavailableError as error:
            log.warning("timers.store_unavailable", error=str(error))
            self._hold()
            return self._pauses.after_error_s
        except Exception:  # the thread's edge: without it no timer would fire here any more
            log.error("timers.turn_failed", exc_info=True)
            return self._pauses.after_error_s
        idle_s, shortest_s = self._pauses.idle_s, self._pauses.shortest_s
        return idle_s if next_due is None else min(idle_s, max(shortest_s, next_due))
