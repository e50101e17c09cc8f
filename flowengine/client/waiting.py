"""How long to pause between two looks at an execution. Reads no clock: times are arguments, in seconds."""

from __future__ import annotations

from typing import Final

from flowengine.client.errors import NotEndedError, UnreachableError

SHORTEST_S: Final = 0.05
LONGEST_S: Final = 2.0
GROWTH: Final = 1.5
OUTAGE_S: Final = 30.0
"""So long may a stack not answer while somebody waits."""


class Patience:
    """Pauses that grow. It ends with `timeout_s` (None: never), and with a stack that does not come back."""

    def __init__(self, execution_id: str, *, timeout_s: float | None, now: float) -> None:
        self._execution = execution_id
        self._until = None if timeout_s is None else now + timeout_s
        self._pause = SHORTEST_S
        self._answered_at = now

    def after_answer(self, now: float) -> float:
        """The pause after an answer. Raises NotEndedError when the time is over."""
        self._answered_at = now
        return self._next(now)

    def after_outage(self, error: UnreachableError, now: float) -> float:
        """The pause after no answer. Raises the error once it has lasted too long, NotEndedError."""
        if now - self._answered_at > OUTAGE_S:
            raise error
        return self._next(now)

    def _next(self, now: float) -> float:
        pause, self._pause = self._pause, min(LONGEST_S, self._pause * GROWTH)
        if self._until is None:
            return pause
        if now >= self._until:
            raise NotEndedError(
                f"the time to wait is over: execution {self._execution} has not ended, and goes on"
            )
        return min(pause, self._until - now)
