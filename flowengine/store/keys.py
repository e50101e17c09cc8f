"""The name, type and meaning of every key that holds state (queues: `flowengine.queues`).

Every key belongs to one partition: all that a transaction names lies in one. The only partition today
has no name, so its keys have no tag. What spans partitions stands at the end.

| key | type | holds |
| --- | --- | --- |
| fe:x:ID:control | hash | the execution: status, run, stop, closing, times, name, `once:KEY` (of triggers) |
| fe:once:PART | string | the execution whose id has this random part was created by a request with a key |
| fe:x:ID:counts | hash | nodes unfinished, nodes failed, bytes of results, `first` that failed; not WATCHed |
| fe:x:ID:plan | string | the compiled plan |
| fe:x:ID:deps | hash | join -> its counter of parents (`rules.readiness`) |
| fe:x:ID:node:NODE | hash | `state` (a NodeRecord), `result`, `try:N`, `previous`, `response`, or absent |
| fe:x:ID:collected:NODE | string | what a node's iterations have given, as JSON, each behind a comma |
| fe:x:ID:map:NODE | hash | of a map: `sent`, how many of its items have been; `f:INDEX`: it failed |
| fe:x:ID:items:NODE | list | its items, each a StoredItem |
| fe:x:ID:ended:NODE | hash | index -> an ItemRecord, of each item that has ended; not WATCHed |
| fe:x:ID:todo:NODE | list | INDEX:ANSWERED of the items that a later run sends, then of those that rest |
| fe:x:ID:try:NODE:INDEX | hash | `state` of an item that is tried again, a NodeRecord; expires by itself |
| fe:x:ID:inputs | hash | `values`: its inputs; `secret`: names of those; `vars`; `late`; `outcome`; `seed` |
| fe:x:ID:started | hash | NODE:DISPATCH, NODE#ITEM:DISPATCH -> DELIVERY:MILLISECONDS:PLACE |
| fe:x:ID:events | stream | JSON arrays of events: what was decided (`e`), what workers began (`s`) |
| fe:x:ID:children | zset | of a root: all executions below it, each behind its parent, scores 0 |
| fe:nested | zset | child executions that have begun and not ended, by when |
| fe:x:ID:runs | hash | RUN: how that run has ended; `why:RUN`: why it began; of later runs than the first |
| fe:x:ID:logs | stream | lines of nodes, in JSON, several an entry (`execution.history.spoken`) |
| fe:x:ID:logged | hash | how much of `logs` is kept: `w:NODE`, `b` in all; `c:NODE`, `c`: dropped |
| fe:x:ID:live | stream | progress and text of nodes; gone an hour after the execution's end |
| fe:x:ID:deliveries | hash | `url`: its `callback_url`; `run:N`: a Delivery. Absent where it has none |
| fe:x:ID:signals | hash | `n` came, `b` bytes kept; `q:NAME`: those kept, `s:NUMBER` (a Sent); or absent |
| fe:index:STATUS | zset | execution ids by time of creation, start or end; `running`: begun, not ended |
| fe:x:ID:document | string | its media type, a line feed, and the document as posted, by zlib |
| fe:x:ID:fork | string | what a fork of another execution does before it begins (a Fork); gone then |
| fe:list:STATUS | zset | execution ids, all scores 0: `paused`, `cancelling`: part of `running` |
| fe:list:by | zset | names, correlation ids, labels, versions, origins with ids; by id all of these |
| fe:timers:KIND | zset | what the kind's timer names, by due time |
| fe:timers:odd | zset | members that nobody can read, by the time when they were set aside |
| fe:delivering | zset | ID|RUN of each delivery that is not over, by the time of its last step |
| fe:changes | stream | status changes of all executions, as JSON (`c`) |
| fe:sweep | string | present while no sweep is due |
| fe:handlers:QUEUE | zset | handlers that have a line beside the queue, by when a worker last knew them |
| fe:janitor:QUEUE | string | present while nobody looks for the queue's consumers that are gone |
| fe:process:CONSUMER | string | what a live process says of itself; lapses with its leases |
| fe:ended:HOUR | hash | how many executions ended then, by status, length and name; lives two days |
| fe:stopping | zset | the executions that were marked as stopping last, by when |
| fe:deleting | zset | executions that are doomed, or deleted but for some of their keys, since when |
| fe:definitions | zset | the names of definitions, all scores 0 |
| fe:definition:NAME | hash | `v:N` and `current`: VersionRecords; `last`: the highest number; `schedules` |
| fe:version:N:NAME | hash | a version's content: its `plan`, and its `document` by zlib |
| fe:schedules | zset | NAME<tab>ID of the schedules of all definitions, all scores 0 |
| fe:schedule:ID:NAME | string | how a schedule of a definition stands: a ScheduleRecord |
| fe:outcomes:ID:NAME | stream | what its times have brought about (`o`, an Outcome), the newest 500 |
| fe:bulk:ID | hash | one action on many: what was `asked`, how far it is, its numbers |
| fe:bulks | zset | those that are not finished, by when they last moved |
| fe:line:LINE | list | who may run of a limit, and behind them who waits (`execution.limits.lines`) |
| fe:lines | zset | the lines in which somebody stands, all scores 0 |
| fe:starts:LINE | zset | members of a line, by when they started; `held`: until when none does; expires |
| fe:limits | hash | LINE -> how many of its first may run |
| fe:audit | stream | who has done what (`a`, an AuditEntry), the newest 10,000 |
| fe:own | zset | QUEUE@ID: the queues that executions have of their own, by the end of their leases |
| fe:cached:DIGEST | string | what a node with a `cache` has given, as JSON; expires |
| fe:moved:QUEUE | string | when messages that had waited elsewhere were last moved into the queue |

With a partition P each name begins with `fe:{P}:` instead of `fe:`. Where an execution has queues of its own,
the names of its timers, of its sweep, of its `nested` and of what belongs to a queue end with `@ID`.

| key that spans partitions | type | holds |
| --- | --- | --- |
| fe:format | string | the version of what is stored on this server |
| fe:health | string | the health check's write |
| fe:session:DIGEST | string | a page's session, by the digest of its token: a SignIn as JSON; expires |
| fe:keys | hash | the API's keys: `key:ID`, as JSON with its digest; `used:ID`; `made`, once there was one |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar, assert_never, get_args

from flowengine.execution.limits.lines import is_of_starts
from flowengine.execution.messages import (
    Deadline,
    DeliveryDue,
    HooksTimeout,
    ItemTry,
    MapOver,
    NextTry,
    RunTimeout,
    ScheduleDue,
    StartFollowers,
    StartsDue,
    StopOverdue,
    Timer,
    WaitOver,
)
from flowengine.execution.records import WaitKind
from flowengine.execution.requests.idempotency import PART_CHARS, names_request
from flowengine.execution.status import ExecutionStatus
from flowengine.queues import (
    handlers_key,
    later_key,
    moved_key,
    own_queues_key,
    owned,
    partition_prefix,
    stream_key,
)

STATE: Final = "state"
RESULT: Final = "result"
PREVIOUS: Final = "previous"
RESPONSE: Final = "response"
SEED: Final = "seed"
VALUES: Final = "values"
VARS: Final = "vars"
LATE: Final = "late"
SECRET: Final = "secret"
OUTCOME: Final = "outcome"
OUTPUTS: Final = "outputs"
LABELS: Final = "labels"
NOTIFIES: Final = "notifies"
SENT: Final = "sent"
STARTED_BY: Final = "started_by"
ALLOWED: Final = "allowed"
BEGUN_BY: Final = "begun_by"
FOLLOWED: Final = "followed"
FOLLOWERS: Final = "followers"
LINKS: Final = "links"
CALL: Final = "call"
LINE: Final = "line"
URL: Final = "url"
SIGNAL_NUMBERS: Final = ("n", "b")
LOGGED_BYTES: Final = "b"
LOGGED_CUT: Final = "c"
FIRST_FAILED: Final = "first"
DOOMED: Final = "doomed"
VERSION: Final = "version"
ORIGIN: Final = "origin"
SCHEDULE: Final = "schedule"
SCHEDULED_AT: Final = "scheduled_at"
SCHEDULES: Final = "schedules"
CURRENT: Final = "current"
LAST: Final = "last"
PLAN: Final = "plan"
DOCUMENT: Final = "document"
MAIN_FAILED: Final = "main_failed"

FORMAT: Final = "fe:format"
HEALTH: Final = "fe:health"
API_KEYS: Final = "fe:keys"

ID_CHARS: Final = 27
"""The length of an execution's id in the partition without a name; more is the partition's name."""

_ID: Final = re.compile(rb"[0-9a-f]{%d}" % ID_CHARS)
_PART: Final = slice(ID_CHARS - PART_CHARS, ID_CHARS)


class Keys:
    """The keys of one partition: the common ones, or those that one execution (`owner`) has of its own."""

    __slots__ = (
        "_executions",
        "_prefix",
        "audit",
        "bulks",
        "changes",
        "definitions",
        "deleting",
        "delivering",
        "line_index",
        "line_limits",
        "links",
        "nested",
        "odd_timers",
        "own_queues",
        "owner",
        "partition",
        "schedules",
        "stopping",
        "sweep",
    )

    def __init__(self, partition: str, owner: str = "") -> None:
        self.partition = partition
        self.owner = owner
        self._prefix = partition_prefix(partition)
        self._executions = f"{self._prefix}x:"
        self.sweep = f"{self._prefix}{owned('sweep', owner)}"
        self.odd_timers = f"{self._prefix}timers:odd"
        self.own_queues = own_queues_key(partition)
        self.changes = f"{self._prefix}changes"
        self.delivering = f"{self._prefix}delivering"
        self.stopping = f"{self._prefix}stopping"
        self.deleting = f"{self._prefix}deleting"
        self.audit = f"{self._prefix}audit"
        self.bulks = f"{self._prefix}bulks"
        self.line_index = f"{self._prefix}{owned('lines', owner)}"
        self.line_limits = f"{self._prefix}{owned('limits', owner)}"
        self.links = f"{self._prefix}links"
        self.definitions = f"{self._prefix}definitions"
        self.schedules = f"{self._prefix}schedules"
        self.nested = f"{self._prefix}{owned('nested', owner)}"

    def control(self, execution: str) -> str:
        """Hash: the execution."""
        return f"{self._executions}{execution}:control"

    def once(self, part: str) -> str:
        """String: what is kept of the request that has created an execution with this part in its id."""
        return f"{self._prefix}once:{part}"

    def with_control(self, execution: str) -> list[str]:
        """Control, and what persists, expires and goes with it, in one transaction: without control it says
        nothing, and another execution may have taken its name."""
        part = execution[_PART]
        control = self.control(execution)
        return [control, self.once(part)] if names_request(part) else [control]

    def cached(self, entry: str) -> str:
        """String: what a node has given, to be given again for the same."""
        return f"{self._prefix}cached:{entry}"

    def counts(self, execution: str) -> str:
        """Hash: the execution's numbers."""
        return f"{self._executions}{execution}:counts"

    def plan(self, execution: str) -> str:
        """String: the compiled plan."""
        return f"{self._executions}{execution}:plan"

    def deps(self, execution: str) -> str:
        """Hash: the joins' counters."""
        return f"{self._executions}{execution}:deps"

    def node(self, execution: str, name: str) -> str:
        """Hash: one node."""
        return f"{self._executions}{execution}:node:{name}"

    def map(self, execution: str, name: str) -> str:
        """Hash: how far the sending of a map's items is, and which have failed."""
        return f"{self._executions}{execution}:map:{name}"

    def items(self, execution: str, name: str) -> str:
        """List: the items of a map."""
        return f"{self._executions}{execution}:items:{name}"

    def items_ended(self, execution: str, name: str) -> str:
        """Hash: the items of a map that have ended."""
        return f"{self._executions}{execution}:ended:{name}"

    def items_todo(self, execution: str, name: str) -> str:
        """List: the indexes of the items that this run sends, where it does not send all."""
        return f"{self._executions}{execution}:todo:{name}"

    def item_try(self, execution: str, name: str, index: int) -> str:
        """Hash: how an item stands between its tries."""
        return f"{self._executions}{execution}:try:{name}:{index}"

    def of_map(self, execution: str, name: str) -> list[str]:
        """All keys of a map besides its node's: they expire, persist and go with it."""
        kinds = (self.map, self.items, self.items_ended, self.items_todo)
        return [kind(execution, name) for kind in kinds]

    def collected(self, execution: str, name: str) -> str:
        """String: what the iterations of a node have given that collects."""
        return f"{self._executions}{execution}:collected:{name}"

    def started(self, execution: str) -> str:
        """Hash: what workers have begun."""
        return f"{self._executions}{execution}:started"

    def inputs(self, execution: str) -> str:
        """Hash: what the execution was given, and what an end has given that has led to it."""
        return f"{self._executions}{execution}:inputs"

    def events(self, execution: str) -> str:
        """Stream: what happened."""
        return f"{self._executions}{execution}:events"

    def lines(self, execution: str) -> str:
        """Stream: lines of nodes."""
        return f"{self._executions}{execution}:logs"

    def logged(self, execution: str) -> str:
        """Hash: how much of the lines is kept."""
        return f"{self._executions}{execution}:logged"

    def live(self, execution: str) -> str:
        """Stream: progress and text of nodes."""
        return f"{self._executions}{execution}:live"

    def said(self, execution: str) -> list[str]:
        """The keys that hold the lines of its nodes: they expire with its own."""
        return [self.lines(execution), self.logged(execution)]

    def deliveries(self, execution: str) -> str:
        """Hash: the deliveries of its results."""
        return f"{self._executions}{execution}:deliveries"

    def sent(self, execution: str) -> list[str]:
        """The keys that only an execution with a `callback_url` has: they expire and persist with its own."""
        return [self.deliveries(execution)]

    def signals(self, execution: str) -> str:
        """Hash: the signals that no node has taken. Executions have it whose nodes wait for some, or nodes
        in their groups do."""
        return f"{self._executions}{execution}:signals"

    def own(self, execution: str) -> list[str]:
        """The keys of an execution that expire and persist together: all but its control, its nodes, its runs
        and what these say."""
        names = (
            self.counts,
            self.plan,
            self.deps,
            self.started,
            self.events,
            self.inputs,
            self.document,
        )
        return [name(execution) for name in names]

    def seldom(self, execution: str) -> list[str]:
        """The keys that few executions have of those that expire with them: what their nodes say, and what
        they were given. Each lives no longer than it may even where nobody lets it expire, or is written only
        where control is WATCHed."""
        return [self.live(execution), *self.said(execution), self.inputs(execution)]

    def children(self, root: str) -> str:
        """Sorted set: all executions below one at the top, each behind its parent."""
        return f"{self._executions}{root}:children"

    def fork(self, execution: str) -> str:
        """String: what is to be done before a fork of another execution begins. Absent once it has."""
        return f"{self._executions}{execution}:fork"

    def runs(self, execution: str) -> str:
        """Hash: how its runs have ended, and why they began. Absent while it is in its first one."""
        return f"{self._executions}{execution}:runs"

    def index(self, status: ExecutionStatus) -> str:
        """Sorted set: the executions in one status."""
        return f"{self._prefix}index:{status}"

    def listed(self, execution: str) -> str:
        """String: what one is found by that an earlier version has stored. Nobody reads it."""
        return f"{self._executions}{execution}:listed"

    def document(self, execution: str) -> str:
        """String: the document as it was posted."""
        return f"{self._executions}{execution}:document"

    def beside(self, execution: str) -> list[str]:
        """Keys of an execution that persist with its own and expire at other times."""
        return [self.live(execution)]

    def listing(self, status: ExecutionStatus) -> str:
        """Sorted set: the ids of the executions in one status, for lists."""
        return f"{self._prefix}list:{status}"

    @property
    def list_by(self) -> str:
        """Sorted set: names, correlation ids and labels, each with the id of an execution."""
        return f"{self._prefix}list:by"

    def timers(self, kind: str) -> str:
        """Sorted set: the timers of one kind."""
        return f"{self._prefix}timers:{owned(kind, self.owner)}"

    def line(self, line: str) -> str:
        """List: who stands in a line."""
        return f"{self._prefix}line:{owned(line, self.owner)}"

    def starts(self, line: str) -> str:
        """Sorted set: the starts of those that stood in a line, by their times."""
        return f"{self._prefix}starts:{owned(line, self.owner)}"

    def ended(self, hour: int) -> str:
        """Hash: how many executions ended in this hour since the epoch, and how."""
        return f"{self._prefix}ended:{hour}"

    def definition(self, name: str) -> str:
        """Hash: what is known of the versions of a definition."""
        return f"{self._prefix}definition:{name}"

    def version(self, name: str, number: int) -> str:
        """Hash: the content of a version of a definition."""
        return f"{self._prefix}version:{number}:{name}"

    def schedule(self, name: str, schedule: str) -> str:
        """String: how a schedule of a definition stands."""
        return f"{self._prefix}schedule:{schedule}:{name}"

    def outcomes(self, name: str, schedule: str) -> str:
        """Stream: what the times of a schedule have brought about."""
        return f"{self._prefix}outcomes:{schedule}:{name}"

    def bulk(self, bulk_id: str) -> str:
        """Hash: one action on many executions."""
        return f"{self._prefix}bulk:{bulk_id}"

    def stream(self, queue: str) -> str:
        """Stream: the messages of a queue, or the tasks of a line beside one."""
        return stream_key(queue, self.partition, self.owner)

    def later(self, queue: str) -> str:
        """Stream: those of a queue's messages that nobody has understood yet."""
        return later_key(queue, self.partition, self.owner)

    def handlers(self, queue: str) -> str:
        """Sorted set: the handlers that have a line beside a queue."""
        return handlers_key(queue, self.partition, self.owner)

    def moved(self, queue: str) -> str:
        """String: when messages that had waited elsewhere were last moved into a queue."""
        return moved_key(queue, self.partition, self.owner)

    @property
    def deadlines(self) -> str:
        """Sorted set: the deadlines of dispatches that workers have begun."""
        return self.timers("deadline")


