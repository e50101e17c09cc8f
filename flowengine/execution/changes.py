"""What must happen to an execution: the vocabulary that the rules answer in. Pure data.

A list of changes belongs to one execution and is carried out in one transaction, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from flowengine.execution.chains.records import Followed, Follower
from flowengine.execution.delivery.records import Delivery
from flowengine.execution.events import Event
from flowengine.execution.history.runs import EndedRun, Why
from flowengine.execution.limits.lines import InLine, Pace
from flowengine.execution.messages import (
    Callback,
    CopyResults,
    DeleteExecution,
    DeliverResults,
    ItemTry,
    KeepChildren,
    LineMoved,
    NodeOverruled,
    ResumeExecution,
    RunNode,
    ScheduleDue,
    SignalKept,
    StartExecution,
    StartFollowers,
    StopExecution,
    TendChild,
    TendChildren,
    Timer,
)
from flowengine.execution.prepared import Prepared
from flowengine.execution.records import Attempt, Closing, ItemRecord, NodeRecord, Stop
from flowengine.execution.requests.fork import Fork
from flowengine.execution.requests.idempotency import KeptCreation, KeptTrigger
from flowengine.execution.signals import KeptSignal
from flowengine.execution.status import ExecutionStatus
from flowengine.workflow.priority import NORMAL, Priority


class StoredInputs(msgspec.Struct, frozen=True):
    """What an execution is given, as JSON, and the names of what is secret there.

    `vars` are those that are made; `late` those that are made where they are read, with templates in them.
    """

    values: bytes
    secret: tuple[str, ...] = ()
    vars: bytes = b""
    late: bytes = b""

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.values) + len(self.vars) + len(self.late)


class Create(msgspec.Struct, frozen=True):
    """Store a new pending execution, which expires by itself if it is never triggered.

    `plan` is the encoded plan; `total` counts its nodes; `inputs`: what it is given so far; `labels`: by
    which it is found; `document`: as it was posted, compressed; `kept`: of the request that its id names;
    `callback_url`: where its results are sent; `version`: of its definition; `fork`: what is to be done
    before it begins by itself; `schedule`: the id of the schedule that starts it, and `scheduled_at` the time
    that it is of, which a fork has of its origin without a schedule. `begun_by`: the execution whose node
    begins it, which is nobody's child. `followed`: the end that starts it, or has started its origin, and
    `outputs`: what it has given, as JSON; `links`: how many ends have led to it. `begins`: a `Begin` follows
    in the same changes, so that it does not expire.
    """

    name: str
    plan: bytes
    total: int
    correlation_id: str
    at: int
    inputs: StoredInputs | None = None
    labels: Mapping[str, str] = {}
    document: bytes | None = None
    kept: KeptCreation | None = None
    callback_url: str | None = None
    version: int | None = None
    fork: Fork | None = None
    schedule: str | None = None
    scheduled_at: int | None = None
    begun_by: str | None = None
    followed: Followed | None = None
    links: int = 0
    outputs: bytes | None = None
    begins: bool = False


class NoteFollowers(msgspec.Struct, frozen=True):
    """Keep what the ends of an execution have started."""

    followers: tuple[Follower, ...]


class Copy(msgspec.Struct, frozen=True):
    """Store what an ended node has in another execution, with this record in place of the one that it has
    there. `counted_of_items`: bytes of the results of its items that count towards a limit."""

    node: str
    record: NodeRecord
    counted_of_items: int = 0


class CopyNodes(msgspec.Struct, frozen=True):
    """Copy nodes that have ended in the run of the `origin` that control names, for a fork that was made at
    this time: until it begins, they expire as it does."""

    origin: str
    created_at: int
    copies: tuple[Copy, ...]


class MakeChild(msgspec.Struct, frozen=True):
    """Store a new child execution, which begins in the same transaction. `reference`: what stands for its
    plan; `root`: the execution at the top, which knows of it from now on, and `parent` its parent. `labels`
    and `version`: of its definition, if it is one of such."""

    name: str
    reference: bytes
    root: str
    parent: str
    total: int
    correlation_id: str
    at: int
    labels: Mapping[str, str] = {}
    version: int | None = None


class Keep(msgspec.Struct, frozen=True):
    """Let all keys of a child expire as those of its root do, which ended `at` this time, in milliseconds
    since the epoch; None: it has not, and none of them expires."""

    at: int | None


class Relabel(msgspec.Struct, frozen=True):
    """The execution's labels, in place of those that it had. The rest is found by as before."""

    labels: Mapping[str, str]
    before: Mapping[str, str]
    name: str
    correlation_id: str


