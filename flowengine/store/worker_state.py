"""State in Redis as workers need it: starts, inputs, reports. Workers never touch a node's key."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
from msgspec.structs import replace

from flowengine.engine.definitions.ports import Definition
from flowengine.engine.ports import Acknowledge, Begun, Given, KeptResult, Start
from flowengine.execution.events import BEGUN, Event, EventKind, encode_events, kept_entries
from flowengine.execution.history.spoken import Said
from flowengine.execution.limits.lines import Member, Pace
from flowengine.execution.messages import EXECUTION, INPUTS, OUTCOME, TRIGGER, VARS, Callback, RunNode
from flowengine.execution.records import Control, ExecutionRecord
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.rules.deadlines import backstop_due, is_awaited
from flowengine.execution.rules.repeating import reads_own_key
from flowengine.execution.status import takes_reports
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.store import keys
from flowengine.store.admission import MemoryRoom
from flowengine.store.codec import (
    CONTROL_FIELDS,
    decode_record,
    format_begun,
    parse_control,
    parse_execution,
)
from flowengine.store.connection.packing import Command
from flowengine.store.connection.sessions import Commands
from flowengine.store.definitions.redis_definitions import RedisDefinitions
from flowengine.store.history.output_writer import OutputWriter
from flowengine.store.limits.line_commands import start_counted
from flowengine.store.map_reads import items_left, read_map_output
from flowengine.store.state import RedisState

MANY_READS = 16
_GIVEN_FIELDS = (keys.VALUES, keys.SECRET, keys.VARS, keys.LATE)


class RedisWorkerState:
    """Implements `flowengine.engine.ports.RunningStore`."""

    def __init__(self, state: RedisState) -> None:
        self._state = state
        self._keys = state.keys
        self._sessions = state.sessions
        self._limits = state.settings.limits
        self._outputs = OutputWriter(state)
        self._definitions = RedisDefinitions(state)
        self._room = MemoryRoom(state)

    def start_nodes(self, tasks: Sequence[tuple[RunNode, int, str]]) -> list[Start]:
        """Note that deliveries begin, arm their deadlines, and read what they need: one round trip.

        `tasks`: each with its delivery and its place. A second round trip where a node reads many outputs,
        whose sizes are looked at first.
        """
        now = self._state.clock.now()
        asked = [_Asked(self, task, Begun(delivery, now, place)) for task, delivery, place in tasks]
        commands: list[Command] = [("TIME",)] if self._state.clock.is_old else []
        old = bool(commands)
        for each in asked:
            commands += each.commands
        replies = iter(self._sessions.retrying_read(commands))
        if old:
            self._state.clock.seen(next(replies))
        return [each.start([next(replies) for _ in each.commands]) for each in asked]

    def note_commands(self, task: RunNode, begun: Begun) -> list[Command]:
        """What notes a start: the mark, then the timer, which looks for the mark when it fires, the event."""
        due = backstop_due(begun.at, task.timeout_ms, self._state.lease_ms)
        pace = task.pace
        noted: list[Command] = [
            ("HSET", self._keys.started(task.execution), _field(task), format_begun(begun)),
            ("ZADD", self._keys.deadlines, due, _member(task)),
            *([] if pace is None else [self._counts(task, pace, begun.at)]),
        ]
        # A map may have ten thousand items: of these no events tell.
        return noted if task.item is not None else [*noted, self._event("node_started", task, begun.at)]

    def _counts(self, task: RunNode, pace: Pace, at: int) -> Command:
        """What tells when a start was that counts. That of a task which is delivered again counts once."""
        member = str(Member(task.execution, task.run, task.node, pace.ticket))
        return start_counted(self._keys, pace, member, at)

    def _event(self, kind: EventKind, task: RunNode, at: int) -> Command:
        """What appends an event. It makes no stream: that of an execution that has expired stays gone."""
        events = [Event(kind, at, task.node, task.attempt, task.dispatch)]
        key = self._keys.events(task.execution)
        kept = kept_entries(events)
        return ("XADD", key, "NOMKSTREAM", "MAXLEN", "~", kept, "*", BEGUN, encode_events(events))

    def note_starts(self, begun: Sequence[tuple[RunNode, Begun]]) -> None:
        """Note that deliveries began, and arm their deadlines: one round trip."""
        commands = [command for task, start in begun for command in self.note_commands(task, start)]
        self._sessions.retrying_read(commands)

    def storable_bytes(self, execution: str) -> int:
        """How many bytes of results an execution may still store."""
        used = self._sessions.retrying_read([("HGET", self._keys.counts(execution), "bytes")])[0]
        return self._limits.max_execution_result_bytes - int(used or 0)

    def cached(self, entry: str) -> bytes | None:
        """The result that is kept under this name."""
        found: bytes | None = self._sessions.retrying_read([("GET", self._keys.cached(entry))])[0]
        return found

    def _keeping(self, kept: Sequence[KeptResult]) -> list[Command]:
        """The commands that keep results for other times; none while new work would be refused, too."""
        if not kept or not self._room.has_room(sum(len(each.result) for each in kept)):
            return []
        return [("SET", self._keys.cached(each.entry), bytes(each.result), "EX", each.ttl_s) for each in kept]

    def collected(self, task: RunNode) -> bytes:
        """What the iterations of a node have given that collects, as JSON, each behind a comma."""
        key = self._keys.collected(task.execution, task.node)
        found: bytes | None = self._sessions.retrying_read([("GET", key)])[0]
        return found or b""

    def forget_start(self, task: RunNode) -> None:
        """Take back what `start_nodes` or `note_starts` wrote; the events tell that it was given back."""
        commands: list[Command] = [
            ("HDEL", self._keys.started(task.execution), _field(task)),
            ("ZREM", self._keys.deadlines, _member(task)),
        ]
        if task.item is None:
            commands.append(self._event("node_returned", task, self._state.now()))
        self._sessions.retrying_read(commands)

    def definition(self, name: str, version: int | None = None) -> Definition | None:
        """A version of a definition, or that in force, if it is there."""
        return self._definitions.definition(name, version)

    def home_and_root(self, task: RunNode) -> tuple[ExecutionRecord | None, ExecutionRecord | None]:
        """The records of the execution of the task's document, and of that at the top."""
        plan = self._state.plan(task.home) if is_child(task.home) else None
        lineage = None if plan is None else plan.lineage
        home, root = self._state.read_executions([task.home, task.home if lineage is None else lineage.root])
        return home, root

    def parent_of(self, execution: str) -> str | None:
        """The execution that this one is a child of."""
        plan = self._state.plan(execution) if is_child(execution) else None
        return None if plan is None or plan.lineage is None else plan.lineage.parent

    def items_left(self, task: RunNode) -> list[tuple[int, int]]:
        """The items of a map that the run before has left, each with how many of its failures were
        answered."""
        name = self._keys.node(task.execution, task.node)
        (stored,) = self._sessions.retrying_read([("HGET", name, keys.STATE)])
        record = decode_record(stored)
        return items_left(self._state, task.execution, task.node, record.map)

    def report(
        self,
        callbacks: Sequence[Callback],
        acknowledge: Acknowledge,
        said: Sequence[Said] = (),
        kept: Sequence[KeptResult] = (),
        *,
        crowd: bool = False,
    ) -> None:
        """Send callbacks and acknowledge their tasks in one transaction, with what their nodes have said, and
        what is `kept` of their results for other times.

        Tried twice: while the handler ran, the connection was idle, and may have been closed; the nodes
        would run again, and again as long, for nothing. A callback that arrives twice counts once.
        """
        commands = Commands()
        queue = ORCHESTRATOR_QUEUE
        if crowd:
            queue = self._state.lines_beside.line_for(queue, waits=False, crowd=True)
        for callback in callbacks:
            self._state.post(commands, queue, callback, self._keys.partition)
        acknowledge(commands)
        commands += self._keeping(kept)
        ended = len(commands)
        written = self._outputs.commands(said)
        commands += chain.from_iterable(written)
        clock = self._state.clock
        if clock.is_old:
            commands.append(("TIME",))
            *replies, time = self._sessions.retrying_write(commands)
            clock.seen(time)
        else:
            replies = self._sessions.retrying_write(commands)
        self._outputs.seen(said, written, replies[ended:])

    @property
    def has_said_too_much(self) -> bool:
        """Whether more lines are kept than may be."""
        return self._outputs.is_untidy

    def say(self, said: Sequence[Said]) -> None:
        """Write down what nodes have said, and drop the oldest lines where there are too many."""
        self._outputs.write(said)
        self._outputs.tidy()

    def acknowledge(self, acknowledge: Acknowledge) -> None:
        """Acknowledge a task that needs nothing else."""
        self._state.acknowledge(acknowledge)

    def stops_since(self, at: int) -> list[tuple[str, int]]:
        """The executions that were marked as stopping since, or of which an operator has ended a node, and
        when, in milliseconds since the epoch."""
        command = ("ZRANGE", self._keys.stopping, at, "+inf", "BYSCORE", "WITHSCORES")
        (found,) = self._sessions.retrying_read([command])
        pairs = zip(found[::2], found[1::2], strict=True)
        return [(member.decode(errors="replace"), int(float(score))) for member, score in pairs]

    def unwanted(self, tasks: Sequence[RunNode]) -> list[RunNode]:
        """Those of these tasks whose execution is being stopped, is over or in another run, or whose node has
        ended by an operator's word."""
        executions = list(dict.fromkeys(task.execution for task in tasks))
        replies = self._sessions.retrying_read(
            [
                *(("HMGET", self._keys.control(execution), *CONTROL_FIELDS) for execution in executions),
                *(("HGET", self._keys.node(task.execution, task.node), keys.STATE) for task in tasks),
            ]
        )
        controls = dict(zip(executions, map(parse_control, replies[: len(executions)]), strict=True))
        records = map(decode_record, replies[len(executions) :])
        return [
            task
            for task, record in zip(tasks, records, strict=True)
            if _is_stopped(controls[task.execution], task.run)
            or not is_awaited(record, task.dispatch, task.item)
        ]

    def read_results(self, task: RunNode) -> list[bytes | None]:
        """The outputs that a node reads; those of maps stay None."""
        return self._sessions.retrying_read(self.result_reads(task, "HGET"))

    def map_outputs(self, task: RunNode, left: int) -> tuple[dict[str, bytes], int]:
        """The outputs of the maps that a node reads, and their size; none, if that is more than what is left
        to be read."""
        found: dict[str, bytes] = {}
        size = 0
        maps = [(task.execution, read.node, read.primary) for read in task.reads if read.node in task.maps]
        around = [each for each in task.outer if each.is_map and each.is_read]
        maps += [(task.around(read.up), read.node, read.primary) for read in around]
        for execution, node, primary in maps:
            output = read_map_output(self._state, execution, node, primary, left - size)
            size += output.size
            if output.data is not None:
                found[node] = output.data
        return found, size

    def result_reads(self, task: RunNode, command: str) -> list[Command]:
        """The commands that read its inputs, or (HSTRLEN) their sizes."""
        own: list[Command] = [
            (command, self._keys.node(task.execution, item.node), keys.RESULT) for item in task.reads
        ]
        return own if not task.outer else [*own, *self._around(task, command, keys.RESULT)]

    def _around(self, task: RunNode, command: str, field: str) -> list[Command]:
        """What reads a field of the nodes around that the task reads (RESULT) or sees (STATE)."""
        return [
            (command, self._keys.node(task.around(item.up), item.node), field)
            for item in task.outer
            if (item.is_read if field == keys.RESULT else item.is_seen)
        ]

    def state_reads(self, task: RunNode) -> list[Command]:
        """The commands that read whether it is wanted, whether its execution is being stopped, and how much
        that stores."""
        return [
            self._own_read(task),
            ("HMGET", self._keys.control(task.execution), *CONTROL_FIELDS),
            ("HGET", self._keys.counts(task.execution), "bytes"),
        ]

    def item_reads(self, task: RunNode) -> list[Command]:
        """The command that reads whether the item has ended whose task it is, if it is one."""
        if task.item is None:
            return []
        return [("HEXISTS", self._keys.items_ended(task.execution, task.node), task.item.index)]

    def _own_read(self, task: RunNode) -> Command:
        """The command that reads its record. What its iterations have given must be read with it, as both
        move together."""
        key = self._keys.node(task.execution, task.node)
        if reads_own_key(task):
            return ("HMGET", key, keys.STATE, keys.PREVIOUS, keys.RESPONSE)
        return ("HGET", key, keys.STATE)

    def held_reads(self, task: RunNode) -> list[Command]:
        """The commands that read the items around that it reads."""
        return [("LINDEX", self._keys.items(held.execution, held.node), held.index) for held in task.held]

    def within_reads(self, task: RunNode) -> list[Command]:
        """The command that reads what the iteration before has given, of the group around that repeats."""
        within = task.within
        if within is None or not task.looks_back:
            return []
        return [("HMGET", self._keys.node(within.execution, within.node), keys.STATE, keys.PREVIOUS)]

    def fate_reads(self, task: RunNode) -> list[Command]:
        """The commands that read what became of the nodes that it sees."""
        own: list[Command] = [
            ("HGET", self._keys.node(task.execution, node), keys.STATE) for node in task.sees
        ]
        return own if not task.outer else [*own, *self._around(task, "HGET", keys.STATE)]

    def given_reads(self, task: RunNode) -> list[Command]:
        """The commands that read what its execution is given."""
        commands: list[Command] = []
        if INPUTS in task.given or VARS in task.given:
            commands.append(("HMGET", self._keys.inputs(task.home), *_GIVEN_FIELDS))
        if _reads_execution(task):
            commands.append(self._state.execution_read(task.home))
        if OUTCOME in task.given:
            commands.append(("HGET", self._keys.inputs(task.home), keys.OUTCOME))
        if TRIGGER in task.given:
            commands.append(("HGET", self._keys.inputs(task.home), keys.OUTPUTS))
        if task.calls_back is not None:
            commands.append(("HGET", self._keys.inputs(task.execution), keys.SEED))
        return commands

    @property
    def max_read_bytes(self) -> int:
        """How much one node may read."""
        return self._limits.max_read_bytes

    @property
    def max_execution_result_bytes(self) -> int:
        """How much an execution may store."""
        return self._limits.max_execution_result_bytes