@lru_cache(maxsize=1024)
def of(partition: str = "", owner: str = "") -> Keys:
    """The keys of a partition, or those of it that one execution has of its own."""
    return Keys(partition, owner)


def child_member(parent: str, child: str) -> str:
    """The member of an execution in `children` of its root."""
    return f"{parent}\t{child}"


def session_key(token: str) -> str:
    """String: the session with this digest of its token."""
    return f"fe:session:{token}"


def partition_of(execution: str) -> str:
    """The partition that an execution lives in, which its id names."""
    return execution[ID_CHARS:]


def is_execution_id(member: bytes, partition: str) -> bool:
    """Whether a member of an index can be the id of an execution of this partition."""
    return _ID.fullmatch(member[:ID_CHARS]) is not None and member[ID_CHARS:] == partition.encode()


def parse_own_queue(member: bytes, partition: str) -> tuple[str, str] | None:
    """The queue and its owner of a member of `fe:own`, or None when it is not one of ours."""
    queue, _, owner = member.rpartition(b"@")
    if not queue or not is_execution_id(owner, partition):
        return None
    try:
        return queue.decode(), owner.decode()
    except UnicodeDecodeError:
        return None


def why_field(run: int) -> str:
    """The field of `runs` that says why a run began."""
    return f"why:{run}"


