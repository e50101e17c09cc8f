"""How executions have ended, counted in the transactions that end them: a hash for each hour.

Fields of it count: `STATUS:SLOT:LENGTH`, where a slot is five minutes of the hour and a length a class of
durations, and `n:STATUS:NAME`. Both are bounded, whatever workflows are called: a process counts the first
names of an hour apart, and all others together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from flowengine.execution.changes import Finish
from flowengine.store.connection.packing import Command
from flowengine.store.keys import Keys

HOUR_MS: Final = 3_600_000
SLOT_MS: Final = 300_000
KEPT_HOURS: Final = 48
EXPIRY_AGAIN_MS: Final = 60_000
"""An hour's hash is told so often, at most, when it expires: a server that has lost it learns that again."""

NAMES_AN_HOUR: Final = 100
"""So many names of workflows does a process count apart in an hour."""

NAME_CHARS: Final = 100
OTHER: Final = "other"
NEVER_BEGUN: Final = -1
"""The length of what ended before it had begun."""

_CLASSES_AN_OCTAVE: Final = 2


def length_of(took_ms: int | None) -> int:
    """The class of a duration: two for each doubling, from 1 ms on."""
    if took_ms is None:
        return NEVER_BEGUN
    return math.ceil(_CLASSES_AN_OCTAVE * math.log2(took_ms)) if took_ms > 1 else 0


def longest_ms(length: int) -> float:
    """What the durations of a class take at most, in milliseconds."""
    return float(2 ** (length / _CLASSES_AN_OCTAVE))


class EndedCounts:
    """Makes the commands for one process. Threads that meet in it may count a name more apart."""

    def __init__(self) -> None:
        self._hour = 0
        self._names: set[str] = set()
        self._expires_since: tuple[int, int] = (0, 0)
        """The hour whose expiry has been written last, and when."""

    def commands(self, names: Keys, change: Finish, name: str) -> Sequence[Command]:
        """What counts this end, of an execution of the workflow of this name."""
        hour, rest = divmod(change.at, HOUR_MS)
        key = names.ended(hour)
        told_hour, told_at = self._expires_since
        told = told_hour == hour and 0 <= change.at - told_at < EXPIRY_AGAIN_MS
        by_time = f"{change.status}:{rest // SLOT_MS}:{length_of(change.took_ms)}"
        counting = (
            ("HINCRBY", key, by_time, 1),
            ("HINCRBY", key, f"n:{change.status}:{self._counted_as(name[:NAME_CHARS], hour)}", 1),
        )
        if told:
            return counting
        # The hour before is told too: it may have been lost and made anew within its last minute.
        ends = [(hour + after) * HOUR_MS // 1000 for after in (KEPT_HOURS, KEPT_HOURS + 1)]
        return (*counting, ("EXPIREAT", names.ended(hour - 1), ends[0]), ("EXPIREAT", key, ends[1]))

    def committed(self, at: int) -> None:
        """What counts an end of this time is stored. Only now it is certain that its hour expires."""
        hour = at // HOUR_MS
        told_hour, told_at = self._expires_since
        if hour != told_hour or at - told_at >= EXPIRY_AGAIN_MS:
            self._expires_since = hour, at

    def _counted_as(self, name: str, hour: int) -> str:
        if hour != self._hour:
            self._hour, self._names = hour, set()
        if name not in self._names:
            if len(self._names) >= NAMES_AN_HOUR:
                return OTHER
            self._names.add(name)
        return name
