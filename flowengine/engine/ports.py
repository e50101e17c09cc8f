"""What the engine asks of the store and of the handlers. Adapters are below the engine's users.

Each Protocol is what one part of the engine needs, and no more. Every method of a store may raise
StoreUnavailableError.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import msgspec

from flowengine.engine.definitions.ports import Definition
from flowengine.engine.held import Held, Sink
from flowengine.execution.changes import Change
from flowengine.execution.delivery.records import Delivery
from flowengine.execution.history.live import Message
from flowengine.execution.history.places import LivePlace, Place
from flowengine.execution.history.runs import EndedRun, Why
from flowengine.execution.history.spoken import Said
from flowengine.execution.limits.starts import Starts
from flowengine.execution.messages import Callback, ItemTry, Payload, RunNode
from flowengine.execution.prepared import Prepared
from flowengine.execution.records import Control, Counts, ExecutionRecord, ItemRecord, NodeRecord
from flowengine.execution.requests.idempotency import IdempotentRequest, KeptCreation, KeptTrigger
from flowengine.execution.rules.deadlines import TaskState
from flowengine.execution.rules.maps.choosing import KnownItems
from flowengine.execution.signals import KeptSignals, Sent
from flowengine.execution.views.operations import DeadReason
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, Handler
from flowengine.workflow.plan import Plan

NodeKey: TypeAlias = tuple[str, str]
"""An execution and one of its nodes."""

ItemKey: TypeAlias = tuple[str, str, int]
"""An execution, one of its maps, and the index of an item."""

Acknowledge: TypeAlias = Callable[[Sink], None]


class Batch(msgspec.Struct, frozen=True):
    """Executions that a list may show, newest first. `is_last`: there are no others after them."""

    executions: list[str]
    is_last: bool


Candidates: TypeAlias = Callable[[str, int], Batch]
"""Those after the execution that is named (empty: from the first one on), so many at most."""


class Reading(msgspec.Struct, frozen=True):
    """What a transaction reads: nodes and executions' control, which it WATCHes, and counts and other nodes,
    which it does not. `starts`: dispatches (execution, node, number) of which it reads whether a worker has
    noted a start. `signals`: executions, and the names of the signals kept of them that it WATCHes and
    reads. `lines`: of which it reads the starts, and WATCHes them; so many at most of each. `maps`: nodes of
    which it WATCHes how many items have been sent, and reads how many have ended. `items`: of these it reads
    whether they have ended, and of their maps how many have been sent. `tries`: items of which it WATCHes
    how they stand between their tries. `ending`: executions that may end with what is decided, of which it
    reads whether they have any of the keys that few have: never ahead, as a node that runs may come to have
    some."""

    nodes: tuple[NodeKey, ...]
    controls: tuple[str, ...]
    counts: tuple[str, ...] = ()
    unwatched: tuple[NodeKey, ...] = ()
    starts: tuple[tuple[str, str, int], ...] = ()
    signals: tuple[tuple[str, tuple[str, ...]], ...] = ()
    lines: tuple[tuple[str, int], ...] = ()
    maps: tuple[NodeKey, ...] = ()
    items: tuple[ItemKey, ...] = ()
    tries: tuple[ItemKey, ...] = ()
    ending: tuple[str, ...] = ()

    @property
    def reads_more(self) -> bool:
        """Whether it asks for what few readings do."""
        return bool(self.starts or self.signals or self.lines or self.maps or self.items or self.tries)


class ItemToSend(msgspec.Struct, frozen=True):
    """An item of a map: its index, how often its failures were answered, and the item as it is stored."""

    index: int
    answered: int
    stored: bytes


class MapNumbers(msgspec.Struct, frozen=True):
    """How far the items of a map are: how many of them have been sent and have ended. `failures`: how many
    are noted as failed, which may be too many. `counted`: the bytes of their results that count."""

    sent: int = 0
    ended: int = 0
    failures: int = 0
    counted: int = 0


NO_ITEMS: Final = MapNumbers()


class Committed(msgspec.Struct, frozen=True):
    """The numbers that a transaction left: counters by (execution, node), unfinished by execution. `ended`:
    items that have ended, by (execution, node)."""

    counters: Mapping[NodeKey, int]
    unfinished: Mapping[str, int]
    ended: Mapping[NodeKey, int] = {}


class Unit(Protocol):
    """One optimistic transaction: what it read, and its only chance to write.

    `nodes` lacks what was never written; `controls` and `counts` lack executions that are not there. `begun`
    has those of the `starts` that a worker has noted; `maps` the numbers of the `maps`, `ended` those
    of the `items` that have ended, `sent` how many items of their maps have been sent,
    `tries` the records of those that have been tried before.
    `now` is Redis's clock in milliseconds since the epoch.
    """

    @property
    def nodes(self) -> Mapping[NodeKey, NodeRecord]: ...
    @property
    def controls(self) -> Mapping[str, Control]: ...
    @property
    def counts(self) -> Mapping[str, Counts]: ...
    @property
    def begun(self) -> Collection[tuple[str, str, int]]: ...
    @property
    def signals(self) -> Mapping[str, KeptSignals]: ...
    @property
    def maps(self) -> Mapping[NodeKey, MapNumbers]: ...
    @property
    def ended(self) -> Collection[ItemKey]: ...
    @property
    def sent(self) -> Mapping[NodeKey, int]: ...
    @property
    def tries(self) -> Mapping[ItemKey, NodeRecord]: ...
    @property
    def starts_of(self) -> Mapping[str, Starts]:
        """The newest starts of lines."""

    @property
    def now(self) -> int: ...
    def signal(self, execution: str, number: int) -> Sent | None:
        """What a kept signal carries."""

    def extend(self, nodes: Sequence[NodeKey]) -> None:
        """WATCH and read more nodes."""

    def counters(self, wanted: Sequence[NodeKey]) -> Mapping[NodeKey, int]:
        """Joins' counters, for those that exist, read without WATCH."""

    def commit(
        self,
        changes: Mapping[str, Sequence[Change]],
        acknowledge: Acknowledge | None = None,
        ahead: Reading | None = None,
    ) -> Committed | None:
        """Write everything in one transaction; None if something that was read has changed meanwhile.

        `ahead`: what the next unit of this thread will probably read; the store may read it at once.
        """

    def abandon(self) -> None:
        """Write nothing."""


