"""What writes lines: the list, its limit, and where an execution's own record says that it stands. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.execution.changes import EnterLine, ExpectStart, HoldStarts
from flowengine.execution.limits.lines import InLine, Pace
from flowengine.execution.limits.starts import EXPECTED_AT, HELD, MAX_HOLD_MS
from flowengine.store import keys
from flowengine.store.connection.packing import Command

_DAY_MS: Final = 86_400_000
_encode = msgspec.json.Encoder().encode


def entering(names: keys.Keys, change: EnterLine) -> list[Command]:
    """The first reply is the place. What joins last says how many may run from now on."""
    return [
        ("RPUSH", names.line(change.line), change.member),
        ("HSET", names.line_limits, change.line, change.limit),
        ("ZADD", names.line_index, 0, change.line),
    ]


def standing(names: keys.Keys, execution: str, place: InLine | None) -> Command:
    """Where it stands; None: nowhere any more."""
    control = names.control(execution)
    return ("HDEL", control, keys.LINE) if place is None else ("HSET", control, keys.LINE, _encode(place))


def expecting(names: keys.Keys, change: ExpectStart) -> list[Command]:
    """A start is on its way. What is not remembered any more goes, and all of it a day after the last one."""
    key, per_ms = names.starts(change.pace.line), change.pace.per_ms
    return [
        ("ZADD", key, EXPECTED_AT, change.member),
        ("ZREMRANGEBYSCORE", key, "-inf", change.now - 2 * per_ms),
        ("PEXPIRE", key, per_ms + _DAY_MS),
    ]


def start_counted(names: keys.Keys, pace: Pace, member: str, at: int) -> Command:
    """When a start was, if it is remembered: the earliest of what is told of it."""
    return ("ZADD", names.starts(pace.line), "XX", "LT", at, member)


def holding(names: keys.Keys, change: HoldStarts) -> list[Command]:
    """Nothing starts before a time, or a later one that is known."""
    key = names.starts(change.line)
    return [("ZADD", key, "GT", change.until, HELD), ("PEXPIRE", key, MAX_HOLD_MS + _DAY_MS)]
