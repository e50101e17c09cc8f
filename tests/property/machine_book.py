"""What the machine of an execution keeps book of, and what its rules share; it has no rule of its own.

The model is moved by what is reported of the execution. Where something was struck, the store tells how far
it got, and the model says whether it may have got there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import ClassVar, Final, TypeAlias, TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from flowengine.errors import StoreUnavailableError
from flowengine.execution.error_codes import ENDED
from flowengine.execution.messages import (
    Callback,
    Deadline,
    HooksTimeout,
    ItemTry,
    NextTry,
    RunTimeout,
    StartExecution,
    StopOverdue,
    Timer,
    WaitOver,
)
from flowengine.execution.records import NodeRecord
from flowengine.execution.reports import (
    Again,
    Cancelled,
    Child,
    Completed,
    Expanded,
    Failed,
    ItemsEnded,
    KeysMade,
    Skipped,
    Waiting,
)
from flowengine.execution.rules.dispatching import Sizes
from flowengine.execution.rules.steering.overruling import Complete, Fail, Skip, Word
from flowengine.plugin import Context, HandlerError, Later
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.connection.sessions import connect
from tests.support.checks.invariants import Stored, check
from tests.support.checks.map_model import ItemOutcome
from tests.support.checks.reference_model import LEFT, Model, Outcome
from tests.support.faults import WAYS, Gate, ProcessDied, Way
from tests.support.rigs.harness import Entry, Harness, OrchestratorProcess, Process, silence

SMALL_CHUNK = 2
COPIED_TOGETHER = 2
LATER_S = 600.0
OPEN = ("running", "paused", "cancelling")

LOOKS_AT_ALL = ("start_execution", "stop_execution", "resume_execution", "node_overruled")
"""Messages after which what is ready is dispatched, and what has ended ends."""

Found = TypeVar("Found")

Crash: TypeAlias = tuple[int, Way] | None
"""At which of its commands a process is struck, and how; None: not at all."""

ways = st.sampled_from(WAYS)
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(
    ["completed", "completed", "completed", "failed", "ended", "later"]
)
"""How a handler ends; what is no `end` only fails."""


WORDS: Final[dict[Outcome, Word]] = {
    "completed": Complete(msgspec.Raw(b'{"result":1}')),
    "failed": Fail(),
    "skipped": Skip(),
}
"""What an operator says of a node, by how it ends then."""


def crashes(most: int) -> st.SearchStrategy[Crash]:
    """No crash, or one at one of so many commands."""
    return st.none() | st.tuples(st.integers(1, most), ways)


@contextmanager
def struck(process: Process, crash: Crash) -> Iterator[None]:
    """The process is struck at some command of what it does meanwhile; its death is no error here."""
    if crash is not None:
        process.line.gate = Gate(at=crash[0], way=crash[1])
    try:
        yield
    except ProcessDied:
        process.reborn()
    finally:
        process.line.gate = Gate()


class _About(msgspec.Struct):
    """Which dispatch a callback or a timer speaks of."""

    node: str
    dispatch: int
    item: ItemTry | None = None


class _Run(msgspec.Struct):
    """Which run of which execution a message speaks of."""

    execution: str
    run: int = 0


class _Mark(msgspec.Struct):
    """What is stored of a stop."""

    cause: str
    verdict: str
    at: int


class Life(msgspec.Struct, eq=False):
    """One execution, its model, and the messages that have been dealt with of it."""

    execution: str
    model: Model
    past: list[Entry] = []


class Seen(msgspec.Struct, frozen=True):
    """What there is between two steps, looked at once: the rules that may come next go by it."""

    may_trigger: bool
    may_rerun: bool
    waits: bool
    owed: bool
    actors: frozenset[str]
    tasks: bool
    tasks_wait: bool
    old_timers: bool
    begun: bool
    timers: frozenset[str]


class ExecutionBook(RuleBasedStateMachine):
    """Executions of one plan, the first one and its forks: rules are about one of them at a time (`life`)."""

    url: ClassVar[str]
    life: Life
    seen: Seen

    def __init__(self) -> None:
        super().__init__()
        self.quiet = silence()
        self.quiet.__enter__()
        with connect(self.url) as client:
            client.flushall()
        # So long a lease that none lapses unless a rule says so.
        self.harness = Harness(
            self.url,
            settings=Settings(lease_s=60.0),
            sizes=Sizes(chunk_nodes=SMALL_CHUNK, copied_nodes=COPIED_TOGETHER),
        )
        self.harness.second_orchestrator()
        self.outcomes: list[Outcome] = []
        self.meanwhile: Callable[[], None] | None = None
        self.harness.script = self.work
        self.lives: list[Life] = []
        self.struck: set[bytes] = set()
        self.stops = False
        self.deleted = False
        self.steered = False

    @property
    def execution(self) -> str:
        """The id of the execution that the rules are about."""
        return self.life.execution

    @property
    def model(self) -> Model:
        """What must be stored of it."""
        return self.life.model

    @property
    def past(self) -> list[Entry]:
        """The messages that have been dealt with of it."""
        return self.life.past

    def work(self, context: Context) -> None:
        """What a node's handler does: what the rule wants meanwhile, then it succeeds or fails as that
        says."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        if self.outcomes[-1] == "ended" and context.node_id in self.model.ends:
            raise HandlerError(ENDED.code, "ended by the rule", permanent=True)
        if self.outcomes[-1] == "later":
            raise Later(LATER_S)
        if self.outcomes[-1] != "completed":
            raise HandlerError("boom", "failed by the rule")

    # -- what is stored

    def stored(self) -> Stored:
        """All that is, once every invariant has been seen to hold."""
        return check(self.harness.client, self.execution, settled=False)

    @property
    def status(self) -> str:
        """The stored status."""
        return str(self.harness.client.hget(keys.of().control(self.execution), "status").decode())

    def mark(self) -> _Mark | None:
        """The stored mark of a stop."""
        mark = self.harness.client.hget(keys.of().control(self.execution), "stop")
        return None if mark is None else msgspec.json.decode(mark, type=_Mark)

    def follow_stage(self) -> None:
        """Let the model begin the stages that have begun, as far as it may."""
        while self.model.run and self.stage() != self.model.stage and self.model.advance():
            pass

    def stage(self) -> str:
        """The stored stage."""
        found = self.harness.client.hget(keys.of().control(self.execution), "closing")
        return "main" if found is None else str(msgspec.json.decode(found)["stage"])

    def begun(self) -> list[tuple[str, int, ItemTry | None]]:
        """The dispatches that a worker has begun, and the tries of items."""
        return [_begun(field.decode()) for field in sorted(self.harness.client.hkeys(self._started()))]

    def _started(self) -> str:
        return keys.of().started(self.execution)

    def behind(self, stored: Stored) -> list[str]:
        """The nodes that the model has decided about, and that nobody has come to decide about yet."""
        return [
            node
            for node in self.model.graph
            if stored.record(node).status in ("pending", "waiting")
            and self.model.status[node] not in ("pending", "waiting")
            and stored.record(node).dispatch == self.model.dispatch[node] - self.is_queued(node)
        ]

    def look(self, *, may_trigger: bool, may_rerun: bool) -> Seen:
        """What there is now."""
        orders, tasks = self.here("orchestrator"), self.tasks()
        past = {entry.actor for entry in self.past}
        owed = {entry.id for entry in orders if entry.id in self.struck}
        kinds = ("retry", "wait", "stop", "timeout", "hooks")
        return Seen(
            may_trigger=may_trigger,
            may_rerun=may_rerun,
            waits=bool(orders or tasks),
            owed=bool(owed),
            actors=frozenset(past | {entry.actor for entry in orders}),
            tasks=bool(tasks) or "run_node" in past,
            tasks_wait=bool(tasks),
            old_timers=any(e.actor == "timer_fired" and e.id not in owed for e in self.past),
            begun=bool(self.begun()),
            timers=frozenset(k for k in kinds if self.harness.client.exists(self.harness.keys.timers(k))),
        )

    def is_queued(self, node: str) -> bool:
        """Whether the model has the node in flight."""
        return self.model.status[node] == "queued"

    # -- messages

    def pick(self, data: st.DataObject) -> OrchestratorProcess:
        """One of the orchestrators."""
        return data.draw(st.sampled_from(self.harness.orchestrators))

    def owed(self) -> list[Entry]:
        """What a process held that was struck, and has not been dealt with since."""
        return [entry for entry in self.here("orchestrator") if entry.id in self.struck]

    def waiting(self) -> list[Entry]:
        """All messages that wait."""
        return [*self.here("orchestrator"), *self.tasks()]

    def here(self, queue: str) -> list[Entry]:
        """The messages of a queue that wait and are about this execution."""
        return [entry for entry in self.harness.waiting(queue) if self.is_mine(entry)]

    def tasks(self) -> list[Entry]:
        """The tasks of this execution that wait."""
        return [entry for entry in self.harness.tasks() if self.is_mine(entry)]

    def is_mine(self, entry: Entry) -> bool:
        """Whether a message is about this execution."""
        return msgspec.json.decode(entry.payload, type=_Run).execution == self.execution

    def orders(self, actor: str) -> list[Entry]:
        """The orchestrator's messages of one kind: those that wait, and those of the past."""
        waiting = [e for e in self.here("orchestrator") if e.actor == actor]
        return waiting + [e for e in self.past if e.actor == actor and e not in waiting]

    def may_end_yet(self) -> bool:
        """Whether a message waits that ends the execution once nothing is left of it."""
        waiting = self.here("orchestrator")
        return any(e.id in self.struck or e.actor in LOOKS_AT_ALL for e in waiting)

    def is_looked_at(self) -> bool:
        """Whether a message waits that lets an orchestrator look at all nodes of this run."""
        waiting = self.here("orchestrator")
        return any(e.actor in LOOKS_AT_ALL and self.speaks_of_now(e) for e in waiting)

    def all_tasks(self) -> list[Entry]:
        """The tasks that wait, and those of the past."""
        waiting = self.tasks()
        known = {task.place for task in waiting}
        return waiting + [e for e in self.past if e.actor == "run_node" and e.place not in known]

    def is_of_wait(self, entry: Entry) -> bool:
        """Whether it is the timer of a node that waits."""
        return isinstance(msgspec.json.decode(entry.payload, type=Timer), NextTry | WaitOver)

    def draw_batch(self, data: st.DataObject) -> list[Entry]:
        """Some callbacks, in any order, any of them more than once."""
        return data.draw(st.lists(st.sampled_from(self.orders("node_finished")), min_size=1, max_size=5))

    def new_timers(self) -> list[Entry]:
        """The messages of timers that nobody has been given."""
        seen = {entry.id for entry in self.past}
        return [entry for entry in self.orders("timer_fired") if entry.id not in seen]

    def old_timers(self) -> list[Entry]:
        """The messages of timers that have been dealt with to the end."""
        owed = {entry.id for entry in self.owed()}
        return [entry for entry in self.past if entry.actor == "timer_fired" and entry.id not in owed]

    def deliver(self, batch: Sequence[Entry], crash: Crash, process: OrchestratorProcess) -> bool:
        """Give a batch to an orchestrator; False if it was struck: then the batch comes again some time."""
        self.follow_stage()
        self.past.extend([entry for entry in batch if entry not in self.past])
        with struck(process, crash):
            delivered = self.harness.deliver(process, *batch)
        assert delivered or crash is not None
        if not delivered:
            self.struck |= {entry.id for entry in batch}
        return delivered

    def turn_timers(self, turn: Callable[[], object], loop: Crash) -> list[Entry]:
        """Let timers be due and fire; the loop may be struck, and turns once more. Returns the messages."""
        for strike in (loop, None):
            with struck(self.harness.orchestrators[0], strike):
                try:
                    turn()
                except StoreUnavailableError:
                    assert strike is not None
        return self.new_timers()

    # -- deliveries, and what the model makes of them

    def deal_with(self, entry: Entry, crash: Crash, process: OrchestratorProcess) -> None:
        """Any message of the orchestrator's is delivered alone."""
        match entry.actor:
            case "start_execution":
                self.begin_run(entry, crash, process)
            case "stop_execution":
                self.end_nodes(entry, crash, process)
            case "timer_fired":
                self.expire(entry, crash, process)
            case "resume_execution" | "node_overruled":
                self.deliver([entry], crash, process)
            case "signal_kept":
                self.bring_signals(entry, crash, process)
            case _:
                self.report([entry], crash, process)

    def begin_run(self, entry: Entry, crash: Crash, process: OrchestratorProcess) -> None:
        """A start message is delivered, which counts in its own run only."""
        self.deliver([entry], crash, process)
        message = msgspec.json.decode(entry.payload, type=StartExecution)
        if message.run == self.model.run and self.model.execution_status == "running":
            self.model.start()

    def report(self, batch: Sequence[Entry], crash: Crash, process: OrchestratorProcess) -> None:
        """Callbacks are delivered; where that was struck, those count that have been applied."""
        if self.deliver(batch, crash, process):
            self.model_reports(batch)
        else:
            self.model_reports(self.applied(batch))

    def expire(self, entry: Entry, crash: Crash, process: OrchestratorProcess) -> None:
        """A timer's message is delivered."""
        timer = msgspec.json.decode(entry.payload, type=Timer)
        match timer:
            case Deadline():
                self.expire_deadline(timer, entry, crash, process)
            case NextTry(item=ItemTry() as item):
                if self.deliver([entry], crash, process) or self.is_over(entry):
                    self.model.item_time_over(timer.node, timer.dispatch, item.index, item.number)
            case NextTry():
                if self.deliver([entry], crash, process) or self.is_over(entry):
                    self.model.time_over(timer.node, timer.dispatch)
            case WaitOver():
                self.end_wait(timer, entry, crash, process)
            case RunTimeout():
                self.end_run(timer, entry, crash, process)
            case HooksTimeout():
                self.end_hooks(timer, entry, crash, process)
            case StopOverdue():
                self.end_nodes(entry, crash, process)

    def expire_deadline(
        self, timer: Deadline, entry: Entry, crash: Crash, process: OrchestratorProcess
    ) -> None:
        """It fails its node if the worker that began it still has it."""
        hung = self.has_hung(timer)
        if (self.deliver([entry], crash, process) or self.is_applied(entry)) and hung:
            self.move(lambda: self.time_is_over(timer))
        self.look_at_maps()

    def time_is_over(self, timer: Deadline) -> None:
        """Of a node, or of an item: nobody asks whether another try is to follow."""
        node, dispatch, item = timer.node, timer.dispatch, timer.item
        if item is None:
            self.model.report(node, dispatch, "failed", asked=False)
        else:
            self.model.report_item(node, dispatch, item.index, item.number, "failed", asked=False)

    def end_wait(self, timer: WaitOver, entry: Entry, crash: Crash, process: OrchestratorProcess) -> None:
        """The time of a node is over that waits."""
        waits = self.waits_for(timer)
        delivered = self.deliver([entry], crash, process)
        if delivered or (waits and not self.waits_for(timer)):
            self.move(lambda: self.model.time_over(timer.node, timer.dispatch))

    def waits_for(self, timer: WaitOver) -> bool:
        """Whether the node of a timer waits for it, by what is stored."""
        record = self.stored().record(timer.node)
        return (record.status, record.dispatch) == ("waiting", timer.dispatch)

    def bring_signals(self, entry: Entry, crash: Crash, process: OrchestratorProcess) -> None:
        """What waits for signals takes those that are kept; where that was struck, what has taken one has."""
        delivered = self.deliver([entry], crash, process) and self.speaks_of_now(entry)
        for node in self.model.may_take() if delivered else self.have_taken():
            self.move(partial(self.model.take, node))

    def have_taken(self) -> list[str]:
        """Those that may take a signal, and have."""
        stored = self.stored()
        return [node for node in self.model.may_take() if stored.record(node).status == "completed"]

    def end_run(self, timer: RunTimeout, entry: Entry, crash: Crash, process: OrchestratorProcess) -> None:
        """The time of a run is over, which counts in its own run only, and while that lasts."""
        lasts = self.status in OPEN and timer.run == self.model.run
        delivered = self.deliver([entry], crash, process)
        mark = self.mark()
        if lasts and (delivered or (mark is not None and mark.cause == "timeout")):
            self.move(self.model.time_out)

    def end_hooks(
        self, timer: HooksTimeout, entry: Entry, crash: Crash, process: OrchestratorProcess
    ) -> None:
        """The time of all hooks is over, which counts in their own run only, and while they run."""
        lasts = self.status in OPEN and timer.run == self.model.run
        delivered = self.deliver([entry], crash, process)
        mark = self.mark()
        if lasts and (delivered or (mark is not None and mark.cause == "hooks_timeout")):
            self.move(self.model.time_out_hooks)

    def end_nodes(self, entry: Entry, crash: Crash, process: OrchestratorProcess) -> None:
        """A step of a stop, which counts in the run that is being stopped only."""
        running = self.left_to_workers()
        self.note_ended(running, entry if self.deliver([entry], crash, process) else None)

    def note_ended(self, running: Collection[str], dealt_with: Entry | None = None) -> None:
        """Tell the model which nodes a stop has ended: all that it may, once its message is dealt with; until
        then those that are stored so."""
        if self.model.stop is None or self.model.run == 0:
            return
        if dealt_with is not None and self.speaks_of_now(dealt_with):
            self.model.stop_nodes(running)
            return
        records = self.stored().record
        ended = [n for n in self.model.graph if self.model.status[n] in LEFT]
        early = [n for n in ended if records(n).skipped == "ended_early" or records(n).status == "cancelled"]
        self.model.stop_nodes(running, early)

    def left_of_all(self) -> list[set[str]]:
        """What `left_to_workers` says of each execution."""
        return [self.about(life, self.left_to_workers) for life in self.lives]

    def note_ended_of_all(self, running: Sequence[Collection[str]]) -> None:
        """`note_ended` of each execution."""
        for life, left in zip(self.lives, running, strict=True):
            self.about(life, partial(self.note_ended, left))

    def about(self, life: Life, look: Callable[[], Found]) -> Found:
        """What a look finds that is about this execution."""
        before, self.life = self.life, life
        try:
            return look()
        finally:
            self.life = before

    def speaks_of_now(self, entry: Entry) -> bool:
        """Whether a message speaks of this run."""
        return msgspec.json.decode(entry.payload, type=_Run).run == self.model.run

    def left_to_workers(self) -> set[str]:
        """The nodes that workers run, and are to stop themselves; later on, whose outcomes are on their
        way."""
        mark = self.mark()
        late_s = 0.0 if mark is None else (self.harness.now() - mark.at) / 1000 - self.harness.settings.stop_s
        at_work = [(node, item) for node, dispatch, item in self.begun() if self.is_last(node, dispatch)]
        if mark is None or late_s < 0:
            return {node for node, _ in at_work}
        begun = {node for node, item in at_work if item is None}
        if late_s >= self.harness.settings.lease_s:
            return set()
        held = {task.id.decode() for task in self.tasks()}
        places = {
            node: self.harness.begun(self.execution, node, self.model.dispatch[node]).place for node in begun
        }
        return {node for node in begun if places[node].partition("/")[0] not in held}

    def is_last(self, node: str, dispatch: int) -> bool:
        """Whether no dispatch of a node has followed this one."""
        return self.model.dispatch[node] == dispatch

    def move(self, change: Callable[[], object]) -> None:
        """Move the model. Where that marks the execution, what has not been decided is not decided any
        more."""
        self.follow_stage()
        before = self.model.stop
        change()
        if before is None and self.model.stop is not None and self.model.run:
            self.model.take_back(self.behind(self.stored()))

    def model_reports(self, batch: Sequence[Entry]) -> None:
        """The engine applies what items report first, then completions, then the rest. A record tells which
        of two counted."""
        callbacks = [_callback(entry) for entry in batch]
        for callback in callbacks:
            self.model_reports_item(callback)
        self.look_at_maps()

        def reports() -> None:
            for callback in sorted(callbacks, key=_is_no_completion):
                if callback.item is None:
                    self.model.report(callback.node, callback.dispatch, self.outcome_of(callback))

        self.move(reports)
        self.look_at_maps()

    def model_reports_item(self, callback: Callback) -> None:
        """Tell the model what an item has reported, if it is one."""
        if (item := callback.item) is not None:
            outcome = _outcome_of_item(callback)
            self.model.report_item(callback.node, callback.dispatch, item.index, item.number, outcome)

    def look_at_maps(self) -> None:
        """Tell the model how far the open maps are: so many items may have been sent, and those end that may.

        During a stop, what the last report of an item lets end.
        """
        maps = [node for node in self.model.graph if self.model.status[node] == "open"]
        if not maps:
            return
        stored = self.stored()
        for node in maps:
            known, sent = self.model.maps[node], stored.maps[node].sent
            assert known.sent <= sent <= known.may_be_sent, f"{sent} items of {node} were sent"
            known.sent = sent
            if self.model.stop is None and stored.record(node).status in ("completed", "failed"):
                self.move(partial(self.model.end_map, node))
        if self.model.stop is not None:
            self.note_ended(())

    def outcome_of(self, callback: Callback) -> Outcome:
        """What a worker has reported."""
        match callback.outcome:
            case Completed() | Again():
                return "completed"
            case Skipped():
                return "skipped"
            case Cancelled():
                return "cancelled"
            case Expanded():
                return "expanded"
            case ItemsEnded():
                raise AssertionError("who looks at a map says so, and no message")
            case Waiting(kind="later"):
                return "later"
            case Waiting():
                return "completed"
            case Child():
                raise AssertionError("the machine's workflows have no groups")
            case KeysMade():
                raise AssertionError("the machine's workflows have no keys that read nodes")
            case failed:
                ends = failed.error.code == ENDED.code and callback.node in self.model.ends
                return "ended" if ends else "failed"

    def is_over(self, entry: Entry) -> bool:
        """Whether another dispatch has followed the one that a timer speaks of."""
        about = msgspec.json.decode(entry.payload, type=_About)
        if about.item is not None:
            return self.is_item_beyond(about.node, about.item, waits=False)
        return self.stored().record(about.node).dispatch != about.dispatch

    def is_item_beyond(self, node: str, item: ItemTry, *, waits: bool) -> bool:
        """Whether an item has ended, or stands at a later try; `waits`: or waits for the one after this."""
        stored = self.stored()
        if node not in stored.maps or item.index in stored.maps[node].ended:
            return node in stored.maps
        name = keys.of().item_try(self.execution, node, item.index)
        found = self.harness.client.hget(name, keys.STATE)
        if found is None:
            return False
        tried = msgspec.json.decode(found, type=NodeRecord)
        later = tried.dispatch > item.number or (waits and tried.status == "waiting")
        return tried.run == stored.record(node).run and tried.dispatch >= item.number and later

    def applied(self, batch: Sequence[Entry]) -> list[Entry]:
        """Those of these callbacks that have been applied."""
        return [entry for entry in batch if self.is_applied(entry)]

    def is_applied(self, entry: Entry) -> bool:
        """Whether the attempt that a callback or a timer speaks of is over, by what is stored."""
        about = msgspec.json.decode(entry.payload, type=_About)
        if about.item is not None:
            return self.is_item_beyond(about.node, about.item, waits=True)
        record = self.stored().record(about.node)
        return record.dispatch != about.dispatch or record.status not in ("pending", "queued")

    def has_hung(self, timer: Deadline) -> bool:
        """Whether the worker that began an attempt an hour ago still has it."""
        begun = self.harness.begun(self.execution, timer.node, timer.dispatch, timer.item)
        at = begun.place.partition("/")[0]
        counts = [task.deliveries for task in self.tasks() if task.id.decode() == at]
        return counts == [begun.delivery] and begun.at < self.harness.now() - 1_000_000

    def dispatches(self, batch: Sequence[Entry]) -> set[tuple[str, int]]:
        """The dispatches that a batch reports on."""
        return {(callback.node, callback.dispatch) for callback in map(_callback, batch)}


def _callback(entry: Entry) -> Callback:
    return msgspec.json.decode(entry.payload, type=Callback)


def _is_no_completion(callback: Callback) -> bool:
    return not isinstance(callback.outcome, Completed | Again)


def _begun(field: str) -> tuple[str, int, ItemTry | None]:
    """Of which dispatch, or of which try of an item, a field tells that it has begun."""
    place, _, dispatch = field.rpartition(":")
    node, _, item = place.partition("#")
    return node, int(dispatch), ItemTry(*map(int, item.split("."))) if item else None


def _outcome_of_item(callback: Callback) -> ItemOutcome:
    match callback.outcome:
        case Completed():
            return "completed"
        case Cancelled():
            return "cancelled"
        case Waiting():
            return "failed_for_good"
        case Failed():
            return "failed"
        case _:
            raise AssertionError("no item here reports anything else")
