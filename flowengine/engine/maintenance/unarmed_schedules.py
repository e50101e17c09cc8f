"""Schedules at which nobody looks any more: their timer has fired, and its message is gone.

That should not be; a message that kills each process that takes it ends as a dead letter, for one. Looks at
the next schedules at each turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from flowengine.queues import ORCHESTRATOR_QUEUE, crowd_line

AT_ONCE: Final = 200


class Unarmed(msgspec.Struct, frozen=True):
    """A schedule without a timer, and the time that it should have one for."""

    name: str
    schedule: str
    due: int


class Armed(Protocol):
    """Schedules and their timers."""

    def unarmed(self, after: str, count: int) -> tuple[Sequence[Unarmed], str]:
        """Those without a timer, of so many schedules behind this place; and the next place, empty at the
        end."""

    def arm(self, name: str, schedule: str, due: int) -> bool:
        """Arm its timer, if that is still its next time; whether it was so."""


class UnarmedStore(Protocol):
    """State as this needs it."""

    @property
    def schedules(self) -> Armed | None:
        """None for a process that sees to one execution only."""

    def oldest_entries_ms(self, queues: list[str]) -> dict[str, int | None]:
        """When the oldest message of each queue was sent; None: it is empty."""

    def now(self) -> int: ...


class UnarmedSchedules:
    """Those of one process. `margin_ms`: times of messages are compared to within this."""

    def __init__(self, store: UnarmedStore, margin_ms: int) -> None:
        self._store = store
        self._margin_ms = margin_ms
        self._after = ""
        self._seen: dict[Unarmed, int] = {}
        """Those that had none when they were first seen, and when that was, in milliseconds."""

    def look(self) -> int:
        """Arm those that had no timer at an earlier look either, and whose message is gone; returns how many.

        Raises StoreUnavailableError.
        """
        schedules = self._store.schedules
        if schedules is None:
            return 0
        found, self._after = schedules.unarmed(self._after, AT_ONCE)
        if not found:
            return 0
        now = self._store.now()
        entries = self._store.oldest_entries_ms([ORCHESTRATOR_QUEUE, crowd_line(ORCHESTRATOR_QUEUE)])
        oldest = min([at for at in entries.values() if at is not None], default=now)
        repaired = 0
        for one in found:
            seen = self._seen.pop(one, now)
            if seen + self._margin_ms < oldest:
                repaired += schedules.arm(one.name, one.schedule, one.due)
            else:
                self._seen[one] = seen
        if len(self._seen) > AT_ONCE:
            self._seen = {one: at for one, at in self._seen.items() if one in found}
        return repaired
