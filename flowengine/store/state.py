"""State in Redis as the engine's actors need it: optimistic units, workers' starts, callbacks.

Decides nothing about what happens next; see `flowengine.execution.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import redis

from flowengine.engine.ports import Acknowledge, Begun, Start
from flowengine.execution.records import Callback, NodeRecord, RunNode
from flowengine.execution.rules import Standing, backstop_due
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.settings import Settings
from flowengine.store import keys, meta
from flowengine.store.codec import decode_record
from flowengine.store.connection.clock import Clock
from flowengine.store.connection.sessions import Command, Commands, Reading, Sessions
from flowengine.store.plan_cache import PlanCache
from flowengine.store.task_standing import format_begun, parse_begun, standing_of
from flowengine.store.transaction import NodeKey, Unit
from flowengine.workflow.plan import Plan

Send = Callable[[Commands, str, str, bytes], None]

META_LEAD_S = 60
MANY_READS = 16
STARTING_COMMANDS = 4

_encode = msgspec.json.Encoder().encode


class RedisState:
    """The state of all executions.

    `send(sink, queue, actor, payload)` puts a message into a queue; it must only queue commands on
    the sink, so that they join the transaction.
    """

    def __init__(self, client: redis.Redis, send: Send, settings: Settings) -> None:
        self.sessions = Sessions(client)
        self.settings = settings
        self.plans = PlanCache()
        self.clock = Clock(lambda: self.sessions.retrying_read([("TIME",)])[0])
        self._send = send

    def plan(self, execution: str) -> Plan | None:
        """The compiled plan, from this process's memory if it can be."""
        known = self.plans.get(execution)
        if known is not None:
            return known
        encoded = self.sessions.retrying_read([("GET", keys.plan(execution))])[0]
        return None if encoded is None else self.plans.put(execution, encoded)

    def forget_plan(self, execution: str) -> None:
        """The execution has ended: its plan need not stay in memory."""
        self.plans.drop(execution)

    def begin(
        self,
        nodes: Sequence[NodeKey],
        metas: Sequence[str] = (),
        also: Sequence[Command] = (),
        *,
        commits: bool = False,
    ) -> Unit:
        """WATCH and read nodes and executions, and whatever `also` asks for, in one round trip.

        In none, where this thread's last transaction was followed by just this reading, and the caller
        `commits` whatever it finds: should it be out of date, that is refused.
        """
        reading = _reading(nodes, metas, also)
        known, size = len(nodes) + len(metas), len(nodes)
        replies = None
        if commits and not self.clock.is_old:
            replies = self.sessions.here().watched_ahead(reading)
        if replies is not None:
            now = self.clock.now()
        else:
            replies = self.sessions.retrying_watch(reading.names, reading.reads)
            now = self.clock.seen(replies[known])
        states = replies[:size]
        return Unit(
            self.sessions.here(),
            nodes={key: decode_record(state) for key, state in zip(nodes, states, strict=True) if state},
            metas={
                execution: meta.parse(values)
                for execution, values in zip(metas, replies[size:known], strict=True)
            },
            now=now,
            also=replies[known + 1 :],
            send=self.send_task,
            expire=self.expire_all,
            reading=_reading,
        )

    def read_nodes(self, execution: str, nodes: Sequence[str]) -> dict[str, NodeRecord]:
        """The records of nodes that have one."""
        if not nodes:
            return {}
        states = self.sessions.retrying_read([("HGET", keys.node(execution, n), keys.STATE) for n in nodes])
        return {node: decode_record(state) for node, state in zip(nodes, states, strict=True) if state}

    def read_meta(self, execution: str) -> meta.Meta | None:
        """The execution's own record, or None."""
        return meta.parse(self.sessions.retrying_read([("HMGET", keys.meta(execution), *meta.FIELDS)])[0])

    def plans_and_metas(self, executions: Sequence[str]) -> dict[str, tuple[Plan | None, meta.Meta | None]]:
        """The compiled plans and the executions' own records, in one round trip."""
        known = {execution: self.plans.get(execution) for execution in executions}
        unknown = [execution for execution, plan in known.items() if plan is None]
        commands: list[Command] = [("HMGET", keys.meta(execution), *meta.FIELDS) for execution in known]
        commands += [("GET", keys.plan(execution)) for execution in unknown]
        replies = self.sessions.retrying_read(commands)
        for execution, encoded in zip(unknown, replies[len(known) :], strict=True):
            known[execution] = None if encoded is None else self.plans.put(execution, encoded)
        records = [meta.parse(values) for values in replies[: len(known)]]
        return dict(zip(known, zip(known.values(), records, strict=True), strict=True))

    def counters(self, wanted: Sequence[NodeKey]) -> dict[NodeKey, int]:
        """Dependency counters, for those that exist."""
        if not wanted:
            return {}
        replies = self.sessions.retrying_read([("HGET", keys.deps(e), node) for e, node in wanted])
        return {key: int(reply) for key, reply in zip(wanted, replies, strict=True) if reply is not None}

    def begun(self, execution: str, node: str, attempt: int) -> Begun | None:
        """What was noted of the newest delivery of an attempt that has begun, or None."""
        field = keys.start_field(node, attempt)
        value = self.sessions.retrying_read([("HGET", keys.started(execution), field)])[0]
        return None if value is None else parse_begun(value)

    def standing(self, queue: str, begun: Begun) -> Standing:
        """What has become of a task whose start was noted."""
        return standing_of(self.sessions, queue, begun, int(self.settings.lease_s * 1000))

    def acknowledge(self, acknowledge: Acknowledge) -> None:
        """Acknowledge a message that needs nothing else."""
        commands = Commands()
        acknowledge(commands)
        self.sessions.here().write(commands)

    def start_nodes(
        self, tasks: Sequence[RunNode], deliveries: Sequence[int], places: Sequence[str]
    ) -> list[Start]:
        """Note that deliveries begin, arm their deadlines, and read what they need: one round trip.

        A second one where a node reads many outputs, whose sizes are looked at first.
        """
        now = self.clock.now()
        commands: list[Command] = [("TIME",)]
        for task, delivery, place in zip(tasks, deliveries, places, strict=True):
            commands += self._start_commands(task, Begun(delivery, now, place))
        replies = self.sessions.retrying_read(commands)
        self.clock.seen(replies[0])
        found: list[Start] = []
        at = 1
        for task in tasks:
            after = at + STARTING_COMMANDS + len(task.reads)
            found.append(self._started(task, replies[at:after], now))
            at = after
        return found

    def _start_commands(self, task: RunNode, begun: Begun) -> list[Command]:
        read = "HSTRLEN" if len(task.reads) > MANY_READS else "HGET"
        return [
            ("HGET", keys.node(task.execution, task.node), keys.STATE),
            ("HGET", keys.meta(task.execution), "bytes"),
            *self._note_commands(task, begun),
            *((read, keys.node(task.execution, item.node), keys.RESULT) for item in task.reads),
        ]

    def _note_commands(self, task: RunNode, begun: Begun) -> list[Command]:
        due = backstop_due(begun.at, task.timeout_ms, int(self.settings.lease_s * 1000))
        timer = keys.Timer(task.execution, task.run, task.node, task.attempt)
        field = keys.start_field(task.node, task.attempt)
        return [
            ("HSET", keys.started(task.execution), field, format_begun(begun)),
            ("ZADD", keys.TIMERS, due, timer.member()),
        ]

    def note_start(self, task: RunNode, begun: Begun) -> None:
        """Note that a delivery began, and arm its deadline."""
        self.sessions.retrying_read(self._note_commands(task, begun))

    def room(self, execution: str) -> int:
        """How many bytes of results an execution may still store."""
        used = self.sessions.retrying_read([("HGET", keys.meta(execution), "bytes")])[0]
        return self.settings.limits.max_execution_result_bytes - int(used or 0)

    def _started(self, task: RunNode, replies: list[Any], now: int) -> Start:
        record = decode_record(replies[0])
        wanted = record.status == "queued" and record.attempt == task.attempt
        values = replies[STARTING_COMMANDS:]
        many = len(values) > MANY_READS
        size = sum(values) if many else sum(len(value or b"") for value in values)
        room = self.settings.limits.max_execution_result_bytes - int(replies[1] or 0)
        if size > self.settings.limits.max_read_bytes:
            return Start(wanted, {}, room, now, oversized=size)
        if many and wanted:
            values = self.sessions.retrying_read(
                [("HGET", keys.node(task.execution, item.node), keys.RESULT) for item in task.reads]
            )
        inputs = {item.node: value for item, value in zip(task.reads, values, strict=True) if value}
        return Start(wanted, inputs if wanted else {}, room, now)

    def forget_start(self, task: RunNode) -> None:
        """Take back what `start_nodes` or `note_start` wrote."""
        timer = keys.Timer(task.execution, task.run, task.node, task.attempt)
        field = keys.start_field(task.node, task.attempt)
        self.sessions.retrying_read(
            [("HDEL", keys.started(task.execution), field), ("ZREM", keys.TIMERS, timer.member())]
        )

    def report(self, callbacks: Sequence[Callback], acknowledge: Acknowledge) -> None:
        """Send callbacks and acknowledge their tasks in one transaction.

        Tried twice: while the handler ran, the connection was idle, and may have been closed; the nodes
        would run again, and again as long, for nothing. A callback that arrives twice counts once.
        """
        commands = Commands()
        for callback in callbacks:
            self._send(commands, ORCHESTRATOR_QUEUE, "node_finished", _encode(callback))
        acknowledge(commands)
        if not self.clock.is_old:
            self.sessions.retrying_write(commands)
            return
        commands.append(("TIME",))
        self.clock.seen(self.sessions.retrying_write(commands)[-1])

    def send_task(self, sink: Commands, queue: str, task: RunNode) -> None:
        """Queue the sending of a task."""
        self._send(sink, queue, "run_node", _encode(task))

    def send_to_orchestrator(self, sink: Commands, actor: str, payload: msgspec.Struct) -> None:
        """Queue the sending of a message to the orchestrator."""
        self._send(sink, ORCHESTRATOR_QUEUE, actor, _encode(payload))

    def expire_all(self, execution: str, ended_at: int) -> list[Command]:
        """Commands that let every key of an ended execution expire, meta before the rest."""
        plan = self.plan(execution)
        at = ended_at // 1000 + self.settings.retention_s
        names = () if plan is None else tuple(keys.node(execution, node.id) for node in plan.nodes)
        rest = (keys.plan(execution), keys.deps(execution), keys.started(execution), keys.events(execution))
        return [
            ("EXPIREAT", keys.meta(execution), at),
            *(("EXPIREAT", name, at + META_LEAD_S) for name in (*rest, *names)),
        ]


def _reading(nodes: Sequence[NodeKey], metas: Sequence[str] = (), also: Sequence[Command] = ()) -> Reading:
    names = [keys.node(execution, node) for execution, node in nodes]
    records = [keys.meta(execution) for execution in metas]
    return Reading(
        (*names, *records),
        (
            *[("HGET", name, keys.STATE) for name in names],
            *[("HMGET", record, *meta.FIELDS) for record in records],
            ("TIME",),
            *also,
        ),
    )
