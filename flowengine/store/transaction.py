"""One optimistic transaction: what was read under WATCH, and the changes written in MULTI/EXEC.

Knows how each change becomes commands; decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from flowengine.engine.ports import Ahead
from flowengine.execution.changes import (
    ArmTimer,
    Change,
    CountDown,
    Dispatch,
    Finish,
    ForgetStart,
    Happened,
    SetCounter,
    Tally,
    Write,
)
from flowengine.execution.events import Event, encode_events
from flowengine.execution.records import NodeRecord, RunNode
from flowengine.store import keys
from flowengine.store.codec import encode_record
from flowengine.store.connection.sessions import Command, Commands, Reading, Session
from flowengine.store.meta import Meta

NodeKey: TypeAlias = tuple[str, str]
Acknowledge: TypeAlias = Callable[[Commands], None]
SendTask: TypeAlias = Callable[[Commands, str, RunNode], None]
ExpireAll: TypeAlias = Callable[[str, int], list[Command]]


class Committed(msgspec.Struct, frozen=True):
    """The numbers that a transaction left: counters by (execution, node), unfinished by execution."""

    counters: dict[NodeKey, int]
    unfinished: dict[str, int]


class Unit:
    """What one transaction read, and its only chance to write."""

    def __init__(
        self,
        session: Session,
        *,
        nodes: Mapping[NodeKey, NodeRecord],
        metas: Mapping[str, Meta | None],
        now: int,
        also: Sequence[Any],
        send: SendTask,
        expire: ExpireAll,
        reading: Callable[[Sequence[NodeKey], Sequence[str]], Reading],
    ) -> None:
        self.nodes = nodes
        self.metas = metas
        self.now = now
        self.also = also
        self._session = session
        self._epoch = session.epoch
        self._send = send
        self._expire = expire
        self._reading = reading

    def commit(
        self,
        changes: Mapping[str, Sequence[Change]],
        acknowledge: Acknowledge | None = None,
        ahead: Ahead | None = None,
    ) -> Committed | None:
        """Write everything in one transaction, the acknowledgement included.

        `ahead`: the nodes and executions that the next unit of this thread will probably begin with.
        None: something that was read has changed meanwhile, and nothing was written.
        Raises StoreUnavailableError.
        """
        batch = _Batch(self._send, self._expire)
        for execution, listed in changes.items():
            batch.add(execution, listed)
        commands = batch.finish()
        if acknowledge is not None:
            acknowledge(commands)
        reading = None if ahead is None else self._reading(*ahead)
        replies = self._session.transact(commands, self._epoch, reading)
        if replies is None:
            return None
        return Committed(
            {key: int(replies[at]) for key, at in batch.counter_replies.items()},
            {execution: int(replies[at]) for execution, at in batch.unfinished_replies.items()},
        )

    def transact(self, commands: Sequence[Command]) -> list[Any] | None:
        """Send commands as they are; as `commit` otherwise."""
        return self._session.transact(commands, self._epoch)

    def abandon(self) -> None:
        """Write nothing."""
        self._session.unwatch()


class _Batch:
    """Commands of several executions' changes, like ones put together."""

    def __init__(self, send: SendTask, expire: ExpireAll) -> None:
        self.commands = Commands()
        self.counter_replies: dict[NodeKey, int] = {}
        self.unfinished_replies: dict[str, int] = {}
        self._send = send
        self._expire = expire
        self._dropped: list[str] = []
        self._armed: list[int | str] = []

    def add(self, execution: str, changes: Sequence[Change]) -> None:
        down: Counter[str] = Counter()
        tally = {"unfinished": 0, "failed": 0, "bytes": 0}
        forgotten: list[str] = []
        events: list[Event] = []
        finish: Finish | None = None
        for change in changes:
            match change:
                case Write():
                    self._write(execution, change)
                case Dispatch():
                    self._dispatch(execution, change)
                case CountDown():
                    down[change.node] += 1
                case SetCounter():
                    self.commands.append(("HSET", keys.deps(execution), change.node, change.value))
                case Tally():
                    tally["unfinished"] += change.unfinished
                    tally["failed"] += change.failed
                    tally["bytes"] += change.bytes
                case ForgetStart():
                    forgotten.append(keys.start_field(change.node, change.attempt))
                    self._dropped.append(
                        keys.Timer(execution, change.run, change.node, change.attempt).member()
                    )
                case ArmTimer():
                    timer = keys.Timer(execution, change.run, change.node, change.attempt)
                    self._armed += (change.due, timer.member())
                case Happened():
                    events.append(change.event)
                case Finish():
                    finish = change
        self._number(execution, down, tally)
        if forgotten:
            self.commands.append(("HDEL", keys.started(execution), *forgotten))
        if events:
            self.commands.append(("XADD", keys.events(execution), "*", "e", encode_events(events)))
        if finish is not None:
            self._finish(execution, finish)

    def finish(self) -> Commands:
        if self._dropped:
            self.commands.append(("ZREM", keys.TIMERS, *self._dropped))
        if self._armed:
            self.commands.append(("ZADD", keys.TIMERS, *self._armed))
        return self.commands

    def _write(self, execution: str, change: Write) -> None:
        key = keys.node(execution, change.node)
        if change.result is None:
            self.commands.append(("HSET", key, keys.STATE, encode_record(change.record)))
        else:
            state = encode_record(change.record)
            self.commands.append(("HSET", key, keys.STATE, state, keys.RESULT, bytes(change.result)))

    def _dispatch(self, execution: str, change: Dispatch) -> None:
        key = keys.node(execution, change.task.node)
        self.commands.append(("HSET", key, keys.STATE, encode_record(change.record)))
        self._send(self.commands, change.queue, change.task)

    def _number(self, execution: str, down: Counter[str], tally: dict[str, int]) -> None:
        for node, by in down.items():
            self.counter_replies[execution, node] = len(self.commands)
            self.commands.append(("HINCRBY", keys.deps(execution), node, -by))
        for field, by in tally.items():
            if by:
                if field == "unfinished":
                    self.unfinished_replies[execution] = len(self.commands)
                self.commands.append(("HINCRBY", keys.meta(execution), field, by))

    def _finish(self, execution: str, change: Finish) -> None:
        self.commands += [
            ("HSET", keys.meta(execution), "status", change.status, "finished_at", change.at),
            ("ZREM", keys.index("running"), execution),
            ("ZADD", keys.index(change.status), change.at, execution),
            *self._expire(execution, change.at),
        ]
