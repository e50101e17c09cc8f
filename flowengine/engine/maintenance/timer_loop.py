"""The timer loop: due members of `fe:timers` become `timer_fired` messages.

Every orchestrator process runs one. Two may both send the same: harmless, the rules decide.
"""

from __future__ import annotations

import threading
from typing import Protocol

import structlog

from flowengine.errors import StoreUnavailableError

log = structlog.stdlib.get_logger()

IDLE_S = 1.0
AFTER_ERROR_S = 2.0


class TimerStore(Protocol):
    """Where timers live."""

    def fire_due(self) -> float | None:
        """Send what is due; returns the seconds until the next timer, None when there is none."""


class TimerLoop(threading.Thread):
    """Runs until `stop` is set. Survives an unreachable store, and whatever else goes wrong in a turn.

    Fires nothing for `hold_s` after its own start and after an outage: those who hold what is overdue may
    have been cut off too, and have their outcomes to report.
    """

    def __init__(self, store: TimerStore, stop: threading.Event, *, hold_s: float = 0.0) -> None:
        super().__init__(name="timers", daemon=True)
        self._store = store
        self._stop_event = stop
        self._hold_s = hold_s

    def run(self) -> None:
        """Fire, wait until the next is due or a second has passed, again."""
        self._stop_event.wait(self._hold_s)
        while not self._stop_event.is_set():
            self._stop_event.wait(self._turn())

    def _turn(self) -> float:
        try:
            next_due = self._store.fire_due()
        except StoreUnavailableError as error:
            log.warning("timers.store_unavailable", error=str(error))
            return max(AFTER_ERROR_S, self._hold_s)
        except Exception:  # the thread's edge: without it no deadline would fire here any more
            log.error("timers.turn_failed", exc_info=True)
            return AFTER_ERROR_S
        return IDLE_S if next_due is None else min(IDLE_S, max(0.01, next_due))
