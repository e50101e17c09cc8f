"""The name, type and meaning of every key that holds state (queues: `flowengine.queues`).

Every key belongs to one partition: all that a transaction names lies in one. The only partition today
has no name, so its keys have no tag. What spans partitions stands at the end.

| key | type | holds |
| --- | --- | --- |
| fe:x:ID:control | hash | the execution: status, run, times, name; nothing that moves when a node ends |
| fe:x:ID:counts | hash | nodes unfinished, nodes failed, bytes of results; nobody WATCHes it |
| fe:x:ID:plan | string | the compiled plan |
| fe:x:ID:deps | hash | join -> its counter of parents (`rules.readiness`) |
| fe:x:ID:node:NODE | hash | `state` (a NodeRecord), `result`, `try:N` (an Attempt); absent: never attempted |
| fe:x:ID:started | hash | NODE:DISPATCH -> DELIVERY:MILLISECONDS:PLACE, written by workers at start |
| fe:x:ID:events | stream | JSON arrays of events: what was decided (`e`), what workers began (`s`) |
| fe:index:STATUS | zset | execution ids by time of creation, of start, or of the end |
| fe:timers:KIND | zset | what the kind's timer names, by due time |
| fe:timers:odd | zset | members that nobody can read, by the time when they were set aside |
| fe:sweep | string | present while no sweep is due |

With a partition P each name begins with `fe:{P}:` instead of `fe:`.

| key that spans partitions | type | holds |
| --- | --- | --- |
| fe:format | string | the version of what is stored on this server |
| fe:health | string | the health check's write |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar, assert_never

from flowengine.execution.messages import Deadline, NextTry, Timer
from flowengine.execution.status import ExecutionStatus
from flowengine.queues import partition_prefix

STATE: Final = "state"
RESULT: Final = "result"

FORMAT: Final = "fe:format"
HEALTH: Final = "fe:health"

ID_CHARS: Final = 27
"""The length of an execution's id in the partition without a name; more is the partition's name."""

_ID: Final = re.compile(rb"[0-9a-f]{%d}" % ID_CHARS)


class Keys:
    """The keys of one partition."""

    __slots__ = ("_executions", "_prefix", "odd_timers", "partition", "sweep")

    def __init__(self, partition: str) -> None:
        self.partition = partition
        self._prefix = partition_prefix(partition)
        self._executions = f"{self._prefix}x:"
        self.sweep = f"{self._prefix}sweep"
        self.odd_timers = f"{self._prefix}timers:odd"

    def control(self, execution: str) -> str:
        """Hash: the execution."""
        return f"{self._executions}{execution}:control"

    def counts(self, execution: str) -> str:
        """Hash: the execution's numbers."""
        return f"{self._executions}{execution}:counts"

    def plan(self, execution: str) -> str:
        """String: the compiled plan."""
        return f"{self._executions}{execution}:plan"

    def deps(self, execution: str) -> str:
        """Hash: the joins' counters."""
        return f"{self._executions}{execution}:deps"

    def node(self, execution: str, name: str) -> str:
        """Hash: one node."""
        return f"{self._executions}{execution}:node:{name}"

    def started(self, execution: str) -> str:
        """Hash: what workers have begun."""
        return f"{self._executions}{execution}:started"

    def events(self, execution: str) -> str:
        """Stream: what happened."""
        return f"{self._executions}{execution}:events"

    def own(self, execution: str) -> list[str]:
        """The keys of an execution, without its control and its nodes: they expire and persist together."""
        names = (self.counts, self.plan, self.deps, self.started, self.events)
        return [name(execution) for name in names]

    def index(self, status: ExecutionStatus) -> str:
        """Sorted set: the executions in one status."""
        return f"{self._prefix}index:{status}"

    def timers(self, kind: str) -> str:
        """Sorted set: the timers of one kind."""
        return f"{self._prefix}timers:{kind}"

    @property
    def deadlines(self) -> str:
        """Sorted set: the deadlines of dispatches that workers have begun."""
        return self.timers("deadline")


@lru_cache(maxsize=1024)
def of(partition: str = "") -> Keys:
    """The keys of a partition."""
    return Keys(partition)


def partition_of(execution: str) -> str:
    """The partition that an execution lives in, which its id names."""
    return execution[ID_CHARS:]


def is_execution_id(member: bytes, partition: str) -> bool:
    """Whether a member of an index can be the id of an execution of this partition."""
    return _ID.fullmatch(member[:ID_CHARS]) is not None and member[ID_CHARS:] == partition.encode()


def start_field(name: str, dispatch: int) -> str:
    """The field of one dispatch in `started`."""
    return f"{name}:{dispatch}"


def try_field(attempt: int) -> str:
    """The field of a node's key that keeps an attempt."""
    return f"try:{attempt}"


def timer_member(execution: str, run: int, node: str, dispatch: int) -> str:
    """The member of a timer. Ids and node names hold no `|`."""
    return f"{execution}|{run}|{node}|{dispatch}"


def timer_kind(timer: Timer) -> str:
    """The kind of a timer: which sorted set it is in."""
    match timer:
        case Deadline():
            return "deadline"
        case NextTry():
            return "retry"
        case _ as never:
            assert_never(never)


TimerT = TypeVar("TimerT", Deadline, NextTry)


def parser_of(timer: type[TimerT]) -> Callable[[bytes], TimerT | None]:
    """Reads the members of one kind of timers; None for a member that is not one of ours."""

    def parse(member: bytes) -> TimerT | None:
        try:
            execution, run, node, dispatch = member.decode("ascii").split("|")
            return timer(execution=execution, run=int(run), node=node, dispatch=int(dispatch))
        except ValueError:
            return None

    return parse


parse_deadline: Final = parser_of(Deadline)