class DecisionStore(Protocol):
    """Transactions, for the callers that decide.

    `begin`: with `commits`, the unit may have read before its message was sent: to decide that nothing is
    to be done takes a commit then, as all else does. With `exact_time`, `now` is the server's answer and no
    estimate.
    """

    def begin(self, reading: Reading, *, commits: bool = False, exact_time: bool = False) -> Unit: ...
    def acknowledge(self, acknowledge: Acknowledge) -> None: ...
    def plan(self, execution: str) -> Plan | None: ...
    def forget_plan(self, execution: str) -> None: ...
    def read_nodes(self, execution: str, nodes: Sequence[str]) -> dict[str, NodeRecord]: ...


class DeletingStore(DecisionStore, Protocol):
    """State as the deletion of executions needs it."""

    def remove_rest(self, execution: str, acknowledge: Acknowledge | None) -> None:
        """Remove all keys of an execution whose control is gone, in bounded steps; acknowledge in the last
        one."""


class DeliveryUnit(Protocol):
    """A unit over an execution and the delivery of one of its runs, for what needs no other reading.

    `record` and `delivery` are None where there is none. `now`: Redis's clock.
    """

    @property
    def record(self) -> ExecutionRecord | None: ...
    @property
    def delivery(self) -> Delivery | None: ...
    @property
    def now(self) -> int: ...
    def commit(self, changes: Mapping[str, Sequence[Change]], acknowledge: Acknowledge) -> bool:
        """Write everything in one transaction; False if something has changed meanwhile."""

    def abandon(self) -> None:
        """Write nothing."""