class _Asked:
    """What one delivery's start asks for, and what the replies mean.

    The start is noted before the record and control are read: of a worker that begins and of the process that
    stops the node, at least one sees the other.
    """

    def __init__(self, state: RedisWorkerState, task: RunNode, begun: Begun) -> None:
        self._state = state
        self._task = task
        self._now = begun.at
        self._read = [
            *(item.node for item in task.reads),
            *(item.node for item in task.outer if item.is_read),
        ]
        self._sees = [*task.sees, *(item.node for item in task.outer if item.is_seen)]
        self._many = len(self._read) > MANY_READS
        noted = state.note_commands(task, begun)
        self._ignored = len(noted)
        reads = state.result_reads(task, "HSTRLEN" if self._many else "HGET")
        self.commands = [
            *noted,
            *state.state_reads(task),
            *state.item_reads(task),
            *state.given_reads(task),
            *state.held_reads(task),
            *state.within_reads(task),
            *state.fate_reads(task),
            *reads,
        ]

    def start(self, replies: Sequence[Any]) -> Start:
        """What the worker learns."""
        own, control, used, *rest = replies[self._ignored :]
        state, previous, response = own if reads_own_key(self._task) else (own, None, None)
        stopping = _is_stopped(parse_control(control))
        has_ended = self._task.item is not None and bool(rest.pop(0))
        given = _given(self._task, [rest.pop(0) for _ in self._state.given_reads(self._task)])
        if TRIGGER in self._task.given:
            given = replace(given, parent=self._state.parent_of(self._task.home))
        held = tuple([rest.pop(0) for _ in self._task.held])
        for found in [rest.pop(0) for _ in self._state.within_reads(self._task)]:
            previous = _previous_of(self._task, *found)
        sees = self._sees
        fates = {node: decode_record(found) for node, found in zip(sees, rest, strict=False)}
        values = rest[len(sees) :]
        wanted = is_awaited(decode_record(state), self._task.dispatch, self._task.item) and not has_ended
        storable_bytes = self._state.max_execution_result_bytes - int(used or 0)
        size = sum(values) if self._many else sum(len(value or b"") for value in values)
        of_maps: dict[str, bytes] = {}
        if (self._task.maps or self._task.outer) and wanted:
            of_maps, more = self._state.map_outputs(self._task, self._state.max_read_bytes - size)
            size += more
        if size > self._state.max_read_bytes:
            return Start(
                wanted, {}, storable_bytes, self._now, oversized=size, stopping=stopping, given=given
            )
        if self._many and wanted:
            values = self._state.read_results(self._task)
        inputs = {node: value for node, value in zip(self._read, values, strict=True) if value}
        inputs |= {node: output for node, output in of_maps.items() if node not in inputs}
        return Start(
            wanted,
            inputs if wanted else {},
            storable_bytes,
            self._now,
            stopping=stopping,
            fates=fates,
            given=given,
            previous=previous,
            held=held,
            response=response if self._task.judges else None,
        )