_ITEM: Final = re.compile(r"(.*)#(\d+)\.(\d+)\.(\d+)\.(\d+)")


def _placed(name: str, item: ItemTry | None) -> str:
    """What a node, or a try of one of its items, is called where both stand side by side. No node's id holds
    `#`."""
    return name if item is None else f"{name}#{item.index}.{item.number}.{item.answered}.{item.moment}"


def start_field(name: str, dispatch: int, item: ItemTry | None = None) -> str:
    """The field of one dispatch in `started`."""
    return f"{_placed(name, item)}:{dispatch}"


def is_item_start(field: bytes, name: str, dispatch: int) -> bool:
    """Whether a field of `started` is that of an item of this map."""
    return field.startswith(f"{name}#".encode()) and field.endswith(f":{dispatch}".encode())


def parse_item_start(field: bytes, name: str) -> tuple[int, int] | None:
    """The index of the item of this map whose start is noted, and the dispatch of the map, or None."""
    prefix = f"{name}#".encode()
    index, dispatch = field.removeprefix(prefix).partition(b".")[0], field.rpartition(b":")[2]
    if not (field.startswith(prefix) and index.isdigit() and dispatch.isdigit()):
        return None
    return int(index), int(dispatch)


def map_bytes_field(node: str) -> str:
    """The field of `counts` that says how many bytes a map's results take, as far as they count."""
    return f"m:{node}"


