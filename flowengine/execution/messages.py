"""Every message between the services: its payload, its actor, its queue, its sender. Pure data.

To add one: write its struct, give it a row in MESSAGES, and an actor in the service that receives it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, TypeAlias, assert_never

import msgspec

from flowengine.execution.delivery.records import DeliveryAttempt
from flowengine.execution.limits.lines import Pace
from flowengine.execution.records import NodeError, Repeated, WaitKind
from flowengine.execution.reports import ByChild, ByDelivery, ByEvent, Completed, Failed, Outcome, Reporter
from flowengine.queues import ORCHESTRATOR_QUEUE, WORKER_QUEUE
from flowengine.stored_format import CORE_FORMAT, FORMAT
from flowengine.workflow.children.group import Outer
from flowengine.workflow.children.lineage import HeldItem, HeldIteration
from flowengine.workflow.limits.declared import CachePolicy, KeyTemplates
from flowengine.workflow.repeating.repeat import Repeat


class StartExecution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run was triggered: dispatch its first nodes. `nodes` is how many the execution has.

    `roots`: the nodes that depend on nothing, of a first run that has few of them. They are a hint and no
    order: they say what may be read at once, before the plan is known.
    """

    execution: str
    run: int
    correlation_id: str
    nodes: int
    roots: tuple[str, ...] = ()


class StopExecution(msgspec.Struct, frozen=True, kw_only=True):
    """An execution bears the mark of a stop: end what can be ended of it."""

    execution: str
    run: int
    correlation_id: str


class ResumeExecution(msgspec.Struct, frozen=True, kw_only=True):
    """An execution goes on after a pause: dispatch what is ready, arm the timers of what waits."""

    execution: str
    run: int
    correlation_id: str


class DeleteExecution(msgspec.Struct, frozen=True, kw_only=True):
    """An execution that has ended is to be deleted, or is deleted already and has left keys behind."""

    execution: str
    run: int
    correlation_id: str


class CopyResults(msgspec.Struct, frozen=True, kw_only=True):
    """A fork of another execution copies what it reuses, from the `first` of these nodes on."""

    execution: str
    first: int
    correlation_id: str


class RunBulk(msgspec.Struct, frozen=True, kw_only=True):
    """One action on many executions goes on with its next batch. `step` counts its
    messages."""

    bulk: str
    step: int
    correlation_id: str


class NodeOverruled(msgspec.Struct, frozen=True, kw_only=True):
    """An operator has ended a node: look at what follows from that."""

    execution: str
    run: int
    node: str
    correlation_id: str


class SignalKept(msgspec.Struct, frozen=True, kw_only=True):
    """A signal was kept, or a node waits for one: bring together what belongs together."""

    execution: str
    run: int
    correlation_id: str