class Begin(msgspec.Struct, frozen=True):
    """A run begins: write it into the execution's own record, and set its numbers and counters anew.

    With the status `pending` it waits for its turn, and its time does not run yet.
    `was` is the status before; `touched` names the nodes that have a record, whose expiry is taken off.
    `failures`: the nodes that have failed and stay so. `events_anew` drops the events of all runs before.
    `inputs`: what the execution is given; None: as before.
    `ended`: how the run before has ended; `why`: this one begins; None: it is the first.
    `was_stopped`: the last run was, and the mark goes. `was_closing`: it had ended its main nodes, and what
    is known of that goes. `notifies`: it has a `callback_url`. `had_inputs`: some were stored before
    the first run. `by`: the id of the key of who has triggered it first. `allowed`: the patterns of the
    definitions that the key of who asks for this run is for, none: all; None: as before. `nests`: it may have
    children.
    `copied`: it is a fork, and begins with what it has copied.
    `calls_back`: its nodes wait for callbacks, so that it needs a seed for their tokens.
    `keeps_starts`: what is noted of starts stays, as children run that nobody waits for.
    """

    was: ExecutionStatus
    status: ExecutionStatus
    run: int
    token: str
    at: int
    unfinished: int
    counters: Mapping[str, int]
    touched: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    events_anew: bool = False
    inputs: StoredInputs | None = None
    ended: EndedRun | None = None
    why: Why | None = None
    was_stopped: bool = False
    was_closing: bool = False
    notifies: bool = False
    had_inputs: bool = False
    by: str | None = None
    nests: bool = False
    copied: bool = False
    calls_back: bool = False
    allowed: tuple[str, ...] | None = None
    keeps_starts: bool = False


class Answer(msgspec.Struct, frozen=True):
    """Keep that a request with this key has begun a run, as long as the execution is kept."""

    key: str
    kept: KeptTrigger


class Iteration(msgspec.Struct, frozen=True):
    """What is kept of an iteration of a node that has ended: what it gave, for the templates of the next one
    (`previous`) and for the list of all (`collected`); its last attempt, of this `number`, if another one
    follows."""

    number: int
    attempt: Attempt | None = None
    previous: msgspec.Raw | None = None
    collected: msgspec.Raw | None = None


class Write(msgspec.Struct, frozen=True):
    """Store a node's record, and its result with it where there is one.

    `anew`: the result that it had goes, and what its handler has given before a callback. `kept`: its last
    attempt, which another one may follow. `iteration`: that which has ended with this. `response`: what its
    handler has given, of one that waits for a callback.
    """

    node: str
    record: NodeRecord
    result: msgspec.Raw | None = None
    anew: bool = False
    kept: Attempt | None = None
    iteration: Iteration | None = None
    response: msgspec.Raw | None = None


class StoreCall(msgspec.Struct, frozen=True):
    """Keep what the execution of a definition begins with that a node stands for."""

    node: str
    prepared: Prepared


class ForgetIterations(msgspec.Struct, frozen=True):
    """Remove what is kept of a node's iterations. `collects`: the list of what they have given, too."""

    node: str
    collects: bool


class Dispatch(msgspec.Struct, frozen=True):
    """Store a node's record (`queued`) and send its task to a worker queue.

    `waits`: its handler is async, so that it goes to the line beside the queue where workers read that.
    `crowd`: it is one of many that one execution sends at once, and goes behind the queue. `iteration`: that
    which has ended with this. `priority`: that of its execution. `response`: what its child has given, of a
    group that repeats.
    """

    record: NodeRecord
    task: RunNode
    queue: str
    waits: bool = False
    iteration: Iteration | None = None
    crowd: bool = False
    priority: Priority = NORMAL
    response: msgspec.Raw | None = None


class CountDown(msgspec.Struct, frozen=True):
    """One of a join's parents has ended: move the join's counter."""

    node: str
    completed: bool


class SetCounter(msgspec.Struct, frozen=True):
    """Overwrite a join's counter (only the sweep does so)."""

    node: str
    value: int


class SetCounts(msgspec.Struct, frozen=True):
    """Overwrite the execution's numbers of nodes (only the sweep does so)."""

    unfinished: int
    failed: int


class Tally(msgspec.Struct, frozen=True):
    """Add to the execution's numbers: nodes unfinished, nodes failed, bytes of results."""

    unfinished: int = 0
    failed: int = 0
    bytes: int = 0