def failure_field(index: int) -> str:
    """The field of a map's hash that says that an item has failed."""
    return f"f:{index}"


def parse_failure_field(field: bytes) -> int | None:
    """The index of the item that has failed, or None."""
    kind, _, index = field.partition(b":")
    return int(index) if kind == b"f" and index.isdigit() else None


def weight_field(node: str) -> str:
    """The field of `logged` that says how much is kept of a node's lines."""
    return f"w:{node}"


def cut_field(node: str) -> str:
    """The field of `logged` that says how many of a node's lines were dropped."""
    return f"c:{node}"


def version_field(number: int) -> str:
    """The field of a definition that says what is known of a version."""
    return f"v:{number}"


def parse_version_field(field: str) -> int | None:
    """The number of the version that a field of a definition is about, or None."""
    kind, _, number = field.partition(":")
    return int(number) if kind == "v" and number.isascii() and number.isdecimal() else None


def once_field(key: str) -> str:
    """The field of control that keeps a trigger whose request had this key."""
    return f"once:{key}"


def try_field(attempt: int) -> str:
    """The field of a node's key that keeps an attempt."""
    return f"try:{attempt}"


def signal_queue(name: str) -> str:
    """The field of `signals` that says which of this name are kept."""
    return f"q:{name}"


def signal_field(number: int) -> str:
    """The field of `signals` that holds what one carries."""
    return f"s:{number}"