class AdvancingStore(DeletingStore, Protocol):
    """State as the orchestrator's messages need it."""

    @property
    def max_result_bytes(self) -> int:
        """The most that a node's result may take."""

    @property
    def max_execution_result_bytes(self) -> int:
        """So many bytes of results may be stored of an execution."""

    def counted_bytes(self, execution: str) -> int:
        """How many bytes of its results count."""

    def bytes_of_items(self, execution: str, maps: Sequence[str]) -> Mapping[str, int]:
        """How many bytes of the results of these maps' items count."""

    @property
    def owner(self) -> str:
        """The id of the execution whose own queues are used; else empty."""

    def line_length(self, line: str) -> int:
        """How many stand in a line."""

    def definition(self, name: str, version: int | None = None) -> Definition | None:
        """A version of a definition, or that in force, if it is there."""

    def prepared(self, execution: str, node: str) -> Prepared | None:
        """What the execution of a definition begins with that a node stands for."""

    def count_below(self, root: str) -> int:
        """How many executions there are below a root."""

    def letting_in(self, size: int) -> AbstractContextManager[None]:
        """Around the storing of a new execution of so many bytes. Raises TooManyExecutionsError,
        StoreFullError."""

    def children_of(self, root: str, after: str) -> tuple[list[str], str]:
        """Some of the executions below a root, after a place (empty: from the first on), and the place that
        they reach; empty: there are no more."""

    def result_sizes(self, execution: str, nodes: Sequence[str]) -> list[int]:
        """How many bytes the outputs of nodes take."""

    def node_results(self, execution: str, nodes: Sequence[str]) -> list[tuple[NodeRecord, bytes | None]]: ...
    def response(self, execution: str, node: str) -> bytes | None:
        """What the handler of a node has given that waits for a callback."""

    def begin_delivery(self, execution: str, run: int) -> DeliveryUnit: ...
    def begin_with_plans(self, reading: Reading) -> tuple[Unit, Mapping[str, Plan | None]]:
        """As `begin`, and the compiled plans of all executions whose control is read, in the same round
        trip."""

    def plans_and_executions(
        self, executions: Sequence[str]
    ) -> Mapping[str, tuple[Plan | None, ExecutionRecord | None]]: ...
    def counters(self, wanted: Sequence[NodeKey]) -> dict[NodeKey, int]: ...
    def begun(
        self, execution: str, node: str, dispatch: int, item: ItemTry | None = None
    ) -> Begun | None: ...
    def items_to_send(
        self, execution: str, node: str, first: int, count: int, *, again: bool
    ) -> list[ItemToSend]:
        """The next items of a map that are to be sent, from this place of the order. `again`: of those that a
        run before has left."""

    def noted_failures(self, execution: str, node: str) -> dict[int, ItemRecord]:
        """The records of the items that are noted as failed."""

    def stored_items(self, execution: str, node: str, indexes: Sequence[int]) -> list[bytes]:
        """These items of a map."""

    def has_items_begun(self, execution: str, node: str, dispatch: int) -> bool:
        """Whether it is noted that an item of this dispatch runs: by a worker, or as a child."""

    def may_hold_reports(self, before: int) -> bool:
        """Whether a message to the orchestrators from before this time may wait to be applied."""

    def children_of_items(self, execution: str, node: str) -> list[tuple[int, str, int]]:
        """The items of a map that are noted to run as children: the index and the child of each, and the
        dispatch of the map in which that was noted."""

    def map_numbers(self, execution: str, nodes: Sequence[str]) -> dict[str, MapNumbers]: ...
    def items_in_flight(
        self, execution: str, node: str, sent: int, *, again: bool
    ) -> list[tuple[ItemToSend, NodeRecord | None]]:
        """The items that have been sent and have not ended, each with how it stands between its tries."""

    def task_state(self, queue: str, begun: Begun) -> TaskState: ...
    def read_execution(self, execution: str) -> ExecutionRecord | None: ...


class Given(msgspec.Struct, frozen=True):
    """What an execution is given, as it is stored: its inputs as JSON, the names of the secret ones, its
    vars, those of them that are made where they are read (`late`), its own record, and how its main nodes
    have ended (`outcome`). `outputs`: what an end has given that has led to it; `parent`: the execution that
    it is a child of. None where it was not read, or is not there. `seed`: that of the tokens of its
    callbacks."""

    inputs: bytes | None = None
    secret: tuple[str, ...] = ()
    vars: bytes | None = None
    late: bytes | None = None
    execution: ExecutionRecord | None = None
    outcome: bytes | None = None
    outputs: bytes | None = None
    parent: str | None = None
    seed: bytes | None = None