class LineMoved(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has joined or left a line: let those run whose turn has come. `execution` and `run`: who."""

    line: str
    execution: str
    run: int
    correlation_id: str


class TendChild(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bring a node and the child execution that it stands for in line: what is missing is done.

    `execution` and `node`: the parent's. `child`: the child, `run`: the run of it that the message speaks of.
    `item`: the index of the item that the child is of, where the node is a map.
    """

    execution: str
    node: str
    child: str
    run: int
    correlation_id: str
    item: int | None = None


class TendChildren(msgspec.Struct, frozen=True, kw_only=True):
    """An execution is held: all children that its nodes stand for are to be tended."""

    execution: str
    run: int
    correlation_id: str


class KeepChildren(msgspec.Struct, frozen=True, kw_only=True):
    """An execution at the top has ended, or has begun anew: all below it is kept as long as it is."""

    execution: str
    run: int
    correlation_id: str


class Read(msgspec.Struct, frozen=True, array_like=True):
    """An upstream node whose output a node reads, and the field that `X.result` means there."""

    node: str
    primary: str | None = None


INPUTS: Final = "inputs"
VARS: Final = "vars"
EXECUTION: Final = "execution"
TRIGGER: Final = "trigger"
OUTCOME: Final = "outcome"
"""What an execution is given, as `given` of a task names it: the words that templates have for it."""


class ItemTry(msgspec.Struct, frozen=True, array_like=True):
    """One try of one item of a map: the item's index, and the number of the try, from 1 on in each run.

    `answered`: how many of its failures were certain to be the end of what was asked, which its idempotency
    key counts. `moment`: when a task with this key was first sent. Whatever tells of the try carries both, as
    an item has no record while it runs.
    """

    index: int
    number: int = 1
    answered: int = 0
    moment: int = 0


class Item(msgspec.Struct, frozen=True, array_like=True):
    """An item of a map, as its task carries it. `name`: what templates call it."""

    index: int
    number: int
    key: str
    value: msgspec.Raw
    name: str = "item"
    answered: int = 0


class CallsBack(msgspec.Struct, frozen=True, array_like=True):
    """The task is that of a node which waits for a callback then: the base of its URL, and its index in the
    plan."""

    base: str
    node: int


class RunNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The task of running one node.

    `when`: the condition under which it runs, a template. `sees`: the nodes of which its templates read what
    became of them. `unseen`: those that they name and that had not ended when the task was sent.
    `tries_once`: the engine tries again if it fails, so that the handler must not. `answered` is the number
    in its idempotency key. `moment`, in milliseconds since the epoch, is what `now()` says in its templates:
    when a task with this key was first sent. 0: it is not known. `retry_when`: the condition under which it
    is tried again if it fails, a template. `output_schema`: the JSON Schema of its primary value, as JSON.
    `given`: what its templates read of what the execution is given. `repeat`: what the node says about its
    iterations; `repeated`: how far it is with them. `chain`: the executions around its own, the parent last;
    what is given is that of the first. `outer`: what it reads of nodes there. `opens`: there is no handler to
    call; once its condition is true, the node runs as a child execution. `pace`: as what its start is
    counted. `expands`: it is the task that renders the items of a map, `config` holds their templates, and
    these call an item `item_name`. `item`: it is the task of this item of an open map. `maps`: those nodes
    among the `reads` that are maps. `keeps`: its items are those of the run before, of which it says what is
    left to do. `until`: when it has to have ended, in milliseconds since the epoch, whatever `timeout_ms`
    says; 0: then. `calls_back`: a callback follows.
    `cache`: what it gives is kept, and what was kept is given in place of a call, unless it is `fresh`.
    `held`: the items of maps around its group that its templates read, the outermost first. `judges`: it is a
    group whose iteration has given what its record's key holds; there is no handler to call, and it is to be
    said what follows. `within`: the iteration of a group around it that its templates read, and, if it
    `looks_back`, what the one before has given. `keys`: it is the task that makes the keys of the node's
    limits, and nothing else.
    """

    execution: str
    run: int
    node: str
    dispatch: int
    attempt: int
    handler: str
    config: msgspec.Raw
    reads: tuple[Read, ...]
    timeout_ms: int
    correlation_id: str
    when: str | None = None
    sees: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    tries_once: bool = False
    answered: int = 0
    moment: int = 0
    retry_when: str | None = None
    output_schema: str | None = None
    given: tuple[str, ...] = ()
    repeat: Repeat | None = None
    repeated: Repeated | None = None
    chain: tuple[str, ...] = ()
    outer: tuple[Outer, ...] = ()
    opens: bool = False
    pace: Pace | None = None
    expands: bool = False
    item: Item | None = None
    maps: tuple[str, ...] = ()
    item_name: str = "item"
    keeps: bool = False
    calls_back: CallsBack | None = None
    cache: CachePolicy | None = None
    fresh: bool = False
    until: int = 0
    held: tuple[HeldItem, ...] = ()
    judges: bool = False
    within: HeldIteration | None = None
    looks_back: bool = False
    keys: KeyTemplates | None = None
    asks: NodeError | None = None

    @property
    def item_try(self) -> ItemTry | None:
        """Which try of which item it is, if it is one."""
        item = self.item
        return None if item is None else ItemTry(item.index, item.number, item.answered, self.moment)

    @property
    def home(self) -> str:
        """The execution of its document."""
        return self.chain[0] if self.chain else self.execution

    def around(self, up: int) -> str:
        """The execution so many around its own."""
        return self.chain[-up]


class Callback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one dispatch of a node, or of a try of one of its items. `finished_at` in milliseconds
    since the epoch."""

    execution: str
    run: int
    node: str
    dispatch: int
    attempt: int
    by: Reporter
    finished_at: int
    outcome: Outcome
    correlation_id: str
    item: ItemTry | None = None


class DeliverResults(msgspec.Struct, frozen=True, kw_only=True):
    """Send the results of a run to the execution's `callback_url`, as attempt `number`."""

    execution: str
    run: int
    number: int
    correlation_id: str


class DeliveryAttempted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an attempt to deliver a run's results. `retry_after_ms`: what the receiver asks for."""

    execution: str
    run: int
    number: int
    correlation_id: str
    attempt: DeliveryAttempt
    retry_after_ms: int | None = None


class Deadline(msgspec.Struct, frozen=True, kw_only=True, tag="deadline", tag_field="kind"):
    """The time of a node, or of a try of one of its items, is over, by the timer's account."""

    execution: str
    run: int
    node: str
    dispatch: int
    item: ItemTry | None = None


class NextTry(msgspec.Struct, frozen=True, kw_only=True, tag="retry", tag_field="kind"):
    """The pause after a failed attempt is over. `dispatch` is that of the attempt, or of its map."""

    execution: str
    run: int
    node: str
    dispatch: int
    item: ItemTry | None = None


class WaitOver(msgspec.Struct, frozen=True, kw_only=True, tag="wait", tag_field="kind"):
    """The time of a node is over that waits: for that time, or for something else."""

    execution: str
    run: int
    node: str
    dispatch: int
    waits: WaitKind


class MapOver(msgspec.Struct, frozen=True, kw_only=True, tag="map", tag_field="kind"):
    """The time of an open map (`max_seconds`) is over. `dispatch`: that of the map."""

    execution: str
    run: int
    node: str
    dispatch: int


class RunTimeout(msgspec.Struct, frozen=True, kw_only=True, tag="timeout", tag_field="kind"):
    """The time of a whole run is over."""

    execution: str
    run: int


class StopOverdue(msgspec.Struct, frozen=True, kw_only=True, tag="stop", tag_field="kind"):
    """A run that is being stopped has waited long enough for workers to say that they have stopped."""

    execution: str
    run: int


class HooksTimeout(msgspec.Struct, frozen=True, kw_only=True, tag="hooks", tag_field="kind"):
    """The time of a run's hooks is over."""

    execution: str
    run: int


class StartsDue(msgspec.Struct, frozen=True, kw_only=True, tag="starts", tag_field="kind"):
    """Those that wait to start in a line may start now, or some of them."""

    line: str
    execution: str = ""
    run: int = 0


class ScheduleDue(msgspec.Struct, frozen=True, kw_only=True):
    """A time of a schedule of a definition has come, and was `noticed` then, in milliseconds since the epoch;
    None: an execution of it has ended."""

    name: str
    schedule: str
    noticed: int | None = None


class StartFollowers(msgspec.Struct, frozen=True, kw_only=True):
    """A run of an execution of a definition has ended: start those that follow."""

    execution: str
    run: int
    correlation_id: str = ""


class DeliveryDue(msgspec.Struct, frozen=True, kw_only=True, tag="delivery", tag_field="kind"):
    """The results of a run are to be sent to the execution's `callback_url`, as attempt `number`."""

    execution: str
    run: int
    number: int


Timer: TypeAlias = (
    Deadline
    | NextTry
    | WaitOver
    | MapOver
    | RunTimeout
    | StopOverdue
    | HooksTimeout
    | DeliveryDue
    | StartsDue
)
"""The kinds of timers. Each kind has a sorted set of its own, so that an older process never meets a
kind that it does not know."""

Payload: TypeAlias = (
    StartExecution
    | StopExecution
    | ResumeExecution
    | DeleteExecution
    | CopyResults
    | NodeOverruled
    | SignalKept
    | LineMoved
    | RunBulk
    | TendChild
    | TendChildren
    | KeepChildren
    | RunNode
    | Callback
    | DeliverResults
    | DeliveryAttempted
    | ScheduleDue
    | StartFollowers
    | Timer
)


class MessageKind(msgspec.Struct, frozen=True):
    """One row of the table. `queue` is None for a task: its node's handler names the queue."""

    payload: type[Payload]
    actor: str
    queue: str | None
    sender: str


MESSAGES: Final = (
    MessageKind(StartExecution, "start_execution", ORCHESTRATOR_QUEUE, "the API, when it triggers"),
    MessageKind(StopExecution, "stop_execution", ORCHESTRATOR_QUEUE, "what marks an execution as stopping"),
    MessageKind(ResumeExecution, "resume_execution", ORCHESTRATOR_QUEUE, "the API, when it goes on"),
    MessageKind(
        DeleteExecution, "delete_execution", ORCHESTRATOR_QUEUE, "the API, and what ends a doomed execution"
    ),
    MessageKind(CopyResults, "copy_results", ORCHESTRATOR_QUEUE, "the API, and each step for the next one"),
    MessageKind(NodeOverruled, "node_overruled", ORCHESTRATOR_QUEUE, "the API, for an operator"),
    MessageKind(SignalKept, "signal_kept", ORCHESTRATOR_QUEUE, "the API, and what lets a node wait for one"),
    MessageKind(LineMoved, "line_moved", ORCHESTRATOR_QUEUE, "what joins a line, and what leaves it"),
    MessageKind(RunBulk, "run_bulk", ORCHESTRATOR_QUEUE, "the API, and each batch for the next one"),
    MessageKind(TendChild, "tend_child", ORCHESTRATOR_QUEUE, "what opens a node, ends a child or steers one"),
    MessageKind(TendChildren, "tend_children", ORCHESTRATOR_QUEUE, "what holds an execution with children"),
    MessageKind(KeepChildren, "keep_children", ORCHESTRATOR_QUEUE, "what begins or ends one with children"),
    MessageKind(RunNode, "run_node", None, "the orchestrator, when it dispatches"),
    MessageKind(Callback, "node_finished", ORCHESTRATOR_QUEUE, "workers, also for a task that kills them"),
    MessageKind(DeliverResults, "deliver_results", WORKER_QUEUE, "what ends an execution, and its timer"),
    MessageKind(DeliveryAttempted, "delivery_attempted", ORCHESTRATOR_QUEUE, "workers"),
    MessageKind(
        ScheduleDue, "fire_schedule", ORCHESTRATOR_QUEUE, "the timer loop, and what ends an execution"
    ),
    MessageKind(
        StartFollowers, "start_followers", ORCHESTRATOR_QUEUE, "what ends an execution, and the timer loop"
    ),
    MessageKind(Deadline, "timer_fired", ORCHESTRATOR_QUEUE, "the timer loop"),
    MessageKind(NextTry, "timer_fired", ORCHESTRATOR_QUEUE, "the timer loop"),
    MessageKind(WaitOver, "timer_fired", ORCHESTRATOR_QUEUE, "the timer loop"),
    MessageKind(MapOver, "timer_fired", ORCHESTRATOR_QUEUE, "the timer loop"),
    MessageKind(RunTimeout, "timer_fired", ORCHESTRATOR_QUEUE, "the timer loop"),
    MessageKind(StopOverdue, "timer_fired", ORCHESTRATOR_QUEUE, "the timer loop"),
    MessageKind(HooksTimeout, "timer_fired", ORCHESTRATOR_QUEUE, "the timer loop"),
    MessageKind(DeliveryDue, "timer_fired", ORCHESTRATOR_QUEUE, "the timer loop, and workers"),
    MessageKind(StartsDue, "timer_fired", ORCHESTRATOR_QUEUE, "the timer loop"),
)

_KINDS: Final = MappingProxyType({kind.payload: kind for kind in MESSAGES})


def kind_of(payload: Payload) -> MessageKind:
    """The row of a payload's type."""
    return _KINDS[type(payload)]


def format_of(payload: Payload) -> int:
    """The oldest format that can say this message: older processes put off what they cannot understand."""
    match payload:
        case RunNode() as task:  # what comes most often comes first
            return CORE_FORMAT if _is_of_the_core(task) else FORMAT
        case Callback(item=None, by=ByDelivery(), outcome=Completed()):
            return CORE_FORMAT
        case Callback(item=ItemTry()) | Deadline(item=ItemTry()):
            return FORMAT
        case Callback(by=ByEvent() | ByChild()):
            return FORMAT
        case Callback(
            outcome=Completed() | Failed(permanent=False, retry_after_ms=None, again=None, outputs=None)
        ):
            return CORE_FORMAT
        case StartExecution() | Deadline():
            return CORE_FORMAT
        case Callback() | NextTry() | WaitOver() | StopExecution() | ResumeExecution():
            return FORMAT
        case DeleteExecution() | CopyResults() | NodeOverruled() | SignalKept() | LineMoved():
            return FORMAT
        case TendChild() | TendChildren() | KeepChildren():
            return FORMAT
        case RunTimeout() | StopOverdue() | HooksTimeout() | RunBulk() | DeliveryDue() | StartsDue():
            return FORMAT
        case MapOver():
            return FORMAT
        case DeliverResults() | DeliveryAttempted() | ScheduleDue() | StartFollowers():
            return FORMAT
        case _ as never:
            assert_never(never)


def _is_of_the_core(task: RunNode) -> bool:
    """Whether the format of the core can say all that the task says."""
    return not (
        task.when is not None
        or task.sees
        or task.unseen
        or task.tries_once
        or task.retry_when is not None
        or task.output_schema is not None
        or task.given
        or task.repeat is not None
        or task.chain
        or task.outer
        or task.opens
        or task.pace is not None
        or task.expands
        or task.item is not None
        or task.maps
        or task.calls_back is not None
        or task.cache is not None
        or task.held
        or task.keys is not None
    )