def run_field(run: int) -> str:
    """The field of `deliveries` that holds the delivery of a run."""
    return f"run:{run}"


def delivering_member(execution: str, run: int) -> str:
    """The member of a delivery in `delivering`."""
    return f"{execution}|{run}"


def parse_delivering(member: bytes) -> tuple[str, int] | None:
    """The execution and the run of a member of `delivering`, or None when it is not one of ours."""
    try:
        execution, run = member.decode("ascii").split("|")
        return execution, int(run)
    except ValueError:
        return None


def parse_try_field(field: str) -> int | None:
    """The attempt that a field of a node's key keeps, or None."""
    kind, _, number = field.partition(":")
    return int(number) if kind == "try" and number.isdecimal() else None


def timer_member(execution: str, run: int, node: str, dispatch: int, item: ItemTry | None = None) -> str:
    """The member of a dispatch's timer. Ids and node names hold no `|`."""
    return f"{execution}|{run}|{_placed(node, item)}|{dispatch}"


def member_of(timer: Timer | StartFollowers) -> str:
    """The member of a timer, in the sorted set of its kind."""
    match timer:
        case Deadline() | NextTry():
            return timer_member(timer.execution, timer.run, timer.node, timer.dispatch, timer.item)
        case WaitOver():
            member = timer_member(timer.execution, timer.run, timer.node, timer.dispatch)
            return f"{member}|{timer.waits}"
        case MapOver():
            return timer_member(timer.execution, timer.run, timer.node, timer.dispatch)
        case RunTimeout() | StopOverdue() | HooksTimeout() | StartFollowers():
            return f"{timer.execution}|{timer.run}"
        case DeliveryDue():
            return f"{timer.execution}|{timer.run}|{timer.number}"
        case StartsDue(line=line):
            return line
        case _ as never:
            assert_never(never)


