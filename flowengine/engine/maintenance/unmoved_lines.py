"""Lines in which somebody's turn has come and no message tells of it any more (it should not be).

Looks at the next lines at each turn. A line in which nobody stands is taken out of the index.
"""

from __future__ import annotations

from typing import Final, Protocol

from flowengine.engine.limits.line_step import LineStep
from flowengine.engine.limits.standers import Lines, LineStore
from flowengine.queues import ORCHESTRATOR_QUEUE

AT_ONCE: Final = 1000


class IndexedLines(Lines, Protocol):
    """Lines, and the index of them."""

    def page(self, after: str, count: int) -> list[str]:
        """The names of so many lines in which somebody stands, those behind this one."""

    def forget(self, line: str) -> bool:
        """Take a line out of the index in which nobody stands; False if somebody has joined meanwhile."""


class UnmovedStore(LineStore, Protocol):
    """State as this needs it."""

    @property
    def lines(self) -> IndexedLines: ...
    def oldest_entries_ms(self, queues: list[str]) -> dict[str, int | None]:
        """When the oldest message of each queue was sent; None: it is empty."""

    def now(self) -> int: ...


class UnmovedLines:
    """Those of one process. `margin_ms`: times of messages are compared to within this."""

    def __init__(self, store: UnmovedStore, margin_ms: int) -> None:
        self._store = store
        self._step = LineStep(store)
        self._margin_ms = margin_ms
        self._after = ""
        self._seen: dict[tuple[str, str], int] = {}
        """Members whose turn had come when they were first seen, and when that was, in milliseconds."""

    def look(self) -> int:
        """Let those run that have waited since an earlier look, and whose message is gone; returns how many.

        Raises ConflictError, StoreUnavailableError.
        """
        lines = self._store.lines.page(self._after, AT_ONCE)
        self._after = lines[-1] if len(lines) == AT_ONCE else ""
        now = self._store.now()
        (oldest,) = self._store.oldest_entries_ms([ORCHESTRATOR_QUEUE]).values()
        repaired = 0
        for line in lines:
            due = self._step.due(line)
            if not due:
                self._store.lines.forget(line)
            before = {key: at for key, at in self._seen.items() if key[0] == line}
            self._seen = {key: at for key, at in self._seen.items() if key[0] != line}
            self._seen |= {(line, member): before.get((line, member), now) for member in due}
            waited = [before[line, member] for member in due if (line, member) in before]
            if any(oldest is None or oldest > at + self._margin_ms for at in waited):
                repaired += self._step.look(line, whole=True)
        return repaired