def _previous_of(task: RunNode, state: bytes | None, previous: bytes | None) -> bytes | None:
    """What the iteration before has given; nothing, if the group around is at another one than that which the
    task is of: nobody waits for the task then."""
    repeated = decode_record(state).repeated
    if task.within is None or repeated is None or repeated.ended + 1 != task.within.number:
        return None
    return previous


def _reads_execution(task: RunNode) -> bool:
    """Whether the task needs its execution's own record: its templates, or to whom belongs what is kept."""
    return EXECUTION in task.given or TRIGGER in task.given or task.cache is not None


def _given(task: RunNode, replies: list[Any]) -> Given:
    """What the replies to `given_reads` say."""
    reads = INPUTS in task.given or VARS in task.given
    values, secret, made, late = replies.pop(0) if reads else (None, None, None, None)
    return Given(
        inputs=values,
        vars=made,
        late=late,
        secret=() if secret is None else msgspec.json.decode(secret, type=tuple[str, ...]),
        execution=parse_execution(replies.pop(0)) if _reads_execution(task) else None,
        outcome=replies.pop(0) if OUTCOME in task.given else None,
        outputs=replies.pop(0) if TRIGGER in task.given else None,
        seed=replies.pop(0) if task.calls_back is not None else None,
    )


def _is_stopped(control: Control | None, run: int | None = None) -> bool:
    """Whether nothing of it is to run, or nothing of this run."""
    if control is None or control.stop is not None or not takes_reports(control.status):
        return True
    return run is not None and control.run != run


def _field(task: RunNode) -> str:
    return keys.start_field(task.node, task.dispatch, task.item_try)


def _member(task: RunNode) -> str:
    return keys.timer_member(task.execution, task.run, task.node, task.dispatch, task.item_try)