def timer_kind(timer: Timer | StartFollowers) -> str:
    """The kind of a timer: which sorted set it is in."""
    match timer:
        case Deadline():
            return "deadline"
        case NextTry():
            return "retry"
        case WaitOver():
            return "wait"
        case MapOver():
            return "map"
        case RunTimeout():
            return "timeout"
        case StopOverdue():
            return "stop"
        case HooksTimeout():
            return "hooks"
        case DeliveryDue():
            return "delivery"
        case StartsDue():
            return "starts"
        case StartFollowers():
            return "followers"
        case _ as never:
            assert_never(never)


def _parsed(member: bytes) -> tuple[str, int, str, ItemTry | None, int]:
    """What `timer_member` has written. Raises ValueError."""
    execution, run, node, dispatch = member.decode("ascii").split("|")
    if found := _ITEM.fullmatch(node):
        return execution, int(run), found[1], ItemTry(*map(int, found.groups()[1:])), int(dispatch)
    return execution, int(run), node, None, int(dispatch)


NodeTimerT = TypeVar("NodeTimerT", Deadline, NextTry)


def node_parser_of(timer: type[NodeTimerT]) -> Callable[[bytes], NodeTimerT | None]:
    """Reads the members of one kind of timers of nodes; None for one that is not one of ours."""

    def parse(member: bytes) -> NodeTimerT | None:
        try:
            execution, run, node, item, dispatch = _parsed(member)
            return timer(execution=execution, run=run, node=node, dispatch=dispatch, item=item)
        except ValueError:
            return None

    return parse