NOTHING_GIVEN: Final = Given()


class Start(msgspec.Struct, frozen=True):
    """What a worker learns when it begins: whether the dispatch is still wanted, and its inputs.

    `inputs`: upstream node -> its output as JSON. `storable_bytes`: bytes of results that the execution may
    still store; None where nobody has looked. `fates`: the records of the nodes that it `sees`. `now`:
    milliseconds since the epoch. `noted`: whether the start is written down. `stopping`: its execution is
    being stopped, so that the node is not to begin. `given`: what the execution is given, as far as the
    node's templates read it. `previous`: what its iteration before has given, as JSON, where they read that.
    `held`: the items around its group that they read, each as it is stored. `response`: what the child has
    given of the iteration that it judges, as JSON.
    """

    wanted: bool
    inputs: dict[str, bytes]
    storable_bytes: int | None
    now: int
    oversized: int = 0
    noted: bool = True
    stopping: bool = False
    fates: Mapping[str, NodeRecord] = {}
    given: Given = NOTHING_GIVEN
    previous: bytes | None = None
    held: tuple[bytes | None, ...] = ()
    response: bytes | None = None


class Begun(msgspec.Struct, frozen=True):
    """What a worker has noted of the newest delivery of a dispatch that it began.

    `at`: milliseconds since the epoch. `place`: where the task stands in its queue (see `Held`).
    """

    delivery: int
    at: int
    place: str


class KeptResult(msgspec.Struct, frozen=True):
    """A result that is given again for `ttl_s` seconds, under the name of its `entry`."""

    entry: str
    ttl_s: int
    result: msgspec.Raw


class RunningStore(Protocol):
    """State as workers need it."""

    def start_nodes(self, tasks: Sequence[tuple[RunNode, int, str]]) -> list[Start]: ...
    def note_starts(self, begun: Sequence[tuple[RunNode, Begun]]) -> None: ...
    def storable_bytes(self, execution: str) -> int: ...
    def cached(self, entry: str) -> bytes | None:
        """The result that is kept under this name."""

    def forget_start(self, task: RunNode) -> None: ...
    def items_left(self, task: RunNode) -> list[tuple[int, int]]:
        """The items of a map that the run before has left, each with how many of its failures were
        answered."""

    def definition(self, name: str, version: int | None = None) -> Definition | None:
        """A version of a definition, or that in force, if it is there."""

    def home_and_root(self, task: RunNode) -> tuple[ExecutionRecord | None, ExecutionRecord | None]:
        """The records of the execution of the task's document, and of that at the top."""

    def collected(self, task: RunNode) -> bytes:
        """What the iterations of a node have given that collects, as JSON, each behind a comma."""

    def report(
        self,
        callbacks: Sequence[Callback],
        acknowledge: Acknowledge,
        said: Sequence[Said] = (),
        kept: Sequence[KeptResult] = (),
        *,
        crowd: bool = False,
    ) -> None:
        """Send callbacks and acknowledge their tasks, and write down what their nodes have said.

        `kept`: of their results, for other times. `crowd`: they are of many nodes of one execution, and step
        back behind others' callbacks.
        """

    @property
    def has_said_too_much(self) -> bool:
        """Whether more lines are kept than may be, so that the oldest have to go."""

    def say(self, said: Sequence[Said]) -> None:
        """Write down what nodes have said that still run, and drop the oldest lines where there are too
        many."""

    def acknowledge(self, acknowledge: Acknowledge) -> None: ...
    def stops_since(self, at: int) -> list[tuple[str, int]]:
        """The executions that were marked as stopping since, or of which an operator has ended a node, and
        when, in milliseconds since the epoch."""

    def unwanted(self, tasks: Sequence[RunNode]) -> list[RunNode]:
        """Those of these tasks whose execution is being stopped, is over or in another run, or whose node has
        ended by an operator's word."""