class ForgetStart(msgspec.Struct, frozen=True):
    """Remove what a worker wrote when it began this dispatch, and its deadline timer."""

    node: str
    run: int
    dispatch: int
    item: ItemTry | None = None


class NoteChild(msgspec.Struct, frozen=True):
    """An item of a map runs as this child from now on, `at` this time, in milliseconds since the epoch. What
    notes the start of a task by a worker is forgotten in the same way."""

    node: str
    dispatch: int
    index: int
    child: str
    at: int


class OpenMap(msgspec.Struct, frozen=True):
    """Store the items of a map, each a StoredItem as JSON: none has been sent, and none has ended."""

    node: str
    items: tuple[bytes, ...]


class ReopenMap(msgspec.Struct, frozen=True):
    """The items that are `left` of a run before are sent in this one; what has become of them goes."""

    node: str
    left: tuple[tuple[int, int], ...]


class ChooseItems(msgspec.Struct, frozen=True):
    """Of the items of an ended map these begin again: what has become of them goes, and `freed` bytes of
    results that count. They are listed, and sent once the node's task has told of them. Behind them those
    are listed that are `resting`: they are not sent, and keep their numbers."""

    node: str
    left: tuple[tuple[int, int], ...]
    freed: int = 0
    resting: tuple[tuple[int, int], ...] = ()


class WriteTry(msgspec.Struct, frozen=True):
    """Store how an item stands between its tries, and after the first of them.

    `until`: when that is of no use any more, in milliseconds since the epoch, however things go on.
    """

    node: str
    index: int
    record: NodeRecord
    until: int


class SendItems(msgspec.Struct, frozen=True):
    """Send tasks of items of a map. `sent`: so many items in all have been sent then; None: as before."""

    node: str
    sent: int | None
    tasks: tuple[RunNode, ...]
    queue: str
    waits: bool = False
    crowd: bool = False
    priority: Priority = NORMAL


class EndItem(msgspec.Struct, frozen=True):
    """An item of a map has ended so, unless it had ended before: the first counts.

    One that has failed is noted among the failures of its map, even if it had ended before: who counts these
    looks at the items' own records (`rules.maps.ending`). `counted`: the bytes of its result that count
    towards the execution's limit. `tried`: how it stood between its tries is stored, and goes.
    """

    node: str
    index: int
    record: ItemRecord
    counted: int = 0
    tried: bool = False


class CountItems(msgspec.Struct, frozen=True):
    """Ask how many items of a map have ended, after all else."""

    node: str


class DropMap(msgspec.Struct, frozen=True):
    """The items of a map go, and what has become of them."""

    node: str


class ArmTimer(msgspec.Struct, frozen=True):
    """Fire the timer at `due`, milliseconds since the epoch."""

    timer: Timer | StartFollowers
    due: int


class DropTimer(msgspec.Struct, frozen=True):
    """Nobody waits for this timer any more."""

    timer: Timer | StartFollowers


class MarkStop(msgspec.Struct, frozen=True):
    """From now on nothing is decided about the execution's nodes. `run`: the one that is stopped, where that
    is told to those who watch all executions."""

    status: ExecutionStatus
    stop: Stop
    run: int | None = None


class AskWorkers(msgspec.Struct, frozen=True):
    """Workers that run something of the execution are to look whether it is still wanted."""

    at: int


class Touch(msgspec.Struct, frozen=True):
    """Write the status that the execution has, so that others who WATCH control decide anew."""

    status: ExecutionStatus


class ChangeStatus(msgspec.Struct, frozen=True):
    """An execution that has begun and not ended is paused, or goes on."""

    status: ExecutionStatus
    at: int
    run: int


class EnterStage(msgspec.Struct, frozen=True):
    """The nodes of one stage have ended, and another stage begins: set the numbers and counters to its nodes.

    `outcome`: what hooks may read of how the main nodes have ended, as JSON; None: as before. `was_stopped`:
    the stage that has ended bears the mark of a stop, which goes. `main_failed`: with an outcome, how many
    main nodes have failed, tolerated failures aside.
    """

    closing: Closing
    unfinished: int
    counters: Mapping[str, int]
    outcome: bytes | None = None
    was_stopped: bool = False
    main_failed: int = 0


class WriteDelivery(msgspec.Struct, frozen=True):
    """Store what becomes of the delivery of a run's results. `at`: the time of this step."""

    delivery: Delivery
    at: int