parse_deadline: Final = node_parser_of(Deadline)
parse_next_try: Final = node_parser_of(NextTry)


def parse_map_over(member: bytes) -> MapOver | None:
    """Reads the timers of maps; None for one that is not one of ours."""
    try:
        execution, run, node, item, dispatch = _parsed(member)
    except ValueError:
        return None
    return None if item else MapOver(execution=execution, run=run, node=node, dispatch=dispatch)


RunTimerT = TypeVar("RunTimerT", RunTimeout, StopOverdue, HooksTimeout, StartFollowers)


def run_parser_of(timer: type[RunTimerT]) -> Callable[[bytes], RunTimerT | None]:
    """Reads the members of one kind of timers of whole runs; None for one that is not one of ours."""

    def parse(member: bytes) -> RunTimerT | None:
        try:
            execution, run = member.decode("ascii").split("|")
            return timer(execution=execution, run=int(run))
        except ValueError:
            return None

    return parse


def parse_delivery_due(member: bytes) -> DeliveryDue | None:
    """Reads the timers of deliveries; None for a member that is not one of ours."""
    try:
        execution, run, number = member.decode("ascii").split("|")
        return DeliveryDue(execution=execution, run=int(run), number=int(number))
    except ValueError:
        return None


def parse_wait_over(member: bytes) -> WaitOver | None:
    """Reads the timers of nodes that wait; None for one that is not one of ours."""
    try:
        execution, run, node, dispatch, waits = member.decode("ascii").split("|")
    except ValueError:
        return None
    kind = _WAIT_KINDS.get(waits)
    if kind is None or not (run.isdecimal() and dispatch.isdecimal()):
        return None
    return WaitOver(execution=execution, run=int(run), node=node, dispatch=int(dispatch), waits=kind)


_WAIT_KINDS: Final[dict[str, WaitKind]] = {kind: kind for kind in get_args(WaitKind)}


def link_entry(name: str, to: str, *, by_end: bool) -> str:
    """The member of `links` that says that one definition leads to another: by its ends, or by a node."""
    return f"{name}\t{'end' if by_end else 'node'}\t{to}"


def link_entries(name: str, *, by_end: bool | None = None) -> tuple[bytes, bytes]:
    """Between which places the members lie that say what a definition leads to: all, or those of one kind."""
    prefix = name if by_end is None else f"{name}\t{'end' if by_end else 'node'}"
    return f"[{prefix}\t".encode(), f"({prefix}\n".encode()


def parse_link_entry(member: bytes) -> tuple[str, bool]:
    """The name that a definition leads to, and whether by its ends."""
    _, kind, to = member.decode().split("\t")
    return to, kind == "end"


def schedule_entry(name: str, schedule: str) -> str:
    """The member of a schedule in `schedules`. No name of a definition holds a tab."""
    return f"{name}\t{schedule}"


def schedule_member(name: str, schedule: str) -> str:
    """The member of a schedule's timer. No id of a schedule holds `|`."""
    return f"{schedule}|{name}"


def parse_schedule_due(member: bytes) -> ScheduleDue | None:
    """Reads the timers of schedules; None for a member that is not one of ours."""
    try:
        schedule, parted, name = member.decode().partition("|")
    except UnicodeDecodeError:
        return None
    return ScheduleDue(name=name, schedule=schedule) if parted and name and schedule else None


def parse_starts_due(member: bytes) -> StartsDue | None:
    """Reads the timers of lines; None for one that is not one of ours."""
    try:
        line = member.decode()
    except UnicodeDecodeError:
        return None
    return StartsDue(line=line) if is_of_starts(line) else None
