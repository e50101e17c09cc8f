"""When nodes of a key may start: of the starts so far, in any time of so long at most so many. Pure.

A start counts from the moment at which its worker has noted it. One that is on its way counts as if it were
to come: nobody knows when, but not before now.
"""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.execution.limits.lines import Pace

EXPECTED_AT: Final = 10**15
"""As the time of a start that is on its way."""
HELD: Final = "held"
"""The member whose time says until when nothing starts: a service has asked for that."""
MAX_HOLD_MS: Final = 3_600_000
POLL_MS: Final = 100
"""How soon it is looked again at starts that are on their way."""
_MARGIN: Final = 50
"""A window is longer by this part than the limit says: a start reaches a service a moment after its note, and
that moment is not the same each time."""


class Starts(msgspec.Struct, frozen=True):
    """The newest starts of a line, the oldest first. `held_until`: nothing starts before. `expected`: the
    members whose start is on its way."""

    times: tuple[int, ...] = ()
    held_until: int = 0
    expected: tuple[str, ...] = ()


def next_start(starts: Starts, pace: Pace, now: int) -> int:
    """When the next one may start, in milliseconds since the epoch: `now`, or later."""
    if starts.held_until > now:
        return starts.held_until
    window = pace.per_ms + max(1, pace.per_ms // _MARGIN)
    recent = [at for at in starts.times if at > now - window]
    if len(recent) < pace.limit:
        return now
    leaves = recent[len(recent) - pace.limit]
    return now + POLL_MS if leaves >= EXPECTED_AT else leaves + window


def with_expected(starts: Starts) -> Starts:
    """The same with one more on its way."""
    return Starts((*starts.times, EXPECTED_AT), starts.held_until, starts.expected)
