"""What the slow sweep asks of Redis."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import redis
import structlog

from flowengine.engine.definitions.ports import Definition
from flowengine.engine.delivering.lost_deliveries import Silent
from flowengine.engine.ports import ItemToSend, MapNumbers
from flowengine.execution.events import DECIDED
from flowengine.execution.messages import DeliveryDue, MapOver
from flowengine.execution.records import NodeRecord
from flowengine.execution.rules.waits.waiting_timer import WaitingTimer
from flowengine.execution.status import ALL_EXECUTION_STATUSES, ExecutionStatus, is_over
from flowengine.store import map_reads
from flowengine.store.admission import Admission
from flowengine.store.delivering.silent_deliveries import (
    arm_deliveries,
    forget_deliveries,
    silent_deliveries,
)
from flowengine.store.keys import is_execution_id, member_of, parse_own_queue, timer_kind
from flowengine.store.lists.listing_entries import NARROW_LISTS
from flowengine.store.maintenance.expired_entries import ExpiredEntries
from flowengine.store.state import RedisState
from flowengine.workflow.priority import Priority

if TYPE_CHECKING:
    from flowengine.store.definitions.redis_definitions import RedisDefinitions
    from flowengine.store.schedules.redis_schedules import RedisSchedules

log = structlog.stdlib.get_logger()

AT_ONCE = 1000
BULKS_AT_MOST = 100
"""Of so many bulks messages are sent again in one sweep."""

MOVED_MARGIN_MS = 10_000
"""A move has ended so long after the time that it gives."""
ENTRIES = 4
"""How many of the newest entries are looked at for one that tells of a decision."""
PRUNED: tuple[ExecutionStatus, ...] = (
    "pending",
    *(status for status in ALL_EXECUTION_STATUSES if is_over(status)),
)
"""The statuses in which an execution expires."""


class RedisSweepState(RedisState):
    """Implements `flowengine.engine.maintenance.sweep.SweepStore`."""

    set_aside = 0
    """How many members of an index were no execution's id."""

    unreadable = 0
    """How many keys could not be read: something has put another type or value there."""

    _expired: ExpiredEntries | None = None
    _definitions: RedisDefinitions | None = None
    _schedules: RedisSchedules | None = None
    _admission: Admission | None = None

    def definition(self, name: str, version: int | None = None) -> Definition | None:
        """A version of a definition, or that in force, if it is there."""
        if self._definitions is None:
            from flowengine.store.definitions.redis_definitions import RedisDefinitions

            self._definitions = RedisDefinitions(self)
        return self._definitions.definition(name, version)

    @property
    def schedules(self) -> RedisSchedules | None:
        """None for a process that sees to one execution only."""
        if self._schedules is None and not self.keys.owner:
            from flowengine.store.schedules.redis_schedules import RedisSchedules

            self._schedules = RedisSchedules(self)
        return self._schedules

    def letting_in(self, size: int) -> AbstractContextManager[None]:
        """Around the storing of a new execution of so many bytes. Raises TooManyExecutionsError,
        StoreFullError."""
        if self._admission is None:
            self._admission = Admission(self)
        return self._admission.letting_in(size)

    def sweep_due(self, every_s: float) -> bool:
        """True for the first caller in each period; the period is kept by Redis's clock."""
        period = ("SET", self.keys.sweep, "1", "NX", "PX", int(every_s * 1000))
        return self.sessions.retrying_read([period])[0] is not None

    def running_executions(self) -> dict[str, int]:
        """The ids of all running executions, children behind the others, longest running first, and when
        each was triggered.

        Without those that have queues of their own: their own processes see to them. With an owner, only
        that. A member that is no execution's id is taken out of the index: it holds up no other, and does not
        count against the limit.
        """
        if self.keys.owner:
            return self._own_execution()
        index = ("ZRANGE", self.keys.index("running"), 0, -1, "WITHSCORES")
        nested = ("ZRANGE", self.keys.nested, 0, -1, "WITHSCORES")
        own_queues = ("ZRANGE", self.keys.own_queues, 0, -1)
        found, below, own = self.sessions.retrying_read([index, nested, own_queues])
        found += below
        read = [parse_own_queue(member, self.keys.partition) for member in own]
        others = {owned[1].encode() for owned in read if owned is not None}
        pairs = list(zip(found[::2], map(float, found[1::2]), strict=True))
        odd = {member for member, _ in pairs if not is_execution_id(member, self.keys.partition)}
        if odd:
            self._set_aside(sorted(odd))
        return {
            member.decode(): int(score) if math.isfinite(score) else 0
            for member, score in pairs
            if member not in odd and member not in others
        }

    def _own_execution(self) -> dict[str, int]:
        owner = self.keys.owner
        nested = ("ZRANGE", self.keys.nested, 0, -1, "WITHSCORES")
        score, below = self.sessions.retrying_read([("ZSCORE", self.keys.index("running"), owner), nested])
        found = {} if score is None else {owner: int(float(score))}
        children = zip(below[::2], below[1::2], strict=True)
        return found | {member.decode(): int(float(since)) for member, since in children}

    def _set_aside(self, odd: Sequence[bytes]) -> None:
        names = (self.keys.index("running"), self.keys.nested)
        self.sessions.retrying_write([("ZREM", name, *odd) for name in names])
        self.set_aside += len(odd)
        shown = [member[:100].decode(errors="replace") for member in odd[:3]]
        log.error("index.set_aside", status="running", count=len(odd), members=shown)

    def last_moves(self, executions: Sequence[str]) -> dict[str, str]:
        """For each execution, the id of the newest entry that tells of a decision.

        What workers begin and give back does not count. Of many such entries in a row the oldest looked at
        counts: it moves on as well, and the execution is looked at a sweep later.
        """
        found: dict[str, str] = {}
        for at in range(0, len(executions), AT_ONCE):
            some = executions[at : at + AT_ONCE]
            replies = self.sessions.retrying_read_each(
                [("XREVRANGE", self.keys.events(execution), "+", "-", "COUNT", ENTRIES) for execution in some]
            )
            for execution, entries in zip(some, replies, strict=True):
                if isinstance(entries, redis.ResponseError):
                    self._pass_over(self.keys.events(execution), entries)
                else:
                    found[execution] = _newest_decision(entries)
        return found

    def _pass_over(self, key: str, why: object) -> None:
        self.unreadable += 1
        log.error("sweep.key_unreadable", key=key, error=str(why)[:100])

    def oldest_entries_ms(self, queues: Sequence[str]) -> dict[str, int | None]:
        """When the oldest message of each queue was sent, in milliseconds since the epoch.

        0, before everything, where it may be one that was moved there: that was sent at any time before.
        """
        oldest = self.sessions.retrying_read(
            [("XRANGE", self.keys.stream(queue), "-", "+", "COUNT", 1) for queue in queues]
        )
        moved = self.sessions.retrying_read_each([("GET", self.keys.moved(queue)) for queue in queues])
        rows = zip(queues, oldest, moved, strict=True)
        return {queue: _sent_at(entries, self._moved_at(queue, at)) for queue, entries, at in rows}

    def streams_of(self, queue: str, *, waits: bool, crowd: bool, priority: Priority) -> tuple[str, ...]:
        """The queue and the lines beside it in which the task of such a node may be, of those in use."""
        return self.lines_beside.may_hold(queue, waits=waits, crowd=crowd, priority=priority)

    def _moved_at(self, queue: str, stored: Any) -> int | None:
        """When messages were last moved into a queue; None where none were, or nobody can read it."""
        if stored is None:
            return None
        try:
            return int(stored)
        except (TypeError, ValueError):
            self._pass_over(self.keys.moved(queue), stored)
            return None

    def map_numbers(self, execution: str, nodes: Sequence[str]) -> dict[str, MapNumbers]:
        """How far the items of these maps are."""
        return map_reads.map_numbers(self, execution, nodes)

    def items_in_flight(
        self, execution: str, node: str, sent: int, *, again: bool
    ) -> list[tuple[ItemToSend, NodeRecord | None]]:
        """The items that have been sent and have not ended, each with how it stands between its tries."""
        return map_reads.items_in_flight(self, execution, node, sent, again=again)

    def handlers_waited_for(self, queues: Sequence[str]) -> set[tuple[str, str]]:
        """Queues and handlers: tasks for these wait beside the queue for a worker that knows the handler."""
        replies = self.sessions.retrying_read(
            [("ZRANGE", self.keys.handlers(queue), 0, -1) for queue in queues]
        )
        return {
            (queue, handler.decode(errors="replace"))
            for queue, handlers in zip(queues, replies, strict=True)
            for handler in handlers
        }

    def are_armed(self, timers: Sequence[WaitingTimer | MapOver]) -> list[bool]:
        """Whether each of these timers is armed."""
        if not timers:
            return []
        found = self.sessions.retrying_read(
            [("ZSCORE", self.keys.timers(timer_kind(each)), member_of(each)) for each in timers]
        )
        return [score is not None for score in found]

    def silent_deliveries(self, before: int, at_most: int) -> list[Silent]:
        """Deliveries that are not over, whose last step was before this time: an owner has none."""
        return [] if self.keys.owner else silent_deliveries(self, before, at_most)

    def forget_deliveries(self, silent: Sequence[Silent]) -> None:
        """Those that are over are looked at no more."""
        forget_deliveries(self, silent)

    def arm_deliveries(self, timers: Collection[DeliveryDue], due: int) -> None:
        """Have them sent."""
        arm_deliveries(self, timers, due)

    def forget_running(self, execution: str) -> None:
        """Take an execution whose keys are gone out of the index: it would count against the limit."""
        listings = map(self.keys.listing, ("running", *NARROW_LISTS))
        names = (self.keys.index("running"), self.keys.nested, *listings)
        self.sessions.retrying_read([("ZREM", name, execution) for name in names])

    def deleting(self, skip: int, most: int) -> list[tuple[str, int]]:
        """Executions that are doomed or deleted and since when, in milliseconds, the oldest first.

        An owner sees to its own execution alone, which nobody deletes while it runs.
        """
        if self.keys.owner:
            return []
        read = ("ZRANGE", self.keys.deleting, skip, skip + most - 1, "WITHSCORES")
        (found,) = self.sessions.retrying_read_each([read])
        if isinstance(found, redis.ResponseError):
            self._pass_over(self.keys.deleting, found)
            return []
        rows = [(member, float(at)) for member, at in zip(found[::2], found[1::2], strict=True)]
        odd = [member for member, at in rows if not self._is_listed(member, at)]
        if odd:
            self.sessions.retrying_write([("ZREM", self.keys.deleting, *odd)])
        return [(member.decode(), int(at)) for member, at in rows if self._is_listed(member, at)]

    def _is_listed(self, member: bytes, at: float) -> bool:
        return is_execution_id(member, self.keys.partition) and math.isfinite(at)

    def send_bulks_again(self, before: int) -> list[str]:
        """Send the messages again of bulks that have not moved since this time: an owner does not do it."""
        if self.keys.owner:
            return []
        stuck = ("ZRANGE", self.keys.bulks, "-inf", f"({before}", "BYSCORE", "LIMIT", 0, BULKS_AT_MOST)
        (found,) = self.sessions.retrying_read_each([stuck])
        if isinstance(found, redis.ResponseError):
            self._pass_over(self.keys.bulks, found)
            return []
        if not found:
            return []
        from flowengine.store.bulks import RedisBulks

        return RedisBulks(self).send_again(found, self._pass_over)

    def prune(self) -> int:
        """Remove executions whose keys have expired from all indexes: an owner does not do it."""
        if self.keys.owner:
            return 0
        if self._expired is None:
            self._expired = ExpiredEntries(self, self._pass_over)
        return self._expired.remove(PRUNED, self.now() - self.settings.retention_s * 1000)


def _sent_at(entries: Sequence[Any], moved: int | None) -> int | None:
    if not entries:
        return None
    first = int(entries[0][0].split(b"-")[0])
    return 0 if moved is not None and first <= moved + MOVED_MARGIN_MS else first


def _newest_decision(entries: Sequence[Any]) -> str:
    for entry, fields in entries:
        if fields[0] == DECIDED.encode():
            return str(entry.decode())
    return str(entries[-1][0].decode()) if entries else ""