class Admitting(Protocol):
    """A unit over one whole execution that has asked, in the same round trip, whether work may come in.

    `inputs`: what it was given so far, as JSON, where that was asked for. `kept`: of a trigger with this
    request's key.
    """

    @property
    def record(self) -> ExecutionRecord | None: ...
    @property
    def inputs(self) -> bytes | None: ...
    @property
    def kept(self) -> KeptTrigger | None: ...
    @property
    def now(self) -> int: ...
    def admit(self, size: int = 0) -> None:
        """Raises TooManyExecutionsError or StoreFullError if none may start that stores so much more."""

    def commit(
        self, changes: Mapping[str, Sequence[Change]], acknowledge: Acknowledge | None = None
    ) -> Committed | None:
        """Write everything in one transaction, the acknowledgement included."""

    def abandon(self) -> None: ...


class CommandUnit(Protocol):
    """A unit over one whole execution, for what needs no leave to come in."""

    @property
    def record(self) -> ExecutionRecord | None: ...
    @property
    def now(self) -> int: ...
    def commit(self, changes: Mapping[str, Sequence[Change]]) -> Committed | None: ...
    def abandon(self) -> None: ...


class SteeringStore(Protocol):
    """State as commands need it that steer one execution."""

    def begin_command(self, execution: str) -> CommandUnit: ...
    def plan(self, execution: str) -> Plan | None: ...


class Creating(Protocol):
    """A unit over what is kept of one request that creates an execution.

    `before`: what it was answered before, with the record of what it created, if that is there.
    """

    @property
    def before(self) -> tuple[KeptCreation, ExecutionRecord] | None: ...
    @property
    def now(self) -> int: ...
    def commit(self, changes: Mapping[str, Sequence[Change]]) -> Committed | None: ...
    def abandon(self) -> None: ...


class DecidingUnit(Protocol):
    """A unit of a command that decides about nodes: as `Unit`, without what only messages need."""

    @property
    def nodes(self) -> Mapping[NodeKey, NodeRecord]: ...
    @property
    def controls(self) -> Mapping[str, Control]: ...
    @property
    def counts(self) -> Mapping[str, Counts]: ...
    @property
    def signals(self) -> Mapping[str, KeptSignals]: ...
    @property
    def now(self) -> int: ...
    def extend(self, nodes: Sequence[NodeKey]) -> None: ...
    def commit(self, changes: Mapping[str, Sequence[Change]]) -> Committed | None: ...
    def abandon(self) -> None: ...


class CommandStore(Protocol):
    """State as the API's commands need it, in one partition.

    `owner`: the id of the only execution that is created here, because the queues are its own; else empty.
    `max_execution_result_bytes`: so many bytes of results may be stored of an execution.
    """

    @property
    def partition(self) -> str: ...
    @property
    def owner(self) -> str: ...
    def line_length(self, line: str) -> int:
        """How many stand in a line."""

    def place_in_line(self, line: str, member: str) -> tuple[int | None, int]:
        """The place of a member, 1 is the first, None: it does not stand there; and how many may run."""

    def now(self) -> int: ...
    def plan(self, execution: str) -> Plan | None: ...
    def keep_plan(self, execution: str, encoded: bytes, plan: Plan) -> None: ...
    def read_execution(self, execution: str) -> ExecutionRecord | None: ...
    def read_nodes(self, execution: str, nodes: Sequence[str]) -> dict[str, NodeRecord]: ...
    def read_given(self, execution: str) -> tuple[bytes | None, bytes | None]:
        """The inputs and the vars of an execution, as JSON."""

    def outputs_before(self, execution: str) -> bytes | None:
        """What an end has given that has led to it, as JSON, if it has given something."""

    def known_items(self, execution: str, node: str, total: int, keys: Sequence[str]) -> KnownItems:
        """What is known of the items of an ended map, of which these are asked for by their keys."""

    def bytes_of_items(self, execution: str, maps: Sequence[str]) -> Mapping[str, int]:
        """How many bytes of the results of these maps' items count."""

    def response(self, execution: str, node: str) -> bytes | None:
        """What the handler of a node has given that waits for a callback."""

    def seed(self, execution: str) -> bytes | None:
        """That of the tokens of its callbacks, if it has one."""

    def letting_in(self, size: int) -> AbstractContextManager[None]: ...
    def begin_creating(self, request: IdempotentRequest) -> Creating: ...
    def begin_admitting(
        self, execution: str, request: IdempotentRequest | None = None, *, inputs: bool = False
    ) -> Admitting: ...
    def begin_command(self, execution: str) -> CommandUnit: ...
    def begin_deciding(self, reading: Reading) -> DecidingUnit: ...
    @property
    def max_execution_result_bytes(self) -> int: ...
    def write(self, changes: Mapping[str, Sequence[Change]]) -> None: ...