class KeepSignal(msgspec.Struct, frozen=True):
    """Keep a signal until a node takes it. `queue`: those of its name, it is the last; `size`: of all that
    are kept; `data`: what it carries, as it is stored."""

    name: str
    queue: tuple[KeptSignal, ...]
    size: int
    data: bytes


class TakeSignal(msgspec.Struct, frozen=True):
    """A kept signal has been taken. `queue`: those of its name that are left; `size`: of all that are."""

    name: str
    number: int
    queue: tuple[KeptSignal, ...]
    size: int


class Send(msgspec.Struct, frozen=True):
    """Send a message to the queue that the table of messages names."""

    message: (
        StartExecution
        | StopExecution
        | ResumeExecution
        | DeleteExecution
        | LineMoved
        | NodeOverruled
        | SignalKept
        | Callback
        | DeliverResults
        | CopyResults
        | TendChild
        | TendChildren
        | KeepChildren
        | ScheduleDue
        | StartFollowers
    )


class EnterLine(msgspec.Struct, frozen=True):
    """Stand at the end of a line, of which the first `limit` may run."""

    line: str
    limit: int
    member: str


class LeaveLine(msgspec.Struct, frozen=True):
    """Stand in a line no more."""

    line: str
    member: str


class ExpectStart(msgspec.Struct, frozen=True):
    """A node is put in flight whose start counts: from its worker's note on, at a time that only that tells.

    `now`: what started more than `per_ms` before it is not remembered.
    """

    pace: Pace
    member: str
    now: int


class CountStart(msgspec.Struct, frozen=True):
    """Such a start was at this time at the latest, if nobody has told."""

    pace: Pace
    member: str
    at: int


class HoldStarts(msgspec.Struct, frozen=True):
    """None of a line starts before `until`, milliseconds since the epoch, or later if that is known."""

    line: str
    until: int


class Stand(msgspec.Struct, frozen=True):
    """The execution's own record says that it stands there; None: it stands in no line."""

    place: InLine | None


class Admit(msgspec.Struct, frozen=True):
    """A run that has waited for its turn begins."""

    status: ExecutionStatus
    at: int
    run: int


class Withdraw(msgspec.Struct, frozen=True):
    """The first run does not begin: the execution is as it was before, and expires if nobody triggers it.

    `written`: the nodes that have got a record.
    """

    status: ExecutionStatus
    created_at: int
    written: tuple[str, ...] = ()


class Happened(msgspec.Struct, frozen=True):
    """Append to the event stream."""

    event: Event


class Finish(msgspec.Struct, frozen=True):
    """The execution has ended: write its status, move it from the index that it is in, let every key expire.

    `run`: the one that ends. `was`: its status before. `stopped`: it bears the mark of a stop. `took_ms`: how
    long the run took; None where it had never begun. `notifies`: it has a `callback_url`. `kept_s`: so long
    it is kept; None: as long as others.
    """

    status: ExecutionStatus
    at: int
    run: int
    stopped: bool = False
    was: ExecutionStatus = "running"
    took_ms: int | None = None
    notifies: bool = False
    kept_s: int | None = None


class Doom(msgspec.Struct, frozen=True):
    """The execution is deleted once it has ended, whatever comes."""

    at: int


class Remove(msgspec.Struct, frozen=True):
    """The execution is there no more, for nobody: its control goes, and its places in lists.

    What else is stored of it goes in later steps. `run`: its last one.
    """

    status: ExecutionStatus
    at: int
    run: int


Change: TypeAlias = (
    Create
    | NoteFollowers
    | CopyNodes
    | MakeChild
    | Keep
    | Relabel
    | Begin
    | Answer
    | Write
    | StoreCall
    | ForgetIterations
    | Dispatch
    | CountDown
    | SetCounter
    | SetCounts
    | Tally
    | ForgetStart
    | NoteChild
    | OpenMap
    | ReopenMap
    | ChooseItems
    | WriteTry
    | SendItems
    | EndItem
    | CountItems
    | DropMap
    | ArmTimer
    | DropTimer
    | MarkStop
    | AskWorkers
    | Touch
    | ChangeStatus
    | EnterStage
    | WriteDelivery
    | KeepSignal
    | TakeSignal
    | EnterLine
    | LeaveLine
    | ExpectStart
    | CountStart
    | HoldStarts
    | Stand
    | Admit
    | Withdraw
    | Send
    | Happened
    | Finish
    | Doom
    | Remove
)
