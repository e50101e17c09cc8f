"""One node of an async handler: what was called, and what has come of it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

from flowengine.engine.ports import Start
from flowengine.engine.running.outcomes import Call, Spared
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.execution.reports import Skipped


class AsyncNode:
    """Begun once, and over once. `hiding` hides its secrets until its outcome is made."""

    __slots__ = ("call", "ended_at", "forsaken", "hand", "hiding", "is_over", "output", "raised", "start")

    def __init__(self, hand: TaskInHand, start: Start, hiding: AbstractContextManager[None]) -> None:
        self.hand = hand
        self.start = start
        self.hiding = hiding
        self.call: Call | Spared = Skipped()
        self.output: object = None
        self.raised: BaseException | None = None
        self.is_over = False
        self.forsaken = False
        """Whether it has ignored the end of its time."""
        self.ended_at = 0.0

    def end(self, output: object, raised: BaseException | None) -> None:
        """It has returned this, or raised."""
        self.output, self.raised, self.ended_at = output, raised, time.monotonic()
