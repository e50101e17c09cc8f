"""What writes lines: the list, its limit, and where an execution's own record says that it stands. Pure."""

from __future__ import annotations

import msgspec

from flowengine.execution.changes import EnterLine
from flowengine.execution.limits.lines import InLine
from flowengine.store import keys
from flowengine.store.connection.sessions import Command

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