class Letter(msgspec.Struct, frozen=True):
    """A dead letter. `fields`: those of the message, as it was; `payload`: what they say, if it can be read.
    `buried_at`: milliseconds since the epoch."""

    id: str
    queue: str
    reason: DeadReason
    deliveries: int
    buried_at: int
    fields: tuple[bytes, ...]
    payload: Payload | None


class LetterStore(Protocol):
    """Dead letters, as commands and queries need them."""

    def page(self, limit: int, cursor: str | None) -> tuple[list[Letter], str | None]:
        """The newest letters behind this one, and what asks for the next page. Raises BadCursorError."""

    def find(self, letter: str) -> Letter:
        """Raises DeadLetterNotFoundError."""

    def remove(self, letter: str) -> bool:
        """Whether it was there."""

    def removal(self, letter: Letter) -> Acknowledge:
        """What removes it in a transaction of the caller's."""

    def send_again(self, letter: Letter) -> None:
        """Move it back to its queue, in one transaction. Raises DeadLetterNotFoundError."""


class NodeState(msgspec.Struct, frozen=True):
    """A node's record and, while it is in flight, when a worker noted its start. `map`: how far the items of
    a map are that has not ended by itself."""

    record: NodeRecord
    begun_at: int | None = None
    map: MapNumbers = NO_ITEMS


class StoredRuns(msgspec.Struct, frozen=True):
    """What is kept of an execution's runs, by their numbers: how they have ended, why they began."""

    ended: Mapping[int, EndedRun]
    why: Mapping[int, Why]


class ResultsStore(Protocol):
    """State as the query of results needs it."""

    def plan(self, execution: str) -> Plan | None: ...
    def read_execution(self, execution: str) -> ExecutionRecord | None: ...
    def node_results(self, execution: str, nodes: Sequence[str]) -> list[tuple[NodeRecord, bytes | None]]: ...
    def map_results(self, execution: str, node: str, primary: str | None) -> bytes | None:
        """What the items of a completed map gave, and their numbers, as JSON."""


class QueryStore(ResultsStore, Protocol):
    """State as the API's queries need it."""

    def places_in_lines(self, standing: Sequence[tuple[str, str]]) -> list[int | None]:
        """The places of members, each given as its line and itself, in one round trip; None: it does not
        stand there, or too many stand before it."""

    def node_states(self, execution: str, nodes: Sequence[str]) -> tuple[list[NodeState], bytes | None]:
        """The nodes, and the inputs of the execution."""

    def read_records(self, nodes: Sequence[NodeKey]) -> list[NodeRecord]:
        """The records of nodes of any executions, in one round trip."""

    def place_in_line(self, line: str, member: str) -> tuple[int | None, int]:
        """The place of a member, 1 is the first, None: it does not stand there; and how many may run."""

    def runs(self, execution: str) -> StoredRuns:
        """What is kept of its runs."""

    def document(self, execution: str) -> tuple[bytes | None, bool]:
        """The document as it is stored, if it is, and whether the execution is there."""

    def outputs_before(self, execution: str) -> bytes | None:
        """What an end has given that has led to it, as JSON, if it has given something."""

    def count_children(self, root: str, parent: str) -> int:
        """How many children an execution has, by what its root knows."""

    def count_reruns(self, execution: str) -> int:
        """How many new executions reruns have made of it."""

    def deliveries(self, execution: str) -> tuple[str | None, list[Delivery], bool]:
        """The `callback_url`, if there is one, the deliveries, and whether the execution is there."""


