"""How each change becomes Redis commands: the only place that writes state. Decides nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Container, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, assert_never

import msgspec

from flowengine.engine.held import Sink
from flowengine.engine.ports import Committed, NodeKey
from flowengine.execution.callback_tokens import SEED_BYTES
from flowengine.execution.chains.records import encode_followers
from flowengine.execution.changes import (
    Admit,
    Answer,
    ArmTimer,
    AskWorkers,
    Begin,
    Change,
    ChangeStatus,
    ChooseItems,
    CopyNodes,
    CountDown,
    CountItems,
    CountStart,
    Create,
    Dispatch,
    Doom,
    DropMap,
    DropTimer,
    EndItem,
    EnterLine,
    EnterStage,
    ExpectStart,
    Finish,
    ForgetIterations,
    ForgetStart,
    Happened,
    HoldStarts,
    Keep,
    KeepSignal,
    LeaveLine,
    MakeChild,
    MarkStop,
    NoteChild,
    NoteFollowers,
    OpenMap,
    Relabel,
    Remove,
    ReopenMap,
    Send,
    SendItems,
    SetCounter,
    SetCounts,
    Stand,
    StoreCall,
    StoredInputs,
    TakeSignal,
    Tally,
    Touch,
    Withdraw,
    Write,
    WriteDelivery,
    WriteTry,
)
from flowengine.execution.events import DECIDED, Event, encode_events, kept_entries
from flowengine.execution.history.live import KEPT_CHANGES, ChangedTo, StatusChange, encode_change
from flowengine.execution.history.runs import KEPT_RUNS
from flowengine.execution.limits.lines import is_of_nodes
from flowengine.execution.messages import (
    HooksTimeout,
    LineMoved,
    Payload,
    RunTimeout,
    StartFollowers,
    StopOverdue,
    Timer,
    kind_of,
)
from flowengine.execution.records import is_failure
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.rules.readiness import step_of_counter
from flowengine.execution.status import ExecutionStatus, is_over
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.store import keys
from flowengine.store.codec import encode_record
from flowengine.store.committing.children import keeping, making
from flowengine.store.committing.decisions_counted import count_decided
from flowengine.store.committing.fork_commands import copying, marking
from flowengine.store.committing.iteration_commands import KEPT_ATTEMPTS, forgetting, iteration_commands
from flowengine.store.committing.map_commands import (
    choosing_items,
    ending_item,
    noting_child,
    opening_map,
    reopening_map,
    writing_try,
)
from flowengine.store.committing.removal import removing
from flowengine.store.committing.signal_commands import signal_commands
from flowengine.store.connection.packing import Command, expiring, keyed_with
from flowengine.store.connection.sessions import Commands
from flowengine.store.delivering.delivery_commands import delivery_commands
from flowengine.store.limits.line_commands import entering, expecting, holding, standing, start_counted
from flowengine.store.lists.listing_entries import NARROW_LISTS, Listed, list_of
from flowengine.store.operations.ended_counts import EndedCounts
from flowengine.workflow.plan import Plan
from flowengine.workflow.priority import NORMAL

KEPT_STOPS = 10_000
"""Workers learn by the second of so many executions that are being stopped, or of which a node was
overruled; of others when a node begins."""

_encode = msgspec.json.Encoder().encode

_set_state: Final = keyed_with("HSET", ..., keys.STATE, ...)
_add_change: Final = keyed_with("XADD", ..., "MAXLEN", "~", KEPT_CHANGES, "*", "c", ...)


@lru_cache(maxsize=512)
def _adding_events(kept: int) -> Callable[[str, bytes], bytes]:
    return keyed_with("XADD", ..., "MAXLEN", "~", kept, "*", DECIDED, ...)


CONTROL_LEAD_S = 60
"""Control expires so long before the rest: who finds an execution finds all of it."""

LIVE_S = 3600
"""Progress and text are kept so long after the end of an execution."""


class Post(Protocol):
    """Queues the sending of a message: one command."""

    def __call__(self, sink: Sink, queue: str, message: Payload, partition: str) -> None: ...


class Lifetimes(Protocol):
    """What the encoder asks about expiry."""

    @property
    def retention_s(self) -> int: ...
    @property
    def ended(self) -> EndedCounts: ...
    def plan(self, execution: str) -> Plan | None: ...


class ChangeEncoder:
    """The commands of one transaction's changes, of several executions in one partition.

    `armed` is the time at which the first of the timers armed here is due; None where none is. `nodes` are
    those whose records are written. `line_for` says where the tasks go that do not go into their queue
    itself.
    """

    def __init__(
        self,
        names: keys.Keys,
        post: Post,
        lifetimes: Lifetimes,
        line_for: Callable[[Dispatch | SendItems], str] = lambda dispatch: dispatch.queue,
    ) -> None:
        self.commands = Commands()
        self.armed: int | None = None
        self.nodes: set[NodeKey] = set()
        self._keys = names
        self._post = post
        self._line_for = line_for
        self._lifetimes = lifetimes
        self._counter_replies: dict[NodeKey, int] = {}
        self._ended_replies: dict[NodeKey, int] = {}
        self._unfinished_replies: dict[str, int] = {}
        self._lines_told: set[str] = set()
        self._told: list[tuple[str, list[Event]]] = []
        self._dropped: list[str] = []
        self._finished_at: int | None = None
        self._timers: dict[str, list[int | str]] = {}
        self._made: set[str] = set()
        """Executions that are created here, and begin."""
        self._bare: Container[str] = ()
        self._plans: dict[str, Plan] = {}
        """Those of the executions that end here: what was decided is counted by them."""

    def encode(self, changes: Mapping[str, Sequence[Change]], bare: Container[str] = ()) -> Commands:
        """All commands of all changes. `bare`: executions without any of the keys that few have."""
        self._bare = bare
        for execution, listed in changes.items():
            self._add(execution, listed)
        if self._dropped:
            self.commands.append(("ZREM", self._keys.deadlines, *self._dropped))
        for kind, members in self._timers.items():
            self.commands.append(("ZADD", self._keys.timers(kind), *members))
        return self.commands

    def committed(self, replies: Sequence[Any]) -> Committed:
        """The numbers in EXEC's replies. What was decided is counted now: it has happened."""
        count_decided(self._told, self._plan)
        if self._finished_at is not None:
            self._lifetimes.ended.committed(self._finished_at)
        return Committed(
            {key: int(replies[at]) for key, at in self._counter_replies.items()},
            {execution: int(replies[at]) for execution, at in self._unfinished_replies.items()},
            {key: int(replies[at]) for key, at in self._ended_replies.items()},
        )

    def _plan(self, execution: str) -> Plan | None:
        return self._plans.get(execution) or self._lifetimes.plan(execution)

    def _add(self, execution: str, changes: Sequence[Change]) -> None:
        steps: dict[str, int] = {}
        unfinished = failed = size = 0
        forgotten: list[str] = []
        events: list[Event] = []
        last: list[Change] = []
        first_failed: str | None = None
        for change in changes:
            # What comes most often is told by its type: a struct is slow to say that it is no instance.
            if type(change) is Happened:
                events.append(change.event)
            elif type(change) is Dispatch:
                self._dispatch(execution, change)
            elif type(change) is Write:
                self._write(execution, change)
                if first_failed is None and is_failure(change.record):
                    first_failed = change.node
            elif type(change) is Tally:
                unfinished += change.unfinished
                failed += change.failed
                size += change.bytes
            elif type(change) is CountDown:
                step = step_of_counter(completed=change.completed)
                steps[change.node] = steps.get(change.node, 0) + step
            elif type(change) is ForgetStart:
                node, dispatch, item = change.node, change.dispatch, change.item
                forgotten.append(keys.start_field(node, dispatch, item))
                self._dropped.append(keys.timer_member(execution, change.run, node, dispatch, item))
            elif type(change) is Begin:
                self._begin(execution, change)
                last.append(change)
            elif type(change) is Send or type(change) is Finish or type(change) is CountItems:
                last.append(change)
            elif type(change) is Create:
                self._create(execution, change)
            else:
                self._add_rarer(execution, change)
        if steps or unfinished or failed or size:
            self._number(execution, steps, {"unfinished": unfinished, "failed": failed, "bytes": size})
        if first_failed is not None:
            counts = self._keys.counts(execution)
            self.commands.append(("HSETNX", counts, keys.FIRST_FAILED, first_failed))
        if forgotten:
            self.commands.append(("HDEL", self._keys.started(execution), *forgotten))
        if events:
            self._told.append((execution, events))
            self._tell(execution, events)
        for change in last:
            self._add_last(execution, change)

    def _add_rarer(self, execution: str, change: Change) -> None:
        match change:
            case EndItem():
                self.commands += ending_item(self._keys, execution, change)
            case OpenMap():
                self.commands += opening_map(self._keys, execution, change)
            case ReopenMap():
                self.commands += reopening_map(self._keys, execution, change)
            case WriteTry():
                self.commands += writing_try(self._keys, execution, change)
            case NoteChild():
                self.commands.append(noting_child(self._keys, execution, change))
            case SendItems():
                self._send_items(execution, change)
            case DropMap(node=node):
                self.commands.append(("UNLINK", *self._keys.of_map(execution, node)))
                counts = self._keys.counts(execution)
                self.commands.append(("HDEL", counts, keys.map_bytes_field(node)))
            case ChooseItems():
                self.commands += choosing_items(self._keys, execution, change)
            case NoteFollowers(followers=followers):
                key = self._keys.control(execution)
                self.commands.append(("HSET", key, keys.FOLLOWERS, encode_followers(followers)))
            case CopyNodes():
                plan, gone = self._lifetimes.plan(execution), self._gone(change.created_at)
                later = gone + CONTROL_LEAD_S
                self.commands += copying(self._keys, execution, change, plan, later)
            case MakeChild():
                self.commands += making(self._keys, execution, change)
            case Keep(at=at):
                self.commands += keeping(self._keys, execution, self._lifetimes, at)
            case SetCounter(node=node, value=value):
                self.commands.append(("HSET", self._keys.deps(execution), node, value))
            case SetCounts(unfinished=unfinished, failed=failed):
                key = self._keys.counts(execution)
                self.commands.append(("HSET", key, "unfinished", unfinished, "failed", failed))
            case ArmTimer(timer=timer, due=due):
                self._arm(timer, due)
            case DropTimer(timer=timer):
                self._disarm(timer)
            case MarkStop():
                self._mark_stop(execution, change)
            case AskWorkers(at=at):
                self._ask_workers(execution, at)
            case Touch(status=status):
                self.commands.append(("HSET", self._keys.control(execution), "status", status))
            case ChangeStatus(status=status, at=at, run=run):
                self._change_status(execution, status)
                self._changed(execution, status, at, run)
            case EnterStage():
                self._enter_stage(execution, change)
            case Doom(at=at):
                self.commands.append(("HSET", self._keys.control(execution), keys.DOOMED, 1))
                self.commands.append(("ZADD", self._keys.deleting, at, execution))
            case Remove():
                self.commands += removing(self._keys, execution, change)
                self._changed(execution, "deleted", change.at, change.run)
            case EnterLine():
                self.commands += entering(self._keys, change)
            case LeaveLine(line=line, member=member):
                self.commands.append(("LREM", self._keys.line(line), 1, member))
            case ExpectStart():
                self.commands += expecting(self._keys, change)
            case CountStart(pace=pace, member=member, at=at):
                self.commands.append(start_counted(self._keys, pace, member, at))
            case HoldStarts():
                self.commands += holding(self._keys, change)
            case Stand(place=place):
                self.commands.append(standing(self._keys, execution, place))
            case Admit(status=status, at=at, run=run):
                self._admit(execution, status, at)
                self._changed(execution, status, at, run)
            case Withdraw():
                self._withdraw(execution, change)
            case WriteDelivery():
                self.commands += delivery_commands(self._keys, execution, change)
            case KeepSignal() | TakeSignal():
                self.commands += signal_commands(self._keys, execution, change)
            case StoreCall(node=node, prepared=prepared):
                name = self._keys.node(execution, node)
                self.commands.append(("HSET", name, keys.CALL, _encode(prepared)))
            case ForgetIterations(node=node, collects=collects):
                self.commands += forgetting(self._keys, execution, node, collects=collects)
            case Relabel():
                self._relabel(execution, change)
            case Answer(key=key, kept=kept):
                field = keys.once_field(key)
                self.commands.append(("HSET", self._keys.control(execution), field, _encode(kept)))
            case Happened() | Dispatch() | Write() | Tally() | CountDown() | ForgetStart():
                pass  # `_add` sees to it
            case Begin() | Send() | Finish() | CountItems() | Create():
                pass
            case _ as never:
                assert_never(never)

    def _changed(self, execution: str, status: ChangedTo, at: int, run: int | None) -> None:
        """Tell those who watch all executions, which children are not."""
        if is_child(execution):
            return
        data = encode_change(StatusChange(execution, status, at, run))
        self.commands.append(_add_change(self._keys.changes, data))

    def _tell(self, execution: str, events: Sequence[Event]) -> None:
        add = _adding_events(kept_entries(events))
        self.commands.append(add(self._keys.events(execution), encode_events(events)))

    def _add_last(self, execution: str, change: Change) -> None:
        """What speaks of keys that the other changes may have made."""
        match change:
            case Finish():
                self._finish(execution, change)
            case Begin():
                self._persist(execution, change)
            case CountItems(node=node):
                self._ended_replies[execution, node] = len(self.commands)
                self.commands.append(("HLEN", self._keys.items_ended(execution, node)))
            case Send(message=LineMoved(line=line)) if line in self._lines_told:
                pass  # one look sees all that this transaction has moved there
            case Send(message=message):
                if type(message) is LineMoved and is_of_nodes(message.line):
                    self._lines_told.add(message.line)
                queue = kind_of(message).queue or ORCHESTRATOR_QUEUE
                self._post(self.commands, queue, message, self._keys.partition)

    def _write(self, execution: str, change: Write) -> None:
        key = self._keys.node(execution, change.node)
        self.nodes.add((execution, change.node))
        state = encode_record(change.record)
        if change.anew:
            self.commands.append(("HDEL", key, keys.RESULT, keys.RESPONSE))
        if change.iteration is not None:
            self.commands += iteration_commands(self._keys, execution, change.node, state, change.iteration)
        elif change.kept is not None:
            oldest = change.record.attempt - KEPT_ATTEMPTS
            result = () if change.result is None else (keys.RESULT, bytes(change.result))
            self.commands.append(("HSET", key, keys.STATE, state, *self._kept(change), *result))
            if oldest > 0:
                self.commands.append(("HDEL", key, keys.try_field(oldest)))
        elif change.response is not None:
            response = bytes(change.response)
            self.commands.append(("HSET", key, keys.STATE, state, keys.RESPONSE, response))
        elif change.result is None:
            self.commands.append(_set_state(key, state))
        else:
            self.commands.append(("HSET", key, keys.STATE, state, keys.RESULT, bytes(change.result)))

    def _kept(self, change: Write) -> tuple[str, bytes]:
        return keys.try_field(change.record.attempt), _encode(change.kept)

    def _dispatch(self, execution: str, change: Dispatch) -> None:
        key = self._keys.node(execution, change.task.node)
        self.nodes.add((execution, change.task.node))
        state = encode_record(change.record)
        if change.response is not None:
            response = bytes(change.response)
            self.commands.append(("HSET", key, keys.STATE, state, keys.RESPONSE, response))
        elif change.iteration is None:
            self.commands.append(_set_state(key, state))
        else:
            node = change.task.node
            self.commands += iteration_commands(self._keys, execution, node, state, change.iteration)
        queue = self._line_for(change) if _is_beside(change) else change.queue
        self._post(self.commands, queue, change.task, self._keys.partition)

    def _send_items(self, execution: str, change: SendItems) -> None:
        if change.sent is not None:
            self.commands.append(("HSET", self._keys.map(execution, change.node), keys.SENT, change.sent))
        queue = self._line_for(change) if _is_beside(change) else change.queue
        for task in change.tasks:
            self._post(self.commands, queue, task, self._keys.partition)

    def _change_status(self, execution: str, status: ExecutionStatus) -> None:
        self.commands.append(("HSET", self._keys.control(execution), "status", status))
        self._hold(execution, status)

    def _hold(self, execution: str, status: ExecutionStatus) -> None:
        """Let the lists of those that are paused or cancelling hold it in this status, and in no other."""
        if is_child(execution):
            return
        for narrow in NARROW_LISTS:
            name = self._keys.listing(narrow)
            stays = narrow == status
            self.commands.append(("ZADD", name, 0, execution) if stays else ("ZREM", name, execution))

    def _mark_stop(self, execution: str, change: MarkStop) -> None:
        control, status, stop = self._keys.control(execution), change.status, change.stop
        self.commands.append(("HSET", control, "status", status, "stop", _encode(stop)))
        self._hold(execution, status)
        self._ask_workers(execution, stop.at)
        if status == "cancelling" and not stop.told:
            self._changed(execution, status, stop.at, change.run)

    def _ask_workers(self, execution: str, at: int) -> None:
        self.commands += [
            ("ZADD", self._keys.stopping, at, execution),
            ("ZREMRANGEBYRANK", self._keys.stopping, 0, -KEPT_STOPS - 1),
        ]

    def _enter_stage(self, execution: str, change: EnterStage) -> None:
        control, counts = self._keys.control(execution), self._keys.counts(execution)
        self.commands += [
            ("HSET", control, "closing", _encode(change.closing)),
            ("HSET", counts, "unfinished", change.unfinished, "failed", 0),
        ]
        if change.was_stopped:
            self.commands.append(("HDEL", control, "stop"))
        if change.counters:
            self.commands.append(("HSET", self._keys.deps(execution), *_flat(change.counters)))
        if change.outcome is not None:
            self.commands.append(("HSET", self._keys.inputs(execution), keys.OUTCOME, change.outcome))
            if change.main_failed:
                self.commands.append(("HSET", counts, keys.MAIN_FAILED, change.main_failed))

    def _arm(self, timer: Timer | StartFollowers, due: int) -> None:
        self._timers.setdefault(keys.timer_kind(timer), []).extend((due, keys.member_of(timer)))
        self.armed = due if self.armed is None else min(self.armed, due)

    def _disarm(self, timer: Timer | StartFollowers) -> None:
        name = self._keys.timers(keys.timer_kind(timer))
        self.commands.append(("ZREM", name, keys.member_of(timer)))

    def _number(self, execution: str, steps: Mapping[str, int], tally: Mapping[str, int]) -> None:
        for node, step in steps.items():
            self._counter_replies[execution, node] = len(self.commands)
            self.commands.append(("HINCRBY", self._keys.deps(execution), node, step))
        for field, by in tally.items():
            if by:
                if field == "unfinished":
                    self._unfinished_replies[execution] = len(self.commands)
                self.commands.append(("HINCRBY", self._keys.counts(execution), field, by))

    def _gone(self, created_at: int) -> int:
        """When an execution expires that was made at this time and does not begin, in seconds."""
        return created_at // 1000 + self._lifetimes.retention_s

    def _create(self, execution: str, change: Create) -> None:
        gone = self._gone(change.at)
        control = self._keys.control(execution)
        fields: dict[str, object] = {
            "status": "pending",
            "run": 0,
            "total": change.total,
            "created_at": change.at,
            "correlation_id": change.correlation_id,
            "name": change.name,
        }
        if change.labels:
            fields[keys.LABELS] = _encode(change.labels)
        if change.callback_url is not None:
            fields[keys.NOTIFIES] = 1
        if change.version is not None:
            fields[keys.VERSION] = change.version
        if change.begun_by is not None:
            fields[keys.BEGUN_BY] = change.begun_by
        if change.followed is not None:
            fields[keys.FOLLOWED] = _encode(change.followed)
        if change.links:
            fields[keys.LINKS] = change.links
        if change.schedule is not None:
            fields[keys.SCHEDULE] = change.schedule
        if change.scheduled_at is not None:
            fields[keys.SCHEDULED_AT] = change.scheduled_at
        later = gone + CONTROL_LEAD_S
        plan, document = self._keys.plan(execution), self._keys.document(execution)
        if change.begins:
            self._made.add(execution)
            self.commands += [("SET", plan, change.plan), ("HSET", control, *_flat(fields))]
        else:
            self.commands += [
                ("SET", plan, change.plan, "EXAT", later),
                ("HSET", control, *_flat(fields)),
                ("EXPIREAT", control, gone),
                ("ZADD", self._keys.index("pending"), change.at, execution),
                ("ZADD", self._keys.listing("pending"), 0, execution),
            ]
        if change.kept is not None:
            _, once = self._keys.with_control(execution)
            self.commands.append(("SET", once, _encode(change.kept), *self._until(change, gone)))
        if change.document is not None:
            self.commands.append(("SET", document, change.document, *self._until(change, later)))
        beside: list[str] = []
        if change.callback_url is not None:
            beside.append(self._keys.deliveries(execution))
            self.commands.append(("HSET", beside[-1], keys.URL, change.callback_url))
        origin = None
        if change.fork is not None:
            origin = change.fork.origin.execution
            self.commands += marking(self._keys, execution, change.fork, later)
        self._changed(execution, "pending", change.at, 0)
        listed = Listed(change.name, change.correlation_id, change.labels, change.version, origin)
        self._list_by(execution, listed)
        given = self._keys.inputs(execution)
        if change.inputs is not None:
            self._give(execution, change.inputs)
        if change.outputs is not None:
            self.commands.append(("HSET", given, keys.OUTPUTS, change.outputs))
        if change.inputs is not None or change.outputs is not None:
            beside.append(given)
        if not change.begins:
            self.commands += [("EXPIREAT", name, later) for name in beside]

    @staticmethod
    def _until(change: Create, at: int) -> tuple[object, ...]:
        """When a string expires that is written as an execution is created."""
        return () if change.begins else ("EXAT", at)

    def _list_by(self, execution: str, listed: Listed) -> None:
        entries = [part for entry in listed.entries(execution) for part in (0, entry)]
        self.commands.append(("ZADD", self._keys.list_by, *entries))

    def _relabel(self, execution: str, change: Relabel) -> None:
        before = Listed(change.name, change.correlation_id, change.before).entries(execution)
        self.commands.append(("HSET", self._keys.control(execution), keys.LABELS, _encode(change.labels)))
        self.commands.append(("ZREM", self._keys.list_by, *before))
        self._list_by(execution, Listed(change.name, change.correlation_id, change.labels))

    def _give(self, execution: str, given: StoredInputs) -> None:
        fields: dict[str, object] = {keys.VALUES: given.values, keys.SECRET: _encode(given.secret)}
        fields |= {name: data for name, data in ((keys.VARS, given.vars), (keys.LATE, given.late)) if data}
        self.commands.append(("HSET", self._keys.inputs(execution), *_flat(fields)))

    def _begin(self, execution: str, change: Begin) -> None:
        deps, counts = self._keys.deps(execution), self._keys.counts(execution)
        begun = ("status", change.status, "run", change.run, "token", change.token)
        # What waits for its turn has not started.
        times = ("started_at", 0 if change.status == "pending" else change.at, "finished_at", 0)
        who = () if change.by is None else (keys.STARTED_BY, change.by)
        if change.allowed:
            who = (*who, keys.ALLOWED, _encode(change.allowed))
        self.commands += [
            ("HSET", self._keys.control(execution), *begun, *times, *who),
            *_forgetting(self._keys, execution, change),
            ("HSET", counts, *_numbers(change)),
            *self._moved(execution, change.was, change.status, change.at),
        ]
        if change.run > 1:
            self.commands.append(("DEL", *self._stale(execution, change)))
        if change.copied:
            self.commands.append(("DEL", self._keys.fork(execution)))
        self._changed(execution, change.status, change.at, change.run)
        if change.inputs is not None:
            self._give(execution, change.inputs)
        if change.calls_back:
            # The only random number that is drawn here: no seed of a run can be guessed.
            seed = secrets.token_hex(SEED_BYTES)
            self.commands.append(("HSETNX", self._keys.inputs(execution), keys.SEED, seed))
        self.commands += _history(self._keys.runs(execution), change)
        if change.counters:
            self.commands.append(("HSET", deps, *_flat(change.counters)))

    def _stale(self, execution: str, change: Begin) -> list[str]:
        """The keys that a run before may have left; what was withdrawn has left none."""
        starts = () if change.keeps_starts else (self._keys.started(execution),)
        stale = [self._keys.deps(execution), *starts]
        return [*stale, self._keys.events(execution)] if change.events_anew else stale

    def _admit(self, execution: str, status: ExecutionStatus, at: int) -> None:
        self.commands.append(("HSET", self._keys.control(execution), "status", status, "started_at", at))
        if is_child(execution):
            return
        self.commands += [
            ("ZREM", self._keys.index("pending"), execution),
            ("ZADD", self._keys.index(status), at, execution),
            *self._relisted(execution, "pending", status),
        ]

    def _withdraw(self, execution: str, change: Withdraw) -> None:
        control, gone = self._keys.control(execution), self._gone(change.created_at)
        later = gone + CONTROL_LEAD_S
        # A first run finds nothing of one before.
        numbers = (self._keys.counts(execution), self._keys.deps(execution))
        names = [*self._keys.own(execution), *self._keys.sent(execution)]
        ends = dict.fromkeys(self._keys.with_control(execution), gone) | dict.fromkeys(names, later)
        self.commands += [
            ("HSET", control, "status", change.status, "run", 0, "token", ""),
            ("ZADD", self._keys.index(change.status), change.created_at, execution),
            ("DEL", *numbers, *[self._keys.node(execution, node) for node in change.written]),
            ("HDEL", self._keys.inputs(execution), keys.SEED),
            *[("EXPIREAT", name, at) for name, at in ends.items() if name not in numbers],
        ]
        self._changed(execution, change.status, change.created_at, 0)

    def _moved(self, execution: str, was: ExecutionStatus, status: ExecutionStatus, at: int) -> list[Command]:
        """Commands that take it from the index and the list of one status to those of another. A child is in
        one index only, while it runs."""
        if is_child(execution):
            if is_over(status):
                return [("ZREM", self._keys.nested, execution)]
            return [("ZADD", self._keys.nested, at, execution)]
        if execution in self._made:
            return [
                ("ZADD", self._keys.index(status), at, execution),
                ("ZADD", self._keys.listing(status), 0, execution),
            ]
        return [
            ("ZREM", self._keys.index(list_of(was)), execution),
            ("ZADD", self._keys.index(status), at, execution),
            *self._relisted(execution, was, status),
        ]

    def _relisted(self, execution: str, was: ExecutionStatus, status: ExecutionStatus) -> list[Command]:
        narrow = [("ZREM", self._keys.listing(was), execution)] if was in NARROW_LISTS else []
        return [
            *narrow,
            ("ZREM", self._keys.listing(list_of(was)), execution),
            ("ZADD", self._keys.listing(list_of(status)), 0, execution),
        ]

    def _persist(self, execution: str, change: Begin) -> None:
        """Take the expiry off every key that has one: of a new execution, off those that `_create` writes."""
        if execution in self._made or (change.was == "pending" and is_child(execution)):
            return  # it is made in this transaction, without expiry
        names = self._keys.with_control(execution)
        if change.was == "pending":
            names += [self._keys.plan(execution), self._keys.document(execution)]
            if change.had_inputs:
                names.append(self._keys.inputs(execution))
            if change.copied:
                names += self._copied(execution, change)
        else:
            names.append(self._keys.live(execution))
            names += [*self._keys.own(execution), *self._keys.said(execution)]
            names += [self._keys.runs(execution)]
            names += [self._keys.node(execution, node) for node in change.touched]
            names += self._signals(execution, self._lifetimes.plan(execution))
            names += self._of_maps(execution, self._lifetimes.plan(execution))
            names += self._collected(execution, self._lifetimes.plan(execution))
            if change.nests:
                names.append(self._keys.children(execution))
        if change.notifies:
            names += self._keys.sent(execution)
        self.commands += [("PERSIST", name) for name in names]

    def _copied(self, execution: str, change: Begin) -> list[str]:
        """The keys that a fork has of what it has copied."""
        plan, nodes = self._lifetimes.plan(execution), change.touched
        found = [self._keys.node(execution, node) for node in nodes]
        found += self._of_maps(execution, plan)
        found += self._collected(execution, plan)
        return [*found, self._keys.counts(execution)]

    def _signals(self, execution: str, plan: Plan | None) -> list[str]:
        """The key of its signals, if its nodes wait for some, or nodes in its groups do."""
        return [self._keys.signals(execution)] if plan is not None and plan.signals_kept else []

    def _finish(self, execution: str, change: Finish) -> None:
        plan = self._lifetimes.plan(execution)
        if plan is not None:
            self._plans[execution] = plan
        self.commands += [
            ("HSET", self._keys.control(execution), "status", change.status, "finished_at", change.at),
            *self._moved(execution, change.was, change.status, change.at),
        ]
        if not is_child(execution):  # a child is kept as long as its root, and counts with it
            name = "" if plan is None else plan.name
            self.commands += self._expiries(execution, plan, change)
            self._changed(execution, change.status, change.at, change.run)
            self.commands += self._lifetimes.ended.commands(self._keys, change, name)
            self._finished_at = change.at
        if plan is not None and plan.overall.timeout_ms:
            self._disarm(RunTimeout(execution=execution, run=change.run))
        if plan is not None and plan.stages.has_hooks:
            self._disarm(HooksTimeout(execution=execution, run=change.run))
        if change.stopped:
            self._disarm(StopOverdue(execution=execution, run=change.run))

    def _collected(self, execution: str, plan: Plan | None) -> list[str]:
        """The keys that hold what the iterations of nodes have given."""
        collecting = () if plan is None else plan.collecting
        return [self._keys.collected(execution, node) for node in collecting]

    def _of_maps(self, execution: str, plan: Plan | None) -> list[str]:
        """The keys of the items of all maps."""
        if plan is None or not plan.policies:
            return []
        nodes = [plan.nodes[at].id for at in sorted(plan.maps)]
        return [name for node in nodes for name in self._keys.of_map(execution, node)]

    def _expiries(self, execution: str, plan: Plan | None, change: Finish) -> list[Command]:
        """Commands that let every key of an ended execution expire, control before the rest."""
        ended_at, run = change.at, change.run
        usual = ended_at // 1000 + self._lifetimes.retention_s
        at = usual if change.kept_s is None else min(usual, ended_at // 1000 + change.kept_s)
        bare = execution in self._bare
        names = self._keys.own(execution)
        if bare:
            names.remove(self._keys.inputs(execution))
        else:
            names += self._keys.said(execution)
        if plan is not None:
            names += [self._keys.node(execution, node.id) for node in plan.nodes]
            names += self._signals(execution, plan)
            names += self._of_maps(execution, plan)
            names += self._collected(execution, plan)
            if not plan.joins:
                names.remove(self._keys.deps(execution))
        if plan is not None and plan.nests:
            names.append(self._keys.children(execution))
        if run > 1:
            names.append(self._keys.runs(execution))
        if not run:
            names.append(self._keys.fork(execution))
        if change.notifies:
            names += self._keys.sent(execution)
        later = at + CONTROL_LEAD_S
        live = () if bare else (self._keys.live(execution),)
        return [
            *expiring(self._keys.with_control(execution), at),
            *expiring(live, min(ended_at // 1000 + LIVE_S, later)),
            *expiring(names, later),
        ]


def _is_beside(change: Dispatch | SendItems) -> bool:
    """Whether tasks may go to a line beside their queue."""
    return change.waits or change.crowd or change.priority != NORMAL


def _forgetting(names: keys.Keys, execution: str, change: Begin) -> list[Command]:
    """Take away what was known of how the last run ended."""
    commands: list[Command] = []
    if change.run > 1:
        commands.append(("HDEL", names.counts(execution), keys.FIRST_FAILED, keys.MAIN_FAILED))
    if change.was_stopped or change.was_closing:
        commands.append(("HDEL", names.control(execution), "stop", "closing"))
    if change.run > 1 and change.allowed == () and not change.copied:
        commands.append(("HDEL", names.control(execution), keys.ALLOWED))
    if change.was_closing:
        commands.append(("HDEL", names.inputs(execution), keys.OUTCOME))
    return commands


def _history(key: str, change: Begin) -> list[Command]:
    """What is told of the run before, and why this one begins; the oldest run goes."""
    if change.why is None:
        return []
    kept: list[object] = [keys.why_field(change.run), _encode(change.why)]
    if change.ended is not None:
        kept = [str(change.ended.run), _encode(change.ended), *kept]
    oldest = change.run - KEPT_RUNS
    dropped: list[Command] = [("HDEL", key, str(oldest), keys.why_field(oldest))] if oldest > 0 else []
    return [("HSET", key, *kept), *dropped]


def _numbers(change: Begin) -> list[object]:
    numbers: list[object] = ["unfinished", change.unfinished, "failed", len(change.failures)]
    return numbers if not change.failures else [*numbers, keys.FIRST_FAILED, change.failures[0]]


def _flat(fields: Mapping[str, object]) -> list[object]:
    return [part for pair in fields.items() for part in pair]
