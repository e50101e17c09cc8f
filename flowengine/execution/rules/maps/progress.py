"""How far a map is: which of its items are sent next, and whether it has ended.

Goes by numbers that only grow within a run: how many items have been sent, how many have ended, how many have
failed. Who looks sends what is due. So nobody needs to know whose item's end has made it due, and a look
that is repeated finds less.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.execution.records import MapRecord

WINDOW: Final = 512
"""So many items are in flight at most of a map that does not say how many: its messages in Redis."""
WAITING_WINDOW: Final = 2048
"""The same of items that need no thread of a worker: one process takes hundreds of these at once."""


class Far(msgspec.Struct, frozen=True):
    """How far the items of a map are in this run. `failed`: how many have failed, with those of runs before
    that stay so."""

    sent: int
    ended: int
    failed: int


def starts_nothing_more(record: MapRecord, far: Far) -> bool:
    """Whether more items have failed than may. What had failed before and stays so counts, and so does what
    does not run; by itself that keeps nothing from running that a caller wants to run again."""
    return far.failed > max(record.tolerated - record.out, record.stays)


Next: TypeAlias = int | Literal["end"]


def far_of(record: MapRecord, sent: int, ended: int, failed: int) -> Far:
    """The numbers of this run. `ended` counts those that had ended before as well."""
    return Far(sent, max(0, ended - record.kept), failed)


def window_of(record: MapRecord, *, waits: bool) -> int:
    """How many items are in flight at most where the map does not say it. Children are executions, of which
    Redis holds more than a message."""
    return WAITING_WINDOW if waits and record.children is None else WINDOW


def due(record: MapRecord, far: Far, now: int, *, waits: bool = False, fills: bool = False) -> Next:
    """How many items are to be sent now, or that the node ends.

    At most `at_once` are in flight, and always so many while there are more. Without that, new ones are sent
    where half of the window is free, so that one transaction sends many. Once too many have failed, or the
    time of the map is over, none is sent, and the node ends with those in flight.

    `waits`: the items are of an async handler. `fills`: who asks has just sent some, and sends until the
    window is full.
    """
    to_run = record.to_run
    if far.ended >= to_run:
        return "end"
    in_flight = far.sent - far.ended
    if starts_nothing_more(record, far) or record.is_over(now):
        return 0 if in_flight > 0 else "end"
    window = record.at_once or window_of(record, waits=waits)
    if not record.at_once and not fills and in_flight > window // 2:
        return 0
    return max(0, min(to_run, far.ended + window) - far.sent)