class StoredEntry(NamedTuple):
    """An entry of a stream: its id, and the values of its fields."""

    entry: bytes
    values: tuple[bytes, ...]


class HistoryStore(Protocol):
    """What has happened, as it is stored."""

    def read_execution(self, execution: str) -> ExecutionRecord | None: ...
    def event_entries(self, execution: str, begin: Place) -> list[StoredEntry]:
        """The next entries of an execution's events, from the one of this place on."""

    def events_are_cut(self, execution: str) -> bool:
        """Whether older events have been dropped."""

    def plan(self, execution: str) -> Plan | None: ...
    def line_entries(self, execution: str, begin: Place) -> list[StoredEntry]:
        """The next entries of its nodes' lines, from the one of this place on."""

    def lines_are_cut(self, execution: str, node: str | None) -> bool:
        """Whether lines of a node, or of any, have been dropped."""


class Cursor(msgspec.Struct, frozen=True):
    """What somebody watches: an execution, or with an empty name the status changes of all.

    `after`: what is behind this place is wanted. `lines`: those of its nodes as well. `asks`: whether it has
    ended is asked.
    """

    execution: str
    after: LivePlace
    lines: bool = False
    asks: bool = True


class Seen(msgspec.Struct, frozen=True):
    """What has happened behind a place, all of it up to `after`.

    `more`: there is more, at once. `ended`: nothing will follow. `is_there`: whether the execution exists.
    """

    messages: Sequence[Message]
    after: LivePlace
    more: bool
    ended: bool
    is_there: bool


class WatchingStore(Protocol):
    """What happens, as it is stored."""

    def look(self, cursors: Sequence[Cursor]) -> list[Seen]:
        """What has happened behind each place."""


class EncodedOutput(msgspec.Struct, frozen=True):
    """What a handler has returned, where it is JSON already."""

    data: bytes


class Invoker(Protocol):
    """Runs a handler on a rendered config. Raises HandlerError.

    What it returns is for `outcomes` to write as JSON, unless it is an EncodedOutput.
    """

    def invoke(self, handler: Handler, config: JsonValue, context: Context) -> object: ...


class AsyncInvoker(Protocol):
    """Starts async handlers on rendered configs."""

    def begin(
        self,
        handler: Handler,
        config: JsonValue,
        context: Context,
        ended: Callable[[tuple[object, BaseException | None]], None],
    ) -> None:
        """Start it. `ended` is told once what it has returned or raised. Raises HandlerError."""

    def forsake(self, handler: str) -> None:
        """One that was started has ignored the end of its time."""


class AsyncHolding(Protocol):
    """The messages of nodes that run without a thread."""

    def let_go(self, held: Sequence[Held[Any]], error: BaseException | None = None) -> None:
        """These are dealt with. What is not acknowledged is handed back: uncounted if `error` says that the
        store was away."""

    def is_handed_back(self, held: Held[Any]) -> bool:
        """Whether it was handed back meanwhile: what comes of it is for others to tell."""

    def weigh(self, held: Held[Any], size: int) -> None:
        """It has begun, and keeps so many bytes in memory."""

    def keeps_too_much(self) -> bool:
        """Whether what has begun keeps so much in memory that nothing more is to begin."""

    def hand_back(self, held: Sequence[Held[Any]]) -> None:
        """Hand these back, uncounted: they have not begun, and cannot now."""

    def acknowledge(self, sink: Sink, held: Sequence[Held[Any]]) -> None:
        """Queue what settles them, in as few commands as can be."""


class Redactor(Protocol):
    """Secrets: looked up for templates, and kept out of everything that is stored or shown."""

    def lookup(self, name: str) -> str: ...
    def redact(self, text: str) -> str: ...
    def redact_json(self, data: bytes) -> bytes: ...
    def hiding(self, values: Sequence[str]) -> AbstractContextManager[None]:
        """While the block runs, these texts are secrets too."""
