"""The name, type and meaning of every key that holds state (queues: `flowengine.queues`).

| key | type | holds |
| --- | --- | --- |
| fe:x:ID:meta | hash | the execution: name, status, run, numbers, times, correlation id |
| fe:x:ID:plan | string | the compiled plan |
| fe:x:ID:deps | hash | node -> parents not yet completed; only nodes with several parents |
| fe:x:ID:node:NODE | hash | `state` (a NodeRecord), `result` (JSON); absent: pending, never attempted |
| fe:x:ID:started | hash | NODE:ATTEMPT -> DELIVERY:MILLISECONDS:PLACE, written by workers at start |
| fe:x:ID:events | stream | what happened, in field `e`: a JSON array of events |
| fe:index:STATUS | zset | execution ids by time of creation, of start, or of the end |
| fe:timers | zset | ID|RUN|NODE|ATTEMPT by due time |
| fe:sweep | string | present while no sweep is due |
"""

from __future__ import annotations

from typing import Final, NamedTuple

from flowengine.execution.records import ExecutionStatus

TIMERS: Final = "fe:timers"
SWEEP: Final = "fe:sweep"
STATE: Final = "state"
RESULT: Final = "result"


def meta(execution: str) -> str:
    """Hash: the execution."""
    return f"fe:x:{execution}:meta"


def plan(execution: str) -> str:
    """String: the compiled plan."""
    return f"fe:x:{execution}:plan"


def deps(execution: str) -> str:
    """Hash: the dependency counters."""
    return f"fe:x:{execution}:deps"


def node(execution: str, name: str) -> str:
    """Hash: one node."""
    return f"fe:x:{execution}:node:{name}"


def started(execution: str) -> str:
    """Hash: what workers have begun."""
    return f"fe:x:{execution}:started"


def events(execution: str) -> str:
    """Stream: what happened."""
    return f"fe:x:{execution}:events"


def index(status: ExecutionStatus) -> str:
    """Sorted set: the executions in one status."""
    return f"fe:index:{status}"


def start_field(name: str, attempt: int) -> str:
    """The field of one attempt in `started`."""
    return f"{name}:{attempt}"


class Timer(NamedTuple):
    """One member of `fe:timers`: the deadline of one attempt."""

    execution: str
    run: int
    node: str
    attempt: int

    def member(self) -> str:
        """The member's text. Ids and node names hold no `|`."""
        return f"{self.execution}|{self.run}|{self.node}|{self.attempt}"


def parse_timer(member: bytes) -> Timer | None:
    """The timer of a member, or None when it is not one of ours."""
    parts = member.decode(errors="replace").split("|")
    if len(parts) != 4 or not (parts[1].isdigit() and parts[3].isdigit()):
        return None
    return Timer(parts[0], int(parts[1]), parts[2], int(parts[3]))
