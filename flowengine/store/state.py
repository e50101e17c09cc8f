"""State in Redis as the orchestrator needs it: optimistic units, and reads that decide nothing.

Decides nothing about what happens next; see `flowengine.execution.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import redis
import structlog
from msgspec.structs import replace

from flowengine.engine.ports import Acknowledge, Begun, ItemToSend, NodeKey, Reading
from flowengine.execution.changes import Change, Dispatch, SendItems
from flowengine.execution.messages import ItemTry
from flowengine.execution.prepared import Prepared
from flowengine.execution.records import ExecutionRecord, ItemRecord, NodeRecord
from flowengine.execution.requests.fork import Fork
from flowengine.execution.rules.deadlines import TaskState
from flowengine.execution.rules.maps.choosing import KnownItems
from flowengine.heuristics import READ_AHEAD_FOR_S
from flowengine.settings import Settings
from flowengine.store import keys, map_reads
from flowengine.store.codec import (
    EXECUTION_FIELDS,
    decode_prepared,
    decode_record,
    parse_begun,
    parse_execution,
)
from flowengine.store.committing.encode_changes import ChangeEncoder, Post
from flowengine.store.committing.fork_commands import decode_fork
from flowengine.store.committing.removal import removing_child, rest_of
from flowengine.store.committing.transaction import Found, RedisUnit, commands_of
from flowengine.store.connection.clock import Clock
from flowengine.store.connection.packing import Command, keyed
from flowengine.store.connection.sessions import Commands, Sessions
from flowengine.store.delivering.delivery_state import RedisDeliveryUnit
from flowengine.store.limits.lines import RedisLines
from flowengine.store.lines_beside import LinesBeside
from flowengine.store.lists.listing_entries import reading_all, stored_entries
from flowengine.store.operations.ended_counts import EndedCounts
from flowengine.store.plan_cache import PlanCache
from flowengine.store.task_states import task_state
from flowengine.workflow.children.lineage import CalledPlan, Reference, decode_reference
from flowengine.workflow.plan import Plan, UnknownFormatError

log = structlog.stdlib.get_logger()

_read_execution: Final = keyed("HMGET", ..., *EXECUTION_FIELDS)

CHILDREN_AT_ONCE = 20
"""So many children are dealt with in one step: each may have a thousand nodes."""


class RedisState:
    """The state of all executions of one partition. Implements `flowengine.engine.ports.AdvancingStore`.

    `post` puts a message into a queue: it must only queue commands, so that they join the transaction.
    `on_armed` is told when a timer of this process is due that was just armed. With an `owner`, the queues
    and timers are those that this execution has of its own.
    """

    def __init__(
        self,
        client: redis.Redis,
        post: Post,
        settings: Settings,
        partition: str = "",
        *,
        owner: str = "",
        ahead_for_s: float = READ_AHEAD_FOR_S,
    ) -> None:
        self.sessions = Sessions(client, ahead_for_s=ahead_for_s)
        self.settings = settings
        self.keys = keys.of(partition, owner)
        self.lines = RedisLines(self.sessions, self.keys)
        self.lines_beside = LinesBeside(self.sessions, self.keys)
        self.plans = PlanCache()
        self.ended = EndedCounts()
        self.clock = Clock(lambda: self.sessions.retrying_read([("TIME",)])[0])
        self.post = post
        self.on_armed: Callable[[int], None] = lambda due: None
        self.looks_for_s: float | None = None
        """So long what was seen is kept of how much is stored; None: as long as `Admission` says."""

    @property
    def owner(self) -> str:
        """The id of the execution whose own queues are used; else empty."""
        return self.keys.owner

    def line_length(self, line: str) -> int:
        """How many stand in a line."""
        return self.lines.length(line)

    @property
    def retention_s(self) -> int:
        """How long an execution is kept after its end."""
        return self.settings.retention_s

    @property
    def lease_ms(self) -> int:
        """How long a silent process keeps what it holds."""
        return int(self.settings.lease_s * 1000)

    def now(self) -> int:
        """Redis's time in milliseconds since the epoch."""
        return self.clock.now()

    # -- plans

    def plan(self, execution: str) -> Plan | None:
        """The compiled plan, from this process's memory if it can be."""
        known = self.plans.get(execution)
        if known is not None:
            return known
        encoded = self.sessions.retrying_read([("GET", self.keys.plan(execution))])[0]
        return None if encoded is None else self._kept_plan(execution, encoded)

    def _kept_plan(self, execution: str, encoded: bytes) -> Plan | None:
        """The plan that is stored so: a child's may be that of a group in another one, which may be gone."""
        reference = decode_reference(encoded)
        if reference is None:
            return self.plans.put(execution, encoded)
        if isinstance(reference, CalledPlan):
            own = self.plans.decoded(bytes(reference.plan))
            return self.plans.put(execution, encoded, own.within(Reference(reference.lineage, ())))
        around = self.plan(reference.lineage.chain[0])
        if around is None:
            return None
        return self.plans.put(execution, encoded, around.group_at(reference.path).within(reference))

    def forget_plan(self, execution: str) -> None:
        """The execution has ended: its plan need not stay in memory."""
        self.plans.drop(execution)

    # -- transactions

    def encoder(self) -> ChangeEncoder:
        """A new encoder of one transaction's changes."""
        return ChangeEncoder(self.keys, self.post, self, self._line_for)

    def _line_for(self, dispatch: Dispatch | SendItems) -> str:
        return self.lines_beside.line_for(
            dispatch.queue, waits=dispatch.waits, crowd=dispatch.crowd, priority=dispatch.priority
        )

    def begin(self, reading: Reading, *, commits: bool = False, exact_time: bool = False) -> RedisUnit:
        """WATCH and read, in one round trip.

        It takes none where this thread's last transaction was followed by just this reading, and the caller
        `commits` whatever it finds: what is out of date is refused then. With `exact_time` the server is
        asked for the time.
        """
        replies = None
        if commits and not exact_time and not self.clock.is_old:
            asked = replace(reading, ending=()) if reading.ending else reading
            replies = self.sessions.current().watched_ahead(asked)
            reading = reading if replies is None else asked
        if replies is None:
            wanted = commands_of(self.keys, reading)
            replies = self.timed_watch(wanted.names, wanted.reads, exact_time=exact_time)
        return self._unit(reading, replies)

    def begin_with_plans(self, reading: Reading) -> tuple[RedisUnit, dict[str, Plan | None]]:
        """WATCH and read, with the compiled plans of the executions whose control is read, in one round
        trip."""
        wanted = commands_of(self.keys, reading)
        plans = {execution: self.plans.get(execution) for execution in reading.controls}
        unknown = [execution for execution, plan in plans.items() if plan is None]
        reads = [*wanted.reads, *[("GET", self.keys.plan(execution)) for execution in unknown]]
        replies = self.timed_watch(wanted.names, reads)
        # The unit comes first: what else is read for a plan may need a new connection, which WATCHes nothing.
        unit = self._unit(reading, replies)
        for execution, encoded in zip(unknown, replies[len(wanted.reads) :], strict=True):
            plans[execution] = None if encoded is None else self._kept_plan(execution, encoded)
        return unit, plans

    def _unit(self, reading: Reading, replies: Sequence[Any]) -> RedisUnit:
        return RedisUnit(
            self.sessions.here(),
            self.keys,
            reading,
            Found(reading, replies),
            self.clock.now(),
            self.encoder,
            self.on_armed,
        )

    def timed_watch(
        self, names: Sequence[str], reads: Sequence[Command], *, exact_time: bool = False
    ) -> list[Any]:
        """WATCH these names and read; `now` is right then. The server is asked for the time where the clock
        was set long ago, and with `exact_time`."""
        if not exact_time and not self.clock.is_old:
            return self.sessions.retrying_watch(names, reads)
        *replies, time = self.sessions.retrying_watch(names, (*reads, ("TIME",)))
        self.clock.seen(time)
        return replies

    def begin_delivery(self, execution: str, run: int) -> RedisDeliveryUnit:
        """WATCH and read an execution and the delivery of one of its runs."""
        return RedisDeliveryUnit(self, execution, run)

    def acknowledge(self, acknowledge: Acknowledge) -> None:
        """Acknowledge a message that needs nothing else."""
        commands = Commands()
        acknowledge(commands)
        self.sessions.here().write(commands)

    def write(self, changes: Mapping[str, Sequence[Change]]) -> None:
        """Write changes that depend on nothing read before."""
        self.sessions.here().write(self.encoder().encode(changes))

    def remove_rest(self, execution: str, acknowledge: Acknowledge | None) -> None:
        """Remove all keys of an execution whose control is gone, in bounded steps; acknowledge in the last
        one."""
        (listed,) = self.sessions.retrying_read_each([reading_all(self.keys.list_by, execution)])
        entries = stored_entries(execution, listed)
        self._remove_children(execution)
        *before, last = rest_of(self.keys, execution, self._readable_plan(execution), entries)
        for commands in before:
            self.sessions.retrying_write(commands)
        final = Commands(last)
        if acknowledge is not None:
            acknowledge(final)
        self.sessions.here().write(final)

    def _remove_children(self, root: str) -> None:
        """Remove all below it, in bounded steps."""
        after = ""
        while True:
            found, after = self._members(root, after)
            for member in found:
                child = member.rpartition("\t")[2]
                record, plan = self.read_execution(child), self._readable_plan(child)
                run = 0 if record is None else record.run
                for commands in removing_child(self.keys, root, child, member, run, plan):
                    self.sessions.retrying_write(commands)
                self.forget_plan(child)
            if not after:
                return

    def children_of(self, root: str, after: str) -> tuple[list[str], str]:
        """Some of the executions below a root after a place, and the place that they reach; empty: all."""
        found, reached = self._members(root, after)
        return [member.rpartition("\t")[2] for member in found], reached

    def count_below(self, root: str) -> int:
        """How many executions there are below a root."""
        return int(self.sessions.retrying_read([("ZCARD", self.keys.children(root))])[0])

    def prepared(self, execution: str, node: str) -> Prepared | None:
        """What the execution of a definition begins with that a node stands for."""
        name = self.keys.node(execution, node)
        return decode_prepared(self.sessions.retrying_read([("HGET", name, keys.CALL)])[0])

    def _members(self, root: str, after: str) -> tuple[list[str], str]:
        low = f"({after}" if after else "-"
        command = ("ZRANGE", self.keys.children(root), low, "+", "BYLEX", "LIMIT", 0, CHILDREN_AT_ONCE)
        (found,) = self.sessions.retrying_read([command])
        members = [member.decode() for member in found]
        return members, members[-1] if len(members) == CHILDREN_AT_ONCE else ""

    def _readable_plan(self, execution: str) -> Plan | None:
        try:
            return self.plan(execution)
        except (UnknownFormatError, redis.ResponseError) as error:
            log.warning("execution.nodes_left_to_expire", execution_id=execution, error=str(error)[:100])
            return None

    # -- reads

    def read_nodes(self, execution: str, nodes: Sequence[str]) -> dict[str, NodeRecord]:
        """The records of nodes that have one."""
        if not nodes:
            return {}
        states = self.sessions.retrying_read(
            [("HGET", self.keys.node(execution, node), keys.STATE) for node in nodes]
        )
        return {node: decode_record(state) for node, state in zip(nodes, states, strict=True) if state}

    def read_given(self, execution: str) -> tuple[bytes | None, bytes | None]:
        """Its inputs and its vars, as JSON."""
        name = self.keys.inputs(execution)
        ((inputs, made),) = self.sessions.retrying_read([("HMGET", name, keys.VALUES, keys.VARS)])
        return inputs, made

    def outputs_before(self, execution: str) -> bytes | None:
        """What an end has given that has led to it, as JSON, if it has given something."""
        name = self.keys.inputs(execution)
        found: bytes | None = self.sessions.retrying_read([("HGET", name, keys.OUTPUTS)])[0]
        return found

    def response(self, execution: str, node: str) -> bytes | None:
        """What the handler of a node has given that waits for a callback."""
        name = self.keys.node(execution, node)
        found: bytes | None = self.sessions.retrying_read([("HGET", name, keys.RESPONSE)])[0]
        return found

    def seed(self, execution: str) -> bytes | None:
        """That of the tokens of its callbacks, if it has one."""
        name = self.keys.inputs(execution)
        found: bytes | None = self.sessions.retrying_read([("HGET", name, keys.SEED)])[0]
        return found

    def node_results(self, execution: str, nodes: Sequence[str]) -> list[tuple[NodeRecord, bytes | None]]:
        """The records and outputs of nodes."""
        replies = self.sessions.retrying_read(
            [("HMGET", self.keys.node(execution, node), keys.STATE, keys.RESULT) for node in nodes]
        )
        return [(decode_record(state), result) for state, result in replies]

    def result_sizes(self, execution: str, nodes: Sequence[str]) -> list[int]:
        """How many bytes the outputs of nodes take."""
        if not nodes:
            return []
        return self.sessions.retrying_read(
            [("HSTRLEN", self.keys.node(execution, node), keys.RESULT) for node in nodes]
        )

    @property
    def max_result_bytes(self) -> int:
        """The most that a node's result may take."""
        return self.settings.limits.max_result_bytes

    @property
    def max_execution_result_bytes(self) -> int:
        """So many bytes of results may be stored of an execution."""
        return self.settings.limits.max_execution_result_bytes

    def counted_bytes(self, execution: str) -> int:
        """How many bytes of its results count."""
        (used,) = self.sessions.retrying_read([("HGET", self.keys.counts(execution), "bytes")])
        return int(used or 0)

    def read_fork(self, execution: str) -> Fork | None:
        """What is to be done before a fork begins; None: it has begun, or is gone, or is no fork."""
        (data,) = self.sessions.retrying_read([("GET", self.keys.fork(execution))])
        return None if data is None else decode_fork(data)

    def bytes_of_items(self, execution: str, maps: Sequence[str]) -> dict[str, int]:
        """How many bytes of the results of these maps' items count towards the execution's limit."""
        if not maps:
            return {}
        fields = [keys.map_bytes_field(node) for node in maps]
        (found,) = self.sessions.retrying_read([("HMGET", self.keys.counts(execution), *fields)])
        return {node: int(value or 0) for node, value in zip(maps, found, strict=True)}

    def read_execution(self, execution: str) -> ExecutionRecord | None:
        """The execution's own record, or None."""
        return parse_execution(self.sessions.retrying_read([self.execution_read(execution)])[0])

    def read_executions(self, executions: Sequence[str]) -> list[ExecutionRecord | None]:
        """Their own records, in one round trip."""
        if not executions:
            return []
        replies = self.sessions.retrying_read([self.execution_read(execution) for execution in executions])
        return [parse_execution(reply) for reply in replies]

    def read_records(self, nodes: Sequence[NodeKey]) -> list[NodeRecord]:
        """The records of nodes of any executions, in one round trip."""
        if not nodes:
            return []
        reads = [("HGET", self.keys.node(execution, node), keys.STATE) for execution, node in nodes]
        return [decode_record(state) for state in self.sessions.retrying_read(reads)]

    def execution_read(self, execution: str) -> Command:
        """The command whose reply `parse_execution` takes."""
        return _read_execution(self.keys.control(execution))

    def plans_and_executions(
        self, executions: Sequence[str]
    ) -> dict[str, tuple[Plan | None, ExecutionRecord | None]]:
        """The compiled plans and the executions' own records, in one round trip."""
        known = {execution: self.plans.get(execution) for execution in executions}
        unknown = [execution for execution, plan in known.items() if plan is None]
        commands = [self.execution_read(execution) for execution in known]
        commands += [("GET", self.keys.plan(execution)) for execution in unknown]
        replies = self.sessions.retrying_read(commands)
        for execution, encoded in zip(unknown, replies[len(known) :], strict=True):
            known[execution] = None if encoded is None else self._kept_plan(execution, encoded)
        records = [parse_execution(values) for values in replies[: len(known)]]
        return dict(zip(known, zip(known.values(), records, strict=True), strict=True))

    def counters(self, wanted: Sequence[NodeKey]) -> dict[NodeKey, int]:
        """Joins' counters, for those that exist."""
        if not wanted:
            return {}
        replies = self.sessions.retrying_read(
            [("HGET", self.keys.deps(execution), node) for execution, node in wanted]
        )
        return {key: int(reply) for key, reply in zip(wanted, replies, strict=True) if reply is not None}

    def map_results(self, execution: str, node: str, primary: str | None) -> bytes | None:
        """What the items of a completed map gave, and their numbers, as JSON."""
        most = self.settings.limits.max_execution_result_bytes * 2
        read = map_reads.read_map_output(self, execution, node, primary, most, with_items=False)
        return read.data

    def items_to_send(
        self, execution: str, node: str, first: int, count: int, *, again: bool
    ) -> list[ItemToSend]:
        """The next items of a map that are to be sent, from this place of the order. `again`: of those that a
        run before has left."""
        return map_reads.items_to_send(self, execution, node, first, count, again=again)

    def noted_failures(self, execution: str, node: str) -> dict[int, ItemRecord]:
        """The records of the items that are noted as failed."""
        return map_reads.noted_failures(self, execution, node)

    def known_items(self, execution: str, node: str, total: int, keys: Sequence[str]) -> KnownItems:
        """What is known of the items of an ended map, of which these are asked for by their keys."""
        return map_reads.known_items(self, execution, node, total, keys)

    def stored_items(self, execution: str, node: str, indexes: Sequence[int]) -> list[bytes]:
        """These items of a map."""
        return map_reads.stored_items(self, execution, node, indexes)

    def has_items_begun(self, execution: str, node: str, dispatch: int) -> bool:
        """Whether it is noted that an item of this dispatch runs: by a worker, or as a child."""
        return map_reads.has_items_begun(self, execution, node, dispatch)

    def may_hold_reports(self, before: int) -> bool:
        """Whether a message to the orchestrators from before this time may wait to be applied."""
        return map_reads.may_hold_reports(self, before)

    def children_of_items(self, execution: str, node: str) -> list[tuple[int, str, int]]:
        """The items of a map that are noted to run as children: the index and the child of each, and the
        dispatch of the map in which that was noted."""
        return map_reads.children_of_items(self, execution, node)

    def begun(self, execution: str, node: str, dispatch: int, item: ItemTry | None = None) -> Begun | None:
        """What was noted of the newest delivery of a dispatch that has begun, or None."""
        field = keys.start_field(node, dispatch, item)
        value = self.sessions.retrying_read([("HGET", self.keys.started(execution), field)])[0]
        return None if value is None else parse_begun(value)

    def task_state(self, queue: str, begun: Begun) -> TaskState:
        """What has become of a task whose start was noted."""
        return task_state(self.sessions, queue, self.keys, begun, self.lease_ms)
